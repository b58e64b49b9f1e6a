"""ONNX and other libraries' files, both ways, held against the libraries themselves.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 transformers==5.24.0 onnx==1.23.2 onnxruntime==1.32.0 \\
        openvino==2026.4.1 onnxscript==0.7.2
    python bench/peers/interop.py --binary target/release/residual --photos FOLDER [--only resnet50] [--out interop.md]

For every architecture of published.py, random weights with norm statistics that are not trivial:

- weights -> `residual export` -> onnx.checker (full), onnxruntime and OpenVINO, batch norms folded and kept;
- the model through torch's TorchScript and dynamo exporters, batch norms folded and kept -> `residual import` ->
  `residual export` -> onnxruntime;
- weights -> `residual export --format torch` -> `load_state_dict(strict=True)`; of timm's also `--format timm` ->
  `timm.create_model("local-dir:...")`, of transformers' `--format transformers` -> `from_pretrained`;

all held against the logits of the library's own model: the worst difference relative to the largest logit. Then the
graphs of zoo_graphs.py, imported and exported, against their own logits, and the preprocessing in the graph against the
tool's pixels on photographs. Exit code 1 where one is off by more than 1e-4, or pixels by more than a grey level.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from published import Logits, Timm, Torchvision, Transformers, randomise, subjects
from zoo_graphs import graphs

BOUND = 1e-4
COLUMNS = ["architecture", "library", "onnxruntime", "OpenVINO", "norms kept", "TorchScript", "with norms", "dynamo",
           "with norms", "state dict", "own folder"]


def residual(options, *arguments) -> None:
    """Runs the tool."""
    run = subprocess.run([options.binary, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[-1][:300])


def by_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    import openvino

    core = openvino.Core()
    # The processor's own precision may be bfloat16.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(x)[0]


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def by_torch(model, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return model(x).numpy()


def traced(model, x: torch.Tensor, path: Path, dynamo: bool, norms: bool) -> None:
    """The model through one of torch's exporters."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    if dynamo:
        with quiet:
            torch.onnx.export(model, (x,), path, dynamo=True, optimize=not norms, external_data=False, verbose=False)
    else:
        # In evaluation mode this exporter folds batch norms, in training mode it keeps them.
        mode = torch.onnx.TrainingMode.PRESERVE if norms else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(model, (x,), path, dynamo=False, training=mode, opset_version=17,
                          do_constant_folding=not norms)


class Row:
    """The figures of an architecture."""

    def __init__(self, name: str, library: str):
        self.cells, self.holds = [name, library], True

    def add(self, check) -> None:
        """Runs a check that gives a difference."""
        try:
            found = check()
            self.cells.append("" if found is None else f"{found:.1e}")
            self.holds &= found is None or found <= BOUND
        except Exception as error:
            self.cells.append(str(error).splitlines()[0][:200])
            self.holds = False

    def line(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def architecture(subject, options, folder: Path) -> Row:
    """Every check of an architecture."""
    model, _ = subject.build()
    randomise(model, sum(map(ord, subject.name)))
    x = torch.randn(2, 3, options.side, options.side, generator=torch.Generator().manual_seed(1))
    wanted = by_torch(model, x)
    own = model.model if isinstance(model, Logits) else model
    weights = folder / "weights.pth"
    torch.save(own.state_dict(), weights)
    named = ["--model", subject.asked] if subject.asked else []
    if isinstance(subject, Transformers):
        weights = folder / "own"
        own.save_pretrained(weights)
    row, graph = Row(subject.name, subject.library), folder / "x.onnx"

    def exported(*flags):
        residual(options, "export", "--weights", weights, *named, "--out", graph, *flags)
        onnx.checker.check_model(graph, full_check=True)
        return difference(by_onnxruntime(graph, x.numpy()), wanted)

    def imported(dynamo: bool, norms: bool):
        given, back = folder / "given.onnx", folder / "back.safetensors"
        traced(model, x, given, dynamo, norms)
        residual(options, "import", given, "--out", back)
        residual(options, "export", "--weights", back, "--out", graph)
        return difference(by_onnxruntime(graph, x.numpy()), wanted)

    def strict():
        saved = folder / "saved.pth"
        residual(options, "export", "--weights", weights, *named, "--format", "torch", "--out", saved)
        other, _ = subject.build()
        other = other.model if isinstance(other, Logits) else other
        other.load_state_dict(torch.load(saved, weights_only=True), strict=True)
        other.eval()
        return difference(by_torch(Logits(other) if isinstance(model, Logits) else other, x), wanted)

    def own_folder():
        if isinstance(subject, Timm):
            import timm

            residual(options, "export", "--weights", weights, *named, "--format", "timm", "--out", folder / "timm")
            other = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True)
        elif isinstance(subject, Transformers):
            from transformers import AutoModelForImageClassification

            residual(options, "export", "--weights", weights, "--format", "transformers", "--out", folder / "hf")
            other = Logits(AutoModelForImageClassification.from_pretrained(folder / "hf"))
        else:
            return None
        return difference(by_torch(other.eval(), x), wanted)

    row.add(exported)
    row.add(lambda: difference(by_openvino(graph, x.numpy()), wanted))
    row.add(lambda: exported("--training"))
    for dynamo in (False, True):
        for norms in (False, True):
            row.add(lambda: imported(dynamo, norms))
    row.add(strict)
    row.add(own_folder)
    return row


