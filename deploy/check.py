#!/usr/bin/env python3
"""Holds the manifests of this folder against the schemas of Kubernetes and KServe.

    pip install kubernetes-validate
    python deploy/check.py [--version 1.34] [--crd serving.kserve.io_inferenceservices.yaml]

Unknown fields are errors. The definition of InferenceService is of KServe's sources, config/crd/full; without it what its
predictor shares with a pod is held against the schema of a pod. Ends with 1 where a manifest is wrong, and with 0 and a
notice where kubernetes-validate is not installed.
"""

import argparse
import pathlib
import sys

try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError as missing:
    print(f"manifests: not checked, since there is no {missing.name} (pip install kubernetes-validate)")
    sys.exit(0)

FOLDER = pathlib.Path(__file__).parent
# Fields of a predictor that a pod does not have.
OF_KSERVE = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout"}


def closed(schema):
    """The schema, which takes no fields that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(part) for name, part in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and "properties" in schema and not open_ended:
        schema["additionalProperties"] = False
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    return schema


def as_defined(service, crd):
    """Faults of an InferenceService by the definition of the resource."""
    definition = yaml.safe_load(crd.read_text())
    version = service["apiVersion"].split("/")[1]
    versions = {entry["name"]: entry for entry in definition["spec"]["versions"]}
    schema = closed(versions[version]["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    faults = jsonschema.Draft7Validator(schema).iter_errors(service)
    return [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in faults]


def as_a_pod(service):
    """The part of an InferenceService that is a pod's, as a pod."""
    predictor = {name: value for name, value in service["spec"]["predictor"].items() if name not in OF_KSERVE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": predictor}


def faults(manifest, arguments):
    if manifest["kind"] == "InferenceService":
        if arguments.crd:
            return as_defined(manifest, arguments.crd)
        manifest = as_a_pod(manifest)
    try:
        kubernetes_validate.validate(manifest, arguments.version, strict=True)
    except kubernetes_validate.ValidationError as fault:
        return [f"{'.'.join(map(str, fault.path))}: {fault.message}"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", default="1.34", help="of Kubernetes (1.34)")
    parser.add_argument("--crd", type=pathlib.Path, help="KServe's definition of InferenceService")
    arguments = parser.parse_args()
    wrong = 0
    for file in sorted(FOLDER.glob("*.yaml")):
        for manifest in filter(None, yaml.safe_load_all(file.read_text())):
            found = faults(manifest, arguments)
            wrong += len(found)
            state = "wrong" if found else "valid"
            print(f"{file.name}: {manifest['kind']} {manifest['metadata']['name']}: {state}")
            for fault in found:
                print(f"  {fault}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
