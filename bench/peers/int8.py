"""Measures whole networks in 8 bits in turns with OpenVINO's, which NNCF quantises.

    python bench/peers/int8.py --only resnet18 --batches 16

The same weights and the same calibration images for both. OpenVINO runs in a process of its own, and once more held to the
instructions before AMX (`ONEDNN_MAX_CPU_ISA`) where the processor has that. Prints the milliseconds of each, and how many
times as fast as OpenVINO, with and without AMX, this project is. `requirements.txt` has OpenVINO; NNCF is
`pip install nncf`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import machine
import numpy
import ours
import torch
from networks import NETWORKS, Network, images, made
from timing import QUICK, Contender, Effort, Times, runs_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WITHOUT_AMX = "AVX512_CORE_VNNI"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="numbers of threads (2)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16], help="batch sizes (1 and 16)")
    parser.add_argument("--only", action="append", default=[], help="a network's name (resnet18 and resnet50)")
    parser.add_argument("--images", type=int, default=32, help="calibration images (32)")
    parser.add_argument("--bits", default="8", help="bits of our weights, 7 or 8 (8)")
    parser.add_argument("--residual", help="the command line's binary, where it is built already")
    parser.add_argument("--driver", help="the driver `network`, where it is built already")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it works")
    parser.add_argument("--keep", type=Path, help="folder that keeps the networks in 8 bits for another run")
    parser.add_argument("--out", type=Path, default=ours.ROOT / "runs/int8.json", help="the results' file")
    parser.add_argument("--serve", nargs=3, metavar=("MODEL", "THREADS", "INPUT"), help=argparse.SUPPRESS)
    return parser.parse_args()


@dataclass(frozen=True)
class Files:
    """What both sides read."""

    weights: Path
    int8: Path
    openvino: Path
    raw: Path


def photographs(count: int, size: int) -> numpy.ndarray:
    """Smooth random pictures, `[count][size][size][3]` bytes."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 9, 9, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    noise = 0.05 * torch.randn(count, 3, size, size, generator=generator)
    return ((fine + noise).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()


def quantised(network: Network, folder: Path, residual: str, asked: argparse.Namespace) -> tuple[Path, Path, Path]:
    """Our weights in float32 and in 8 bits, and the model that NNCF makes of the same."""
    weights, int8, xml = (folder / f"{network.name}.{end}" for end in ("pth", f"{asked.bits}.safetensors", "xml"))
    if int8.exists() and xml.exists():
        return weights, int8, xml
    import nncf
    import openvino
    from PIL import Image

    module = made(network)
    torch.save(module.state_dict(), weights)
    pictures = photographs(asked.images, network.size)
    (folder / "pictures").mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "pictures" / f"{number}.png")
    # Random weights: every layer in 8 bits, however much it changes.
    given = ["--weights", weights, "--model", network.name, "--data", folder / "pictures", "--most-error", "100"]
    command = [residual, "quantize", *given, "--images", asked.images, "--weight-bits", asked.bits, "--out", int8]
    subprocess.run([str(word) for word in command], check=True)
    onnx = folder / f"{network.name}.onnx"
    names = {"input_names": ["x"], "output_names": ["y"], "opset_version": 17, "dynamo": False}
    torch.onnx.export(module, (images(network, 1),), str(onnx), dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, **names)
    x = (pictures.astype(numpy.float32) / 255 - MEAN) / STD
    x = x.transpose(0, 3, 1, 2).astype(numpy.float32)
    data = nncf.Dataset([x[n : n + 1] for n in range(len(x))])
    model = nncf.quantize(openvino.Core().read_model(str(onnx)), data, subset_size=len(x))
    openvino.save_model(model, str(xml), compress_to_fp16=False)
    return weights, int8, xml


