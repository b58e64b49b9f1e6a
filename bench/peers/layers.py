"""Measures single layers in turns with PyTorch, ONNX Runtime and OpenVINO.

    python bench/peers/layers.py --quick --only '3x3 batch 16' --passes forward

Prints, for each layer and pass, how many times as fast as the best peer this project is, and writes all
times as JSON, from which `report.py` makes tables.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import geometric_mean

import machine
import onnx_peers
import ours
import torch_peer
from shapes import DATA, FORWARD, PASSES, Layer, layers
from timing import QUICK, Effort, in_turns


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="numbers of threads (2)")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES, help="all by default")
    parser.add_argument("--only", action="append", default=[], help="part of a layer's name or group")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it works")
    parser.add_argument("--out", type=Path, default=ours.ROOT / "runs/peers.json", help="the results' file")
    return parser.parse_args()


def peers_of(which: str, layer: Layer, threads: int) -> dict:
    """Every way of every peer to compute a pass of a layer."""
    found = torch_peer.contenders(which, layer, threads)
    if which == FORWARD:
        found |= onnx_peers.contenders(layer, threads)
    return found


def measure(child: ours.Child, which: str, layer: Layer, threads: int, effort: Effort) -> dict:
    """One line of the results."""
    algorithm, contender = child.prepare(which, layer)
    milliseconds, peers = in_turns(contender, peers_of(which, layer, threads), effort)
    best = min(peers, key=peers.get)
    return {
        "layer": str(layer),
        "group": layer.group,
        "pass": which,
        "threads": threads,
        "algorithm": algorithm,
        "ms": milliseconds,
        "gflops": layer.operations / milliseconds / 1e6,
        "peers": peers,
        "best": best,
        "ratio": peers[best] / milliseconds,
    }


def show(result: dict) -> None:
    """Prints a line of the results."""
    name = f"{result['layer']} {result['pass']}, {result['threads']} threads"
    times = f"{result['ms']:9.3f} ms, {result['best']} {result['peers'][result['best']]:9.3f} ms"
    print(f"{name:46} {result['algorithm']:20} {times:48} ratio {result['ratio']:.2f}", flush=True)


def summarise(results: list[dict]) -> None:
    """Prints the geometric mean of each group's ratios."""
    groups = defaultdict(list)
    for result in results:
        groups[f"{result['group']} {result['pass']}, {result['threads']} threads"].append(result["ratio"])
    for group, ratios in groups.items():
        mean = geometric_mean(ratios)
        print(f"mean over {len(ratios):2} of {group}: {mean:.2f} times as fast as the best peer")


def main() -> None:
    """Measures what the command line asks for."""
    asked = arguments()
    wanted = [
        (layer, which)
        for layer in layers()
        for which in asked.passes
        if all(word in f"{layer} {layer.group}" for word in asked.only)
        # Nothing needs the gradient by an image.
        and not (which == DATA and layer.ins == 3)
    ]
    if not wanted:
        raise SystemExit(f"no layer's name or group contains all of {asked.only}")
    binary = ours.build()
    results = []
    for threads in asked.threads:
        child = ours.Child(binary, threads)
        for layer, which in wanted:
            results.append(measure(child, which, layer, threads, QUICK if asked.quick else Effort()))
            show(results[-1])
        child.close()
    summarise(results)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"machine": machine.describe(), "results": results}, indent=1))
    print(f"written to {asked.out}; report.py makes tables of it")


if __name__ == "__main__":
    main()
