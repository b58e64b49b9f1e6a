"""Measures whole networks in turns with PyTorch, ONNX Runtime and OpenVINO.

    python bench/peers/infer.py --quick --only resnet18 --batches 1

The same weights for all, outputs compared before anything is measured. Prints, for each network and batch,
how many times as fast as the best peer this project is, and the peak memory of each in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import numpy
import ours
import torch
import whole
from networks import NETWORKS, Network, images, made
from timing import QUICK, Contender, Effort, in_turns, runs_of
from whole import PEERS, prepare

# Of the greatest logit.
TOLERANCE = 2e-4
LARGE, LITTLE = [1, 16], [1, 64]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1], help="numbers of threads (2 and 1)")
    parser.add_argument("--batches", type=int, nargs="+", help="1 and 16, of small images 1 and 64")
    parser.add_argument("--only", action="append", default=[], help="a network's name")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it works")
    parser.add_argument("--out", type=Path, default=ours.ROOT / "runs/infer.json", help="the results' file")
    return parser.parse_args()


def export(network: Network, batch: int, folder: Path) -> dict[str, Path]:
    """The weights, the input and the ONNX model, as files."""
    paths = {kind: folder / f"{network.name}_{batch}.{kind}" for kind in ("pth", "raw", "onnx")}
    module, x = made(network), images(network, batch)
    torch.save(module.state_dict(), paths["pth"])
    x.numpy().tofile(paths["raw"])
    torch.onnx.export(
        module, (x,), str(paths["onnx"]), input_names=["x"], output_names=["y"], opset_version=17, dynamo=False
    )
    return paths


def compare(name: str, found: numpy.ndarray, wanted: numpy.ndarray) -> float:
    """The largest difference, of the greatest logit; too large a one ends everything."""
    error = float(numpy.abs(found.reshape(-1) - wanted.reshape(-1)).max() / numpy.abs(wanted).max())
    if not error <= TOLERANCE:
        raise SystemExit(f"{name}: logits differ by {error:.1e}")
    return error


def peak_of(peer: str, network: Network, batch: int, threads: int, paths: dict[str, Path]) -> float:
    """MiB that a process holds at most which does nothing else and imports no other peer."""
    asked = [peer, network.name, str(batch), str(threads), str(paths["onnx"]), str(paths["raw"])]
    output = subprocess.run([sys.executable, whole.__file__, *asked], check=True, stdout=subprocess.PIPE, text=True)
    return float(output.stdout.split()[-1])


def ours_of(binary: str, network: Network, batch: int, threads: int, paths: dict[str, Path]) -> ours.Child:
    """This project's side, with the network loaded."""
    child = ours.Child(binary, threads)
    child.ask(f"network {network.name} {batch} {paths['pth']} {paths['raw']}", "ready")
    return child


def measure(binary: str, network: Network, batch: int, threads: int, effort: Effort) -> dict:
    """One line of the results."""
    with tempfile.TemporaryDirectory() as folder:
        paths = export(network, batch, Path(folder))
        with torch.inference_mode():
            wanted = made(network)(images(network, batch)).numpy()
        child = ours_of(binary, network, batch, threads, paths)
        logits = numpy.array(child.ask("logits", "logits").split(), dtype=numpy.float32)
        error = compare("residual", logits, wanted)
        x = images(network, batch).numpy()
        calls = {peer: prepare(peer, network.name, threads, paths["onnx"], x) for peer in PEERS}
        for peer, call in calls.items():
            compare(peer, call(), wanted)
        own: Contender = lambda runs: float(child.ask(f"run {runs}", "ms"))
        milliseconds, peers = in_turns(own, {peer: runs_of(call) for peer, call in calls.items()}, effort)
        memory = float(child.ask("memory", "mib"))
        child.close()
        peaks = {peer: peak_of(peer, network, batch, threads, paths) for peer in PEERS}
    best = min(peers, key=peers.get)
    return {
        "network": network.name,
        "batch": batch,
        "threads": threads,
        "ms": milliseconds,
        "peers": peers,
        "best": best,
        "ratio": peers[best] / milliseconds,
        "error": error,
        "mib": memory,
        "peers_mib": peaks,
        "memory_ratio": memory / min(peaks.values()),
    }


def show(result: dict) -> None:
    """Prints a line of the results."""
    name = f"{result['network']} batch {result['batch']}, {result['threads']} threads"
    times = f"{result['ms']:9.3f} ms, {result['best']} {result['peers'][result['best']]:9.3f} ms"
    least = min(result["peers_mib"], key=result["peers_mib"].get)
    memory = f"{result['mib']:.0f} MiB, {least} {result['peers_mib'][least]:.0f}, {result['memory_ratio']:.2f}"
    print(f"{name:38} {times:46} ratio {result['ratio']:.2f}   {memory}", flush=True)


def main() -> None:
    """Measures what the command line asks for."""
    asked = arguments()
    wanted = [network for network in NETWORKS if not asked.only or network.name in asked.only]
    if not wanted:
        raise SystemExit(f"no network is called {asked.only}")
    binary = ours.build("network")
    effort = QUICK if asked.quick else Effort(rounds=9, turn=400.0)
    results = []
    for threads in asked.threads:
        for network in wanted:
            for batch in asked.batches or (LARGE if network.size > 64 else LITTLE):
                results.append(measure(binary, network, batch, threads, effort))
                show(results[-1])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"machine": machine.describe(), "results": results}, indent=1))
    print(f"written to {asked.out}")


if __name__ == "__main__":
    main()
