"""One recipe in PyTorch and here: accuracy on a test set, over several seeds.

    python bench/peers/accuracy.py --data cifar10-images.tar.gz [--epochs 10] [--seeds 3] [--threads N]
                                   [--only residual|pytorch] [--out FOLDER] [--binary PATH]

The small network, SGD with Nesterov's momentum 0.9, weight decay 5e-4 on weights alone, one-cycle to 0.1, batches of
128, four black pixels on every side and a random cut, flips. PyTorch's images are decoded once, beforehand, and its
time does not count that; the other side's time counts everything. A line of JSON for every training: the accuracy
after the last epoch, the seconds of the whole and of the median epoch (on a machine that did other work meanwhile,
the epoch's is the one to look at).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH, RATE, DECAY = 128, 0.1, 5e-4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def residual(arguments, seed):
    """A run of `residual train`: the last epoch's accuracy."""
    out = Path(arguments.out) / f"residual-{seed}"
    command = [arguments.binary, "train", "--model", "small", "--data", arguments.data, "--epochs",
               str(arguments.epochs), "--batch-size", str(BATCH), "--lr", str(RATE), "--seed", str(seed),
               "--threads", str(arguments.threads), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    marks = [0.0] + [line["seconds"] for line in epochs if line["split"] == "test"]
    return {"last": epochs[-1], "seconds": seconds, "epoch_seconds": median_step(marks)}


def median_step(marks):
    """The median of the differences of a list of times."""
    return statistics.median(after - before for before, after in zip(marks, marks[1:]))


def images(path):
    """Pixels and labels of `train` and `test`, in the order of classes."""
    import numpy as np
    import torch
    from PIL import Image

    found = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in archive:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) >= 3 and parts[-3] in found:
                image = Image.open(BytesIO(archive.extractfile(member).read())).convert("RGB")
                found[parts[-3]].append((parts[-2], parts[-1], np.asarray(image)))
    classes = sorted({name for name, _, _ in found["train"]})
    for part, rows in found.items():
        rows.sort(key=lambda row: row[:2])
        pixels = torch.from_numpy(np.stack([row[2] for row in rows])).permute(0, 3, 1, 2).contiguous()
        yield part, pixels, torch.tensor([classes.index(row[0]) for row in rows])


def augmented(pixels, generator):
    """Four black pixels on every side, a cut of the old size, a flip of every other image."""
    import torch

    count, _, height, width = pixels.shape
    padded = torch.nn.functional.pad(pixels, (4, 4, 4, 4))
    top, left = (torch.randint(0, 9, (count, 1), generator=generator) for _ in range(2))
    rows = (top + torch.arange(height))[:, None, :, None]
    columns = left + torch.arange(width)
    flip = torch.rand(count, generator=generator) < 0.5
    columns = torch.where(flip[:, None], columns.flip(1), columns)[:, None, None, :]
    index = torch.arange(count)[:, None, None, None]
    return padded[index, torch.arange(3)[None, :, None, None], rows, columns]


def initialised(seed):
    """The small network as it is initialised here: He's normal by fan-out, PyTorch's own linear layer."""
    import torch
    from networks import NETWORKS, ResNet

    torch.manual_seed(seed)
    net = ResNet(next(network for network in NETWORKS if network.name == "small"))
    for part in net.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return net.to(memory_format=torch.channels_last)


def optimiser(net, steps):
    """SGD and the one-cycle rate, the momentum constant."""
    import torch

    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    sgd = torch.optim.SGD(groups, lr=RATE, momentum=0.9, nesterov=True)
    return sgd, torch.optim.lr_scheduler.OneCycleLR(sgd, RATE, total_steps=steps, cycle_momentum=False)


def pytorch(arguments, seed, data):
    """The same training in PyTorch, channels_last: the last epoch's accuracy."""
    import torch

    def normalised(pixels):
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        return ((pixels / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    torch.set_num_threads(arguments.threads)
    net = initialised(seed)
    (pixels, labels), (test_pixels, test_labels) = data["train"], data["test"]
    steps = len(pixels) // BATCH
    sgd, rate = optimiser(net, steps * arguments.epochs)
    generator = torch.Generator().manual_seed(seed)
    start = time.perf_counter()
    marks = [0.0]
    for _ in range(arguments.epochs):
        net.train()
        order = torch.randperm(len(pixels), generator=generator)[: steps * BATCH]
        for batch in order.split(BATCH):
            sgd.zero_grad(set_to_none=True)
            x = normalised(augmented(pixels[batch], generator))
            torch.nn.functional.cross_entropy(net(x), labels[batch]).backward()
            sgd.step()
            rate.step()
        marks.append(time.perf_counter() - start)
    net.eval()
    with torch.no_grad():
        right = sum((net(normalised(x)).argmax(1) == y).sum().item()
                    for x, y in zip(test_pixels.split(250), test_labels.split(250)))
    seconds = time.perf_counter() - start
    return {"last": {"accuracy": right / len(test_pixels)}, "seconds": seconds,
            "epoch_seconds": median_step(marks)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=["residual", "pytorch"])
    parser.add_argument("--out", default="runs/accuracy")
    parser.add_argument("--binary", default=str(ROOT / "target/release/residual"))
    arguments = parser.parse_args()
    sides = [arguments.only] if arguments.only else ["residual", "pytorch"]
    data = {part: (x, y) for part, x, y in images(arguments.data)} if "pytorch" in sides else {}
    for seed in range(arguments.seeds):
        for side in sides:
            result = residual(arguments, seed) if side == "residual" else pytorch(arguments, seed, data)
            print(json.dumps({"side": side, "seed": seed, "epochs": arguments.epochs} | result), flush=True)


if __name__ == "__main__":
    sys.exit(main())
