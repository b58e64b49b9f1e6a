"""Where a network's time goes: layers of one stage that run on the same kernel, together.

    residual bench infer --model resnet18 --batch 16 --layers --json | python bench/stages.py --peak 535

The peak is that of multiply-adds, in GFLOP/s, as `cargo bench -p residual-kernels --bench conv` prints it.
"""

import argparse
import json
import sys


def stages(layers: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """Layers by stage and kernel, in the order in which they first come."""
    found: dict[tuple[str, str], list[dict]] = {}
    for layer in layers:
        stage, kernel = layer["name"].split(".")[0], layer["kernel"].split(" + ")[0]
        found.setdefault((stage, kernel), []).append(layer)
    return found


def main() -> None:
    """Reads a measurement and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak", type=float, required=True, help="GFLOP/s")
    peak = parser.parse_args().peak
    measured = json.load(sys.stdin)
    batch, layers = measured["batch"], measured["layers"]
    print(f"| `{measured['model']}`, batch {batch} | layers | ms an image | of the time | GFLOP/s | of the peak |")
    print("| --- | --- | --- | --- | --- | --- |")
    all_ms = sum(layer["ms"] for layer in layers)
    for (stage, kernel), group in stages(layers).items():
        ms = sum(layer["ms"] for layer in group)
        rate = sum(layer["gflops"] * layer["ms"] for layer in group) / ms
        rates = f"{rate:.0f} | {rate / peak:.2f}" if rate > 10 else " | "
        print(f"| {stage}, {kernel} | {len(group)} | {ms / batch:.3f} | {ms / all_ms:.0%} | {rates} |")


if __name__ == "__main__":
    main()
