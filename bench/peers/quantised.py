"""Accuracy in 8 bits: `residual quantize` beside onnxruntime's `quantize_static` and NNCF with OpenVINO, on the same images.

    pip install onnxruntime onnx openvino nncf pillow numpy
    python bench/peers/quantised.py --binary target/release/residual --data cifar10-images.tar.gz \\
        resnet20-12fca82f.th resnet32-d509ac18.th [--images 300] [--out quantised.md]

The data are an archive of `train/CLASS/*.jpg` and `test/CLASS/*.jpg` of the network's size. All three calibrate with the
same training images, those that `residual quantize` takes: spread evenly over the split. The peers quantise the ONNX file
that `residual export` writes of the float32 weights, and every network answers about all test images. Prints a row of
Markdown for each: images that are classified correctly, and the points that are lost.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

MEAN, STD = (np.array(values, np.float32).reshape(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
BATCH = 100


def read(archive: Path) -> dict:
    """Images of both splits, in the order of their paths, with the numbers of their classes."""
    found = {"train": [], "test": []}
    with tarfile.open(archive) as files:
        for member in files:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) >= 3 and parts[-3] in found:
                found[parts[-3]].append((parts[-2], parts[-1], files.extractfile(member).read()))
    classes = sorted({name for name, _, _ in found["train"]})
    return {split: [(data, classes.index(name)) for name, _, data in sorted(images)] for split, images in found.items()}


def array(jpeg: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.float32).transpose(2, 0, 1)
    return (pixels / 255 - MEAN) / STD


def spread(images: list, count: int) -> list:
    return [images[(2 * at + 1) * len(images) // (2 * count)] for at in range(count)]


def correct(answer, images: np.ndarray, labels: np.ndarray) -> int:
    batches = range(0, len(images), BATCH)
    return sum(int((answer(images[at:at + BATCH]).argmax(1) == labels[at:at + BATCH]).sum()) for at in batches)


def by_onnxruntime(float32: Path, folder: Path, calibration: np.ndarray, method: str):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, name):
            self.rows = iter([{name: image[None]} for image in calibration])

        def get_next(self):
            return next(self.rows, None)

    name = onnxruntime.InferenceSession(str(float32)).get_inputs()[0].name
    prepared, quantised = folder / "prepared.onnx", folder / f"ort_{method}.onnx"
    quant_pre_process(str(float32), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(quantised), Reader(name), per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod[method])
    return session(quantised)


def session(file: Path):
    run = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = run.get_inputs()[0].name
    return lambda batch: run.run(None, {name: batch})[0]


def by_nncf(float32: Path, calibration: np.ndarray):
    import nncf
    import openvino

    core = openvino.Core()
    dataset = nncf.Dataset([image[None] for image in calibration])
    model = nncf.quantize(core.read_model(str(float32)), dataset, subset_size=len(calibration),
                          preset=nncf.QuantizationPreset.MIXED)
    compiled = core.compile_model(model, "CPU")
    return lambda batch: compiled(batch)[0]


def by_openvino(file: Path):
    import openvino

    compiled = openvino.Core().compile_model(str(file), "CPU")
    return lambda batch: compiled(batch)[0]


def apart(answer, binary: str, weights: Path, folder: Path, images: list, arrays: np.ndarray) -> float:
    """Greatest difference of a logit from those of `residual predict`, over their standard deviation."""
    for number, (jpeg, _) in enumerate(images):
        (folder / f"{number:04}.jpg").write_bytes(jpeg)
    lines = residual(binary, "predict", "--weights", weights, "--json", "--logits", folder).splitlines()
    ours = np.array([json.loads(line)["logits"] for line in lines])
    return np.abs(answer(arrays) - ours).max() / ours.std()


def residual(binary: str, *arguments) -> str:
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"residual {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def evaluated(binary: str, weights: Path, data: Path) -> int:
    found = json.loads(residual(binary, "eval", "--weights", weights, "--data", data, "--split", "test", "--json"))
    return found["top1_correct"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--binary", default="residual")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    images = read(arguments.data)
    calibration = np.stack([array(jpeg) for jpeg, _ in spread(images["train"], arguments.images)])
    test = np.stack([array(jpeg) for jpeg, _ in images["test"]])
    labels = np.array([label for _, label in images["test"]])
    rows = ["| weights | quantised by | correct | lost, points | MB |", "| --- | --- | --- | --- | --- |"]
    print(*rows, sep="\n")

    def row(weights, by, found, base, size):
        rows.append(f"| {weights.stem} | {by} | {found} | {100 * (base - found) / len(labels):.2f} | {size} |")
        print(rows[-1], flush=True)

    for weights in arguments.weights:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            base = evaluated(arguments.binary, weights, arguments.data)
            row(weights, "nothing: float32", base, base, f"{weights.stat().st_size / 1e6:.2f}")
            for bits in (8, 7):
                out = folder / f"q{bits}.safetensors"
                residual(arguments.binary, "quantize", "--weights", weights, "--data", arguments.data, "--images",
                         arguments.images, "--weight-bits", bits, "--judge", 0, "--out", out)
                found = evaluated(arguments.binary, out, arguments.data)
                row(weights, f"`residual quantize`, {bits}-bit weights", found, base, f"{out.stat().st_size / 1e6:.2f}")
                graph, photos = folder / f"q{bits}.onnx", folder / f"photos{bits}"
                residual(arguments.binary, "export", "--weights", out, "--out", graph)
                photos.mkdir()
                for runtime, answer in (("onnxruntime", session(graph)), ("OpenVINO", by_openvino(graph))):
                    far = apart(answer, arguments.binary, out, photos, images["test"][:BATCH], test[:BATCH])
                    row(weights, f"its QDQ graph in {runtime} (a logit is {far:.3f} deviations off at most)",
                        correct(answer, test, labels), base, f"{graph.stat().st_size / 1e6:.2f}")
            if arguments.only_ours:
                continue
            float32 = folder / "float32.onnx"
            residual(arguments.binary, "export", "--weights", weights, "--out", float32)
            plain = correct(session(float32), test, labels)
            row(weights, "nothing: its ONNX file in onnxruntime", plain, plain, f"{float32.stat().st_size / 1e6:.2f}")
            for method in ("MinMax", "Entropy", "Percentile"):
                answer = by_onnxruntime(float32, folder, calibration, method)
                size = f"{(folder / f'ort_{method}.onnx').stat().st_size / 1e6:.2f}"
                row(weights, f"onnxruntime, {method}", correct(answer, test, labels), plain, size)
            row(weights, "NNCF, OpenVINO", correct(by_nncf(float32, calibration), test, labels), plain, "")
    if arguments.out:
        arguments.out.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