def serve(model: str, threads: int, raw: str) -> None:
    """OpenVINO's side: answers `run COUNT` with the milliseconds of the median run, `logits` with those."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    core = openvino.Core()
    network = core.read_model(model)
    values = numpy.fromfile(raw, dtype=numpy.float32)
    size = 224 if values.size % (3 * 224 * 224) == 0 else 32
    x = values.reshape(-1, 3, size, size)
    network.reshape(x.shape)
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x))

    def call() -> None:
        request.start_async()
        request.wait()

    contend = runs_of(call)
    for line in sys.stdin:
        word, *rest = line.split()
        milliseconds = contend(int(rest[0]) if word == "run" else 1)
        logits = " ".join(map(str, request.get_output_tensor().data.reshape(-1)))
        print(f"ms {milliseconds}" if word == "run" else f"logits {logits}", flush=True)


class Peer(ours.Child):
    """OpenVINO in a process of its own."""

    def __init__(self, files: Files, threads: int, isa: str | None):
        asked = [sys.executable, __file__, "--serve", str(files.openvino), str(threads), str(files.raw)]
        environment = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": isa} if isa else {})}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(asked, env=environment, **pipes)


def own(driver: str, network: Network, batch: int, threads: int, paths: tuple[Path, Path]) -> ours.Child:
    """This project's side, with the network loaded."""
    child = ours.Child(driver, threads)
    child.ask(f"network {network.name} {batch} {paths[0]} {paths[1]}", "ready")
    return child


def asking(child: ours.Child) -> Contender:
    """The contender that a process is."""
    return lambda runs: float(child.ask(f"run {runs}", "ms"))


def in_turns(contenders: dict[str, Contender], effort: Effort) -> dict[str, list[float]]:
    """Milliseconds of each contender's turns; who follows whom changes from round to round."""
    times = {name: Times(contender) for name, contender in contenders.items()}
    for each in times.values():
        each.contender(2)
        each.runs = max(1, round(effort.turn / max(each.contender(1), 1e-3)))
    order = list(times.values())
    for turn in range(effort.rounds):
        for each in order[turn % len(order) :] + order[: turn % len(order)]:
            each.take_turn(effort)
    return {name: each.turns for name, each in times.items()}


def has_amx() -> bool:
    """Whether the processor has AMX for bytes."""
    return "amx_int8" in Path("/proc/cpuinfo").read_text()


def measure(driver: str, network: Network, batch: int, threads: int, files: Files, effort: Effort) -> dict:
    """One line of the results."""
    images(network, batch).numpy().tofile(files.raw)
    children = {
        "int8": own(driver, network, batch, threads, (files.int8, files.raw)),
        "float32": own(driver, network, batch, threads, (files.weights, files.raw)),
        "openvino": Peer(files, threads, None),
    }
    if has_amx():
        children["openvino without AMX"] = Peer(files, threads, WITHOUT_AMX)
    turns = in_turns({name: asking(child) for name, child in children.items()}, effort)
    best = {name: median(values) for name, values in turns.items()}
    logits = {name: numpy.array(child.ask("logits", "logits").split(), numpy.float32) for name, child in children.items()}
    correlation = {name: float(numpy.corrcoef(values, logits["float32"])[0, 1]) for name, values in logits.items()}
    for child in children.values():
        child.close()
    peers = [name for name in best if name.startswith("openvino")]
    return {
        "network": network.name,
        "batch": batch,
        "threads": threads,
        "ms": best,
        "turns": turns,
        "ratios": {name: best[name] / best["int8"] for name in [*peers, "float32"]},
        "correlation": correlation,
    }


def show(result: dict) -> None:
    """Prints a line of the results."""
    name = f"{result['network']} batch {result['batch']}, {result['threads']} threads"
    times = ", ".join(f"{who} {ms:.2f} ms" for who, ms in result["ms"].items())
    ratios = ", ".join(f"{ratio:.2f} of {who}" for who, ratio in result["ratios"].items())
    print(f"{name:34} {times}; as fast as: {ratios}", flush=True)


def main() -> None:
    """Measures what the command line asks for."""
    asked = arguments()
    if asked.serve:
        model, threads, raw = asked.serve
        return serve(model, int(threads), raw)
    names = asked.only or ["resnet18", "resnet50"]
    package = ["cargo", "build", "--release", "--package", "residual", "--no-default-features", "--features", "cli"]
    residual = asked.residual or ours.built(package, "residual")
    driver = asked.driver or ours.build("network")
    effort = QUICK if asked.quick else Effort(rounds=9, turn=400.0)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for network in [network for network in NETWORKS if network.name in names]:
            files = Files(*quantised(network, folder, residual, asked), folder / "input.raw")
            for threads in asked.threads:
                for batch in asked.batches:
                    results.append(measure(driver, network, batch, threads, files, effort))
                    show(results[-1])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"machine": machine.describe(), "results": results}, indent=1))
    print(f"written to {asked.out}")


if __name__ == "__main__":
    main()
