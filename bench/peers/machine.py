"""What a measurement was taken on."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ["torch", "onnxruntime", "openvino"]
# Of the processor's features, those that the kernels' rates depend on.
FEATURES = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "asimd"]


def processor() -> tuple[str, list[str]]:
    """Its name and features, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor(), []
    facts = dict(map(str.strip, line.split(":", 1)) for line in text.splitlines() if ":" in line)
    flags = facts.get("flags", facts.get("Features", "")).split()
    name = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name, [feature for feature in FEATURES if feature in flags]


def describe(libraries: list[str] = LIBRARIES) -> dict:
    """Machine, date and versions, for the results' file."""
    name, features = processor()
    return {
        "date": datetime.date.today().isoformat(),
        "processor": name,
        "features": features,
        "cores": os.cpu_count(),
        "versions": {library: version(library) for library in libraries},
    }
