"""`residual serve` asked by the protocol's own clients, each answer held against `residual predict`.

    pip install 'tritonclient[http,grpc]' kserve openapi-spec-validator pillow numpy prometheus-client
    python bench/peers/serve.py --binary target/release/residual --weights FILE --photos FOLDER

Starts the service on a free port of loopback and asks it with `tritonclient.http`, `tritonclient.grpc`, and `kserve`'s
REST and gRPC clients: probes, descriptions, and images as files, as pixels and as tensors, with JSON and with binary
data. Validates /openapi.json and parses /metrics. Exit code 1 where anything differs by more than 1e-5.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

BOUND = 1e-5
failed = False


def check(what, holds, detail=""):
    global failed
    failed |= not holds
    print(f"{'ok  ' if holds else 'BAD '} {what} {detail}", flush=True)


def close(what, found, wanted):
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    worst = float(np.max(np.abs(found - wanted))) / float(np.max(np.abs(wanted)))
    check(what, found.shape == wanted.shape and worst <= BOUND, f"off by {worst:.1e} of the largest")


def triton(module, address, photos, images, tensor, wanted, keywords):
    name = module.__name__
    client = module.InferenceServerClient(address)
    check(f"{name}: live, ready, model ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("photos"))
    check(f"{name}: no such model", not not_there(client))
    metadata = client.get_model_metadata("photos")
    names = [each["name"] for each in metadata["inputs"]] if isinstance(metadata, dict) else [i.name for i in metadata.inputs]
    check(f"{name}: inputs", names == ["tensor", "pixels", "encoded"], names)
    server = client.get_server_metadata()
    check(f"{name}: server", (server["name"] if isinstance(server, dict) else server.name) == "residual")
    for binary in [True, False] if keywords else [None]:
        set_data = {} if binary is None else {"binary_data": binary}
        outputs = lambda *names: [module.InferRequestedOutput(name, **set_data) for name in names]
        style = {None: "protobuf", True: "binary", False: "JSON"}[binary]
        values = tensor.copy()
        one = module.InferInput("tensor", values.shape, "FP32")
        one.set_data_from_numpy(values, **set_data)
        result = client.infer("photos", [one], outputs=outputs("logits", "probabilities", "embedding"), request_id="r1")
        close(f"{name}: tensor, {style}", result.as_numpy("logits"), wanted["tensor"])
        check(f"{name}: sums of probabilities", abs(result.as_numpy("probabilities").sum() - 1) < 1e-5)
        pixels = module.InferInput("pixels", [1, *images[0].shape], "UINT8")
        pixels.set_data_from_numpy(images[0][None], **set_data)
        close(f"{name}: pixels, {style}", client.infer("photos", [pixels], outputs=outputs("logits")).as_numpy("logits"), wanted["files"][:1])
        if binary is not False:
            files = np.array([path.read_bytes() for path in photos], dtype=np.object_)
            encoded = module.InferInput("encoded", files.shape, "BYTES")
            encoded.set_data_from_numpy(files)
            result = client.infer("photos", [encoded], model_version="1", outputs=outputs("logits"))
            close(f"{name}: {len(photos)} files, {style}", result.as_numpy("logits"), wanted["files"])
            ranked = client.infer("photos", [encoded], outputs=[module.InferRequestedOutput("probabilities", class_count=1)])
            classes = [row[0].decode().split(":", 2)[2] for row in ranked.as_numpy("probabilities")]
            check(f"{name}: classes", classes == wanted["classes"], classes[:2])
    waiting = [client.async_infer("photos", [one]) for _ in range(8)] if keywords else []
    for each in waiting:
        close(f"{name}: asynchronous", each.get_result().as_numpy("logits"), wanted["tensor"])
    client.close()


def not_there(client):
    try:
        return client.is_model_ready("nobody")
    except Exception as error:  # noqa: BLE001: each client has its own
        return "no such model" not in str(error)


async def kserve(port, images, wanted):
    from kserve import InferInput, InferRequest, InferenceGRPCClient, InferenceRESTClient, RESTConfig
    rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    base = f"http://127.0.0.1:{port}"
    check("kserve REST: live, ready, model ready", await rest.is_server_live(base) and await rest.is_server_ready(base) and await rest.is_model_ready(base, "photos"))
    for binary in [False, True]:
        one = InferInput("pixels", [1, *images[0].shape], "UINT8")
        one.set_data_from_numpy(images[0][None], binary_data=binary)
        answer = await rest.infer(base, InferRequest(model_name="photos", infer_inputs=[one]), model_name="photos")
        logits = next(output for output in answer.outputs if output.name == "logits")
        close(f"kserve REST: pixels, binary {binary}", logits.as_numpy(), wanted["files"][:1])
    await rest.close()
    grpc = InferenceGRPCClient(f"127.0.0.1:{port}")
    check("kserve gRPC: live, ready, model ready", await grpc.is_server_live() and await grpc.is_server_ready() and await grpc.is_model_ready("photos"))
    one = InferInput("pixels", [1, *images[0].shape], "UINT8")
    one.set_data_from_numpy(images[0][None], binary_data=True)
    answer = await grpc.infer(InferRequest(model_name="photos", infer_inputs=[one]))
    logits = next(output for output in answer.outputs if output.name == "logits")
    close("kserve gRPC: pixels", logits.as_numpy(), wanted["files"][:1])
    await grpc.close()


def of_kserve(port, pixels, wanted):
    """In a process of its own: the two packages bring one schema under one name."""
    np.savez("kserve.npz", pixels=pixels, wanted=wanted)
    check("kserve's clients", subprocess.run([sys.executable, __file__, "--kserve", port]).returncode == 0)
    Path("kserve.npz").unlink()


def documents(port):
    from openapi_spec_validator import validate
    from prometheus_client.parser import text_string_to_metric_families
    read = lambda path: urllib.request.urlopen(f"http://127.0.0.1:{port}{path}").read().decode()
    validate(json.loads(read("/openapi.json")))
    check("/openapi.json is valid", True)
    families = {family.name: family for family in text_string_to_metric_families(read("/metrics"))}
    count = sum(sample.value for sample in families["residual_images"].samples if sample.name.endswith("_total"))
    check("/metrics is parsed", count > 0, f"{len(families)} families, {count:.0f} images")


def main():
    if sys.argv[1:2] == ["--kserve"]:
        held = np.load("kserve.npz")
        asyncio.run(kserve(sys.argv[2], [held["pixels"]], {"files": held["wanted"]}))
        sys.exit(1 if failed else 0)
    import tritonclient.grpc as triton_grpc
    import tritonclient.http as triton_http
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", required=True)
    arguments = parser.parse_args()
    photos = sorted(path for path in Path(arguments.photos).iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:6]
    command = [arguments.binary, "predict", "--weights", arguments.weights, "--json", "--logits", *map(str, photos)]
    lines = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    service = subprocess.Popen([arguments.binary, "serve", "--weights", f"photos={arguments.weights}", "--port", "0", "--deadline-ms", "20000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = service.stdout.readline().strip().rsplit(":", 1)[1]
        address = f"127.0.0.1:{port}"
        images = [np.array(Image.open(path).convert("RGB")) for path in photos]
        model = json.loads(urllib.request.urlopen(f"http://{address}/v1/models").read())["models"][0]
        tensor = np.sin(np.arange(np.prod(model["input"]), dtype=np.float64)).astype(np.float32).reshape(1, *model["input"])
        wanted = {"files": [line["logits"] for line in lines], "classes": [line["top"][0]["class"] for line in lines]}
        # A tensor is asked about by one client, and held against by the others.
        first = triton_http.InferInput("tensor", tensor.shape, "FP32")
        first.set_data_from_numpy(tensor)
        wanted["tensor"] = triton_http.InferenceServerClient(address).infer("photos", [first]).as_numpy("logits")
        triton(triton_http, address, photos, images, tensor, wanted, keywords=True)
        triton(triton_grpc, address, photos, images, tensor, wanted, keywords=False)
        of_kserve(port, images[0], wanted["files"][:1])
        documents(port)
    finally:
        service.send_signal(signal.SIGTERM)
    check("the service ends in good order", service.wait(30) == 0)
    sys.exit(1 if failed else 0)


main()