def from_elsewhere(name: str, build, options, folder: Path) -> Row:
    """A graph as another tool writes it, there and back."""
    row, given, back, graph = Row(name, "", ), folder / "given.onnx", folder / "back.safetensors", folder / "x.onnx"

    def check():
        model = build()
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, given)
        last = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value == 3
        x = np.random.default_rng(1).normal(0, 1, (2, 3, options.zoo_side, options.zoo_side)).astype(np.float32)
        wanted = by_onnxruntime(given, x.transpose(0, 2, 3, 1) if last else x)
        residual(options, "import", given, "--out", back)
        softmax = ["--softmax"] if model.graph.node[-1].op_type == "Softmax" else []
        residual(options, "export", "--weights", back, "--out", graph, *softmax)
        if model.graph.node[1].op_type == "Conv" and model.graph.node[0].op_type == "BatchNormalization":
            x = on_image(model, x)
        return difference(by_onnxruntime(graph, x), wanted)

    row.add(check)
    return row


def on_image(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """What the batch norm on the image gives: after the import it is a part of the normalisation of images."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    node = model.graph.node[0]
    gain, shift, mean, variance = (constants[name].reshape(-1, 1, 1).astype(np.float64) for name in node.input[1:])
    epsilon = next(attribute.f for attribute in node.attribute if attribute.name == "epsilon")
    return ((x - mean) / np.sqrt(variance + epsilon) * gain + shift).astype(np.float32)


PREPROCESSINGS = {
    "bilinear": ["--interpolation", "bilinear"],
    "bicubic": ["--interpolation", "bicubic"],
    "nearest": ["--interpolation", "nearest"],
    "stretched": ["--resize", "200x300", "--crop", "160x200"],
    "covering": ["--resize", "cover:200x300", "--crop", "161x200"],
    "within, filled up": ["--resize", "within:224x224", "--fill", "mean"],
}


def preprocessing(name: str, flags: list[str], options, folder: Path) -> Row:
    """Pixels of the graph against the tool's own, by `residual verify --preprocess`: the largest difference in grey levels
    and the number of photographs."""
    import timm
    from PIL import Image
    from safetensors.numpy import save_file

    weights, graph = folder / "weights.pth", folder / "pixels.onnx"
    torch.save(timm.create_model("resnet18").state_dict(), weights)
    residual(options, "export", "--weights", weights, "--model", "timm_resnet18", "--out", graph, "--preprocess", *flags)
    onnx.checker.check_model(graph, full_check=True)
    proto = onnx.load(graph)
    described = next(entry.value for entry in proto.metadata_props if entry.key == "preprocess")
    (folder / "preprocess.json").write_text(json.dumps({"preprocess": json.loads(described)}))
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("pixels.normalised", 1, ["n", 3, "h", "w"]))
    onnx.save(proto, graph)
    for photo in sorted(options.photos.iterdir()):
        image = Image.open(photo).convert("RGB")
        image.save(folder / f"{photo.stem}.png")
        pixels = by_onnxruntime(graph, np.asarray(image)[None])[0]
        save_file({"pixels": pixels}, folder / f"{photo.stem}.safetensors")
    run = subprocess.run([options.binary, "verify", "--preprocess", str(folder), "--json"], capture_output=True, text=True)
    found = [json.loads(line) for line in run.stdout.splitlines()]
    row = Row(name, f"{len(found)} photographs")
    row.holds = run.returncode == 0 and bool(found)
    row.cells.append(f"{max(each['largest'] for each in found):.2f}" if found else run.stderr.strip()[:200])
    return row


def section(title: str, columns: list[str], rows, out: list[str]) -> bool:
    """A table, printed as it comes."""
    def say(line):
        out.append(line)
        print(line, flush=True)

    holds = True
    say(f"\n## {title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        say(row.line())
        holds &= row.holds
    return holds


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--photos", type=Path, help="folder of photographs for the preprocessing")
    parser.add_argument("--only", nargs="*", help="names, of which others are left out")
    parser.add_argument("--largest", type=int, default=200_000_000, help="parameters")
    parser.add_argument("--side", type=int, default=128, help="of the images")
    parser.add_argument("--zoo-side", type=int, default=64, help="of the images of graphs from elsewhere")
    parser.add_argument("--scratch", help="folder for the files")
    parser.add_argument("--out", type=Path, help="file for the tables")
    options = parser.parse_args()

    def in_folder(check, *arguments):
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            return check(*arguments, options, Path(folder))

    def chosen():
        for subject in subjects():
            if options.only and subject.name not in options.only:
                continue
            parameters = sum(parameter.numel() for parameter in subject.build()[0].parameters())
            if parameters <= options.largest:
                yield in_folder(architecture, subject)

    lines: list[str] = []
    holds = section("Architectures", COLUMNS, chosen(), lines)
    if not options.only or "elsewhere" in options.only:
        rows = (in_folder(from_elsewhere, name, build) for name, build in graphs(options.zoo_side))
        holds &= section("Graphs of other tools", ["graph", "", "difference"], rows, lines)
    if options.photos and (not options.only or "pixels" in options.only):
        rows = (in_folder(preprocessing, name, flags) for name, flags in PREPROCESSINGS.items())
        holds &= section("Preprocessing in the graph", ["preprocessing", "", "grey levels"], rows, lines)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
