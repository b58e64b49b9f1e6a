"""How far data-parallel training goes: a model of a step, from measured layers.

    python bench/scale/model.py --binary target/release/residual --model resnet50 --batch 32
    python bench/scale/model.py --binary ... --images-per-second 350       # layers scaled to a faster processor

Of a step on R ranks of b images each:

    compute      the measured forward and backward times of each layer and the optimiser's, scaled if asked for
    stragglers   the slowest of R ranks, whose times vary by a share c: compute (1 + c sqrt(2 ln R))
    buckets      gradients of layers, from the last to the first, in buckets of at least 25 MB; a bucket leaves when its
                 last gradient is there and the bucket before has gone
    ring         2 (R - 1) (a + n / (R w)) for n bytes, latency a and bandwidth w (Patarasuk and Yuan 2009)
    tree         2 ceil(log2 R) (a + n / w), up and down a binary tree
    direct       2 (a + (R - 1) o) + ((R - 1) / R) (m + 1) n / w, with o = 1 us a message: what this project does behind the backward pass, where each rank sends
                 every other its part of m partial sums, and then the sum; nothing is hidden behind the computation

Printed are images a second and the efficiency beside R times one rank, on 1, 10 and 100 Gbit/s. `--measured ranks.json`
holds the model against step times that were measured (bench/scale/links.py)."""

import argparse
import json
import math
import subprocess
from pathlib import Path

BUCKET = 25 << 20
OPERATIONS = ("convolution", "block", "linear")


class Layers:
    """Times of a step on one rank, in seconds, and the bytes of each gradient in the order of the backward pass."""

    def __init__(self, forward, backward, optimiser):
        self.forward, self.backward, self.optimiser = forward, backward, optimiser

    @classmethod
    def measured(cls, binary, model, batch, threads, steps):
        run = lambda *call: json.loads(subprocess.run([binary, *call, "--json"], capture_output=True, text=True, check=True).stdout)
        times = run("bench", "train", "--model", model, "--batch", str(batch), "--blocks",
                    "--threads", str(threads), "--steps", str(steps))["blocks"]
        summary = run("summary", model)
        places = [summary["stem"], *summary["blocks"], summary["head"]]
        with_weights = [row for row in times if row["what"].startswith(OPERATIONS)]
        extra = len(with_weights) - len(places)
        bytes_of = [4 * place["parameters"] for place in places]
        # A stem of several convolutions: its gradients are there with its first one.
        sizes = iter(bytes_of[:1] + [0] * extra + bytes_of[1:])
        backward = [
            (row["backward_ms"] / 1e3, next(sizes) if row["what"].startswith(OPERATIONS) else 0) for row in times
        ]
        optimiser = sum(row["forward_ms"] for row in times if row["what"] == "optimiser") / 1e3
        forward = sum(row["forward_ms"] for row in times) / 1e3 - optimiser
        return cls(forward, backward[::-1], optimiser)

    def compute(self):
        return self.forward + sum(time for time, _ in self.backward) + self.optimiser

    def bytes(self):
        return sum(size for _, size in self.backward)

    def scaled(self, factor):
        return Layers(self.forward * factor, [(t * factor, n) for t, n in self.backward], self.optimiser * factor)

    def buckets(self, start, slow):
        """Time at which each bucket is there, and its bytes."""
        found, held, now = [], 0, start
        for time, size in self.backward:
            now, held = now + time * slow, held + size
            if held >= BUCKET:
                found.append((now, held))
                held = 0
        return found + ([(now, held)] if held else []), now


def ring(n, ranks, latency, bandwidth):
    return 2 * (ranks - 1) * (latency + n / (ranks * bandwidth))


def tree(n, ranks, latency, bandwidth):
    return 2 * math.ceil(math.log2(ranks)) * (latency + n / bandwidth)


def direct(n, ranks, latency, bandwidth, parts=1):
    return 2 * (latency + (ranks - 1) * 1e-6) + (ranks - 1) / ranks * (parts + 1) * n / bandwidth


def slowest(ranks, spread):
    """The slowest of so many ranks, whose times are normal with this deviation, as a share of the mean."""
    return 1 + spread * math.sqrt(2 * math.log(ranks))


def step(layers, ranks, latency, bandwidth, spread, by):
    """Seconds of a step."""
    slow = slowest(ranks, spread)
    if ranks == 1:
        return layers.compute()
    buckets, end = layers.buckets(layers.forward * slow, slow)
    if by == "direct":
        return end + direct(layers.bytes(), ranks, latency, bandwidth) + layers.optimiser
    free = 0.0
    for ready, size in buckets:
        once = min(f(size, ranks, latency, bandwidth) for f in ((ring, tree) if by == "best" else ({"ring": ring, "tree": tree}[by],)))
        free = max(free, ready) + once
    return max(end, free) + layers.optimiser


def draw(layers, batch, latency, spread):
    print(f"one rank: {batch} images in {1e3 * layers.compute():.0f} ms, {batch / layers.compute():.1f} images/s, "
          f"gradients of {layers.bytes() / 1e6:.1f} MB; latency {1e6 * latency:.0f} us, deviation {100 * spread:.0f}%")
    print("efficiency, %: buckets by ring or tree, whichever is faster | direct, behind the backward pass")
    print(f"{'ranks':>6} {'batch':>8} " + " ".join(f"{g:>5} Gbit/s      " for g in (1, 10, 100)))
    ranks = 1
    while ranks <= 4096:
        cells = []
        for gigabits in (1, 10, 100):
            bandwidth = gigabits * 1e9 / 8
            share = [layers.compute() / step(layers, ranks, latency, bandwidth, spread, by) for by in ("best", "direct")]
            cells.append(f"{100 * share[0]:8.1f} | {100 * share[1]:6.1f}")
        print(f"{ranks:6} {ranks * batch:8} " + "  ".join(cells))
        ranks *= 2


def compare(path):
    """Model and measurement of a direct exchange: one line a case."""
    worst = 0.0
    for case in json.loads(Path(path).read_text()):
        # Compute is that of the same job on links that are not throttled.
        wanted = case["free_seconds"] + direct(case["bytes"], case["ranks"], case["latency"], case["bandwidth"], case["parts"])
        error = wanted / case["seconds"] - 1
        worst = max(worst, abs(error))
        print(f"{case['ranks']} ranks, {case['bandwidth'] * 8 / 1e6:.0f} Mbit/s, {case['parts']} partial sums: "
              f"measured {case['seconds']:.3f} s, model {wanted:.3f} s ({100 * error:+.1f}%)")
    print(f"worst: {100 * worst:.1f}%")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/residual")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch", type=int, default=32, help="images of a rank")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--images-per-second", type=float, help="of one rank, in place of what is measured")
    parser.add_argument("--latency", type=float, default=20e-6, help="seconds")
    parser.add_argument("--spread", type=float, default=0.02, help="deviation of the ranks' times, as a share")
    parser.add_argument("--measured", help="step times to hold the model against")
    arguments = parser.parse_args()
    if arguments.measured:
        return compare(arguments.measured)
    layers = Layers.measured(arguments.binary, arguments.model, arguments.batch, arguments.threads, arguments.steps)
    if arguments.images_per_second:
        layers = layers.scaled(arguments.batch / arguments.images_per_second / layers.compute())
    draw(layers, arguments.batch, arguments.latency, arguments.spread)


if __name__ == "__main__":
    main()
