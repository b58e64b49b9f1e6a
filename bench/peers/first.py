"""Time from the start of a process to its first answer: this project beside Python with ONNX Runtime.

    python bench/peers/first.py [ROUNDS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy
import ours
from infer import export
from networks import NETWORKS

PREDICT = """
import sys, numpy, onnxruntime
model, image = sys.argv[1:]
x = numpy.fromfile(image, dtype=numpy.float32).reshape(1, 3, 224, 224)
print(int(onnxruntime.InferenceSession(model).run(None, {"x": x})[0].argmax()))
"""


def seconds(command: list[str]) -> float:
    """How long a process takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def picture(path: Path) -> None:
    """A 224x224 PNG of noise, written without a library."""
    import struct
    import zlib

    rows = numpy.random.default_rng(1).integers(0, 256, (224, 224 * 3), dtype=numpy.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 224, 224, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


def main() -> None:
    """Measures in turns."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    build = ["cargo", "build", "--release", "-p", "residual", "--no-default-features", "--features", "cli"]
    binary = ours.built([*build], "residual")
    with tempfile.TemporaryDirectory() as folder:
        paths = export(NETWORKS[0], 1, Path(folder))
        weights, image = Path(folder) / "resnet18.safetensors", Path(folder) / "noise.png"
        subprocess.run([binary, "convert", paths["pth"], weights], check=True, stdout=subprocess.DEVNULL)
        picture(image)
        own = [binary, "predict", "--model", "resnet18", "--weights", str(weights), str(image)]
        peer = [sys.executable, "-c", PREDICT, str(paths["onnx"]), str(paths["raw"])]
        times = [(seconds(own), seconds(peer)) for _ in range(rounds)]
    for name, column in zip(["residual", "Python and ONNX Runtime (no decoding)"], zip(*times)):
        print(f"{name}: median {median(column) * 1e3:.0f} ms, least {min(column) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
