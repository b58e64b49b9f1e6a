"""Training steps of whole networks beside PyTorch's, in the same run, in turns.

    python bench/peers/train.py [--threads N] [--rounds N] [--only NAME,...] [--no-compile] [--binary PATH]

A step is forward, mean cross-entropy, backward and SGD with momentum, on a batch that stays the same. PyTorch
runs channels_last, eagerly and through torch.compile where that works; the faster of the two counts. Compiling takes
up to three minutes a process, and was no faster than eager on two cores: --no-compile leaves it out. Every side
is a process of its own, so that its peak memory is its own; the sides take turns, round by round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CASES = [
    ("small", 128, 32),
    ("cifar_resnet20", 128, 32),
    ("resnet18", 16, 224),
    ("resnet50", 8, 224),
]


def ours(case, threads, steps, binary):
    name, batch, _ = case
    command = [binary, "bench", "train", "--model", name, "--batch", str(batch), "--steps", str(steps),
               "--threads", str(threads), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report["median_ms"], report["peak_rss_mib"]


def theirs(case, threads, steps, compiled):
    name, batch, size = case
    command = [sys.executable, __file__, "--worker", name, str(batch), str(size), str(threads), str(steps),
               str(int(compiled))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None
    report = json.loads(done.stdout.splitlines()[-1])
    return report["median_ms"], report["peak_rss_mib"]


def worker(name, batch, size, threads, steps, compiled):
    import resource
    import time

    import torch

    from networks import NETWORKS, made

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = next(network for network in NETWORKS if network.name == name)
    net = made(network).to(memory_format=torch.channels_last).train()
    net.requires_grad_(True)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % network.classes
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)
    run = torch.compile(net) if compiled else net
    times = []
    for step in range(steps + 3):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(run(x), labels).backward()
        optimiser.step()
        times.append(1e3 * (time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"median_ms": statistics.median(times[3:]), "peak_rss_mib": peak}))


def compare(case, arguments):
    """Median milliseconds and greatest memory of every side."""
    sides = {
        "residual": lambda: ours(case, arguments.threads, arguments.steps, arguments.binary),
        "pytorch": lambda: theirs(case, arguments.threads, arguments.steps, False),
    }
    if not arguments.no_compile:
        sides["compiled"] = lambda: theirs(case, arguments.threads, arguments.steps, True)
    found = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, run in sides.items():
            if (result := run()) is not None:
                found[side].append(result)
    return {side: (statistics.median(ms for ms, _ in all), max(mib for _, mib in all), [ms for ms, _ in all])
            for side, all in found.items() if all}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--binary", default=str(ROOT / "target/release/residual"))
    arguments = parser.parse_args()
    only = set(filter(None, arguments.only.split(",")))
    print(f"{arguments.threads} threads; milliseconds a step (spread over rounds), MiB at most")
    for case in CASES:
        if only and case[0] not in only:
            continue
        result = compare(case, arguments)
        ours_ms, ours_mib, _ = result["residual"]
        peers = {side: value for side, value in result.items() if side != "residual"}
        for side, (ms, mib, all) in result.items():
            print(f"{case[0]:16} batch {case[1]:4}  {side:9} {ms:9.1f} ms "
                  f"({min(all):.1f} to {max(all):.1f})  {mib:7.0f} MiB")
        if peers:
            best = min(ms for ms, _, _ in peers.values())
            least = min(mib for _, mib, _ in peers.values())
            print(f"{case[0]:16} batch {case[1]:4}  {best / ours_ms:.2f} times as fast as the best, "
                  f"{ours_mib / least:.2f} of its memory", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--worker":
        name, *numbers = sys.argv[2:]
        batch, size, threads, steps, compiled = map(int, numbers)
        worker(name, batch, size, threads, steps, bool(compiled))
    else:
        main()
