"""A recipe in PyTorch and here: accuracy on a test set, over several seeds.

    python bench/peers/accuracy.py --data cifar10-images.tar.gz [--recipe sgd|adamw] [--a-class N] [--epochs 10]
        [--seeds 3] [--threads N] [--only residual|pytorch] [--model small] [--out FOLDER] [--binary PATH]

Both sides read the same recipe, below: `sgd` is SGD with Nesterov's momentum, four black pixels on every side and a
random cut, flips; `adamw` adds RandAugment, mixup and an average of the weights, which is what is evaluated. One-cycle,
batches of 128. --a-class N trains on the first N images of every class. PyTorch's images are decoded once, beforehand,
and its time does not count that; they are augmented by torchvision's v2 transforms, on tensors, a batch at a time where
the transform draws for every image and an image at a time where it draws once a call. The other side's time counts
everything. A line of JSON for every training: the accuracy after the last epoch, the seconds of the whole and of the
training of the median epoch (the one to look at: it counts no evaluation, and no work that the machine did meanwhile).
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


ONE_CYCLE = """
batch_size = 128
schedule = { kind = "one_cycle", pct_start = 0.3 }
"""

RECIPES = {
    "sgd": ONE_CYCLE + """
lr = 0.1
augment = [{ kind = "pad_crop", padding = 4 }, { kind = "horizontal_flip" }]

[optimiser]
kind = "sgd"
momentum = 0.9
nesterov = true
weight_decay = 5e-4
""",
    "adamw": ONE_CYCLE + """
lr = 4e-3
ema = { decay = 0.99 }
augment = [
    { kind = "pad_crop", padding = 4 },
    { kind = "horizontal_flip" },
    { kind = "rand_augment", num_ops = 2, magnitude = 9 },
]

[mix]
mixup = 0.2

[optimiser]
kind = "adamw"
weight_decay = 0.05
""",
}


def listing(arguments):
    """The data as a list of paths, labels and splits, of which `residual train` takes a list."""
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    folder, rows = out / "images", ["path,label,split"]
    with tarfile.open(arguments.data) as archive:
        if not folder.exists():
            archive.extractall(folder, filter="data")
    for path in sorted(folder.rglob("*.jpg")):
        split, label = path.parts[-3:-1]
        if split == "test" or arguments.a_class is None or path in first(path.parent, arguments.a_class):
            rows.append(f"{path.resolve()},{label},{split}")
    target = out / "list.csv"
    target.write_text("\n".join(rows) + "\n")
    return target


@functools.cache
def first(folder, count):
    """The first so many images of a class."""
    return set(sorted(folder.glob("*.jpg"))[:count])


def residual(arguments, seed, data):
    """A run of `residual train`: the last epoch's accuracy."""
    out = Path(arguments.out) / f"residual-{arguments.recipe}-{seed}"
    recipe = Path(arguments.out) / f"{arguments.recipe}.toml"
    recipe.write_text(RECIPES[arguments.recipe])
    command = [arguments.binary, "train", "--recipe", str(recipe), "--model", arguments.model, "--data", str(data),
               "--epochs", str(arguments.epochs), "--seed", str(seed), "--threads", str(arguments.threads),
               "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    averaged = "ema" in tomllib.loads(RECIPES[arguments.recipe])
    judged = [line for line in epochs if line["split"] == ("ema" if averaged else "test")]
    return {"top1": judged[-1]["top1"], "seconds": seconds, "epoch_seconds": statistics.median(trained(epochs))}


def trained(lines):
    """Seconds of training of every epoch, without evaluations."""
    before = 0.0
    for line in lines:
        if line["split"] == "train":
            yield line["seconds"] - before
        before = line["seconds"]


def median_step(marks):
    """The median of the differences of a list of times."""
    return statistics.median(after - before for before, after in zip(marks, marks[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--recipe", choices=RECIPES, default="sgd")
    parser.add_argument("--a-class", type=int, help="training images of a class; else all")
    parser.add_argument("--model", default="small")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=["residual", "pytorch"])
    parser.add_argument("--out", default="runs/accuracy")
    parser.add_argument("--binary", default=str(ROOT / "target/release/residual"))
    arguments = parser.parse_args()
    data = listing(arguments)
    sides = {"residual": lambda seed: residual(arguments, seed, data)}
    if arguments.only != "residual":
        from accuracy_torch import Training

        training = Training(tomllib.loads(RECIPES[arguments.recipe]), data, arguments)
        sides["pytorch"] = training.run
    for seed in range(arguments.seeds):
        for side in [arguments.only] if arguments.only else sides:
            line = {"side": side, "recipe": arguments.recipe, "model": arguments.model, "seed": seed}
            print(json.dumps(line | {"epochs": arguments.epochs} | sides[side](seed)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
