"""Fine-tuning beside fastai's and timm's, on small sets made from what is at hand.

    python bench/peers/finetune.py --work DIR [--cifar cifar10-images.tar.gz] [--weights resnet20.th]
        [--sides residual,fastai,timm] [--sets two,ten,digits,FOLDER] [--seeds 0,1,2] [--epochs N]
        [--timm-rate RATE] [--fastai-rate RATE] [--binary PATH] [--fastai PYTHON]

Sets: `two` is 200 images of CIFAR-10's cats and dogs, `ten` 1,000 images of its ten classes, `digits` scikit-learn's
`load_digits` as PNG files of 8x8 pixels; any other is a folder with `train`, `val` and `test`. Each has a validation
set, which is all that any side may judge by, and a test set, on which what it leaves behind is measured once. All sides
get the same files and the same checkpoint, the ResNet-20 of akamaster/pytorch_resnet_cifar10 or --network of timm with
--weights. The peers: fastai's `fine_tune` with its defaults (an epoch of the head, then --epochs of all), and a plain
loop with the optimiser and schedule of timm's training script (SGD with Nesterov's momentum, cosine; rate 0.01) and its
augmentation (random resized crop, flip, colour jitter), the best epoch of which is kept. Time is user and system of the
process and its children, with --threads threads, from start to the last file.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TWO = ["cat", "dog"]


def make_cifar(folder: Path, archive: Path, classes: list[str] | None, counts: dict[str, int]):
    """Folders of so many images a class, the first ones of an order drawn once."""
    wanted: dict[tuple[str, str], list[str]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                split, name = member.name.split("/")[-3:-1]
                if classes is None or name in classes:
                    wanted.setdefault((split, name), []).append(member.name)
    draw, targets = random.Random(0), {}
    for (split, name), found in sorted(wanted.items()):
        found.sort()
        draw.shuffle(found)
        parts = {"test": counts["test"]} if split == "test" else {"train": counts["train"], "val": counts["val"]}
        for part, count in parts.items():
            targets |= {member: folder / part / name / Path(member).name for member in found[:count]}
            found = found[count:]
    # In the archive's order, which is read once.
    with tarfile.open(archive) as tar:
        for member in tar:
            if target := targets.get(member.name):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())


def make_digits(folder: Path):
    """scikit-learn's digits: 1,000 to train on, 200 to judge by, 597 to test."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = list(range(len(digits.target)))
    random.Random(0).shuffle(order)
    for place, index in enumerate(order):
        part = "train" if place < 1000 else "val" if place < 1200 else "test"
        target = folder / part / str(digits.target[index])
        target.mkdir(parents=True, exist_ok=True)
        pixels = np.round(digits.images[index] * 255 / 16).astype("uint8")
        Image.fromarray(pixels).save(target / f"{index:04}.png")


def made(name: str, arguments) -> Path:
    folder = arguments.work / name
    if not folder.exists() and name == "digits":
        make_digits(folder)
    elif not folder.exists() and name == "two":
        make_cifar(folder, arguments.cifar, TWO, {"train": 100, "val": 50, "test": 1000})
    elif not folder.exists() and name == "ten":
        make_cifar(folder, arguments.cifar, None, {"train": 100, "val": 30, "test": 300})
    return folder if folder.exists() else Path(name)


class Cifar:
    """The CIFAR ResNet of He et al. 2015, section 4.2, with the zero-padded shortcuts of akamaster's code."""

    def __new__(cls, blocks: int, classes: int):
        import torch
        from torch import nn
        from torch.nn import functional as F

        class Basic(nn.Module):
            def __init__(self, ins, outs, stride):
                super().__init__()
                self.conv1, self.bn1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False), nn.BatchNorm2d(outs)
                self.conv2, self.bn2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False), nn.BatchNorm2d(outs)
                self.widen = (outs - ins) // 2 if ins != outs or stride != 1 else None

            def forward(self, x):
                s = x if self.widen is None else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.widen, self.widen))
                h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
                return F.relu(h + s)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
                for number, (ins, outs) in enumerate([(16, 16), (16, 32), (32, 64)], 1):
                    first = Basic(ins, outs, 1 if number == 1 else 2)
                    rest = [Basic(outs, outs, 1) for _ in range(blocks - 1)]
                    setattr(self, f"layer{number}", nn.Sequential(first, *rest))
                self.linear = nn.Linear(64, classes)

            def features(self, x):
                x = F.relu(self.bn1(self.conv1(x)))
                return self.layer3(self.layer2(self.layer1(x)))

            def forward(self, x):
                return self.linear(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))

        return Net()


def network(arguments, classes: int):
    """The checkpoint's network, with a new head for so many classes, and the names of its head."""
    import torch

    state = torch.load(arguments.weights, map_location="cpu", weights_only=False)
    if arguments.network:
        import timm

        net = timm.create_model(arguments.network)
        net.load_state_dict(state.get("state_dict", state))
        net.reset_classifier(classes)
        return net
    state = {name.removeprefix("module."): value for name, value in state["state_dict"].items()}
    net = Cifar(3, classes)
    kept = {name: value for name, value in state.items() if not name.startswith("linear")}
    net.load_state_dict(kept, strict=False)
    return net


def size_of(arguments) -> int:
    return 224 if arguments.network else 32


def measured(net, folder: Path, size: int) -> float:
    """Accuracy on a folder of images, the shorter side brought to size and the centre cut out."""
    import torch
    from torchvision import datasets, transforms as T

    resize = T.Resize(round(size * 256 / 224) if size == 224 else size)
    transform = T.Compose([resize, T.CenterCrop(size), T.ToTensor(), T.Normalize(MEAN, STD)])
    images = datasets.ImageFolder(folder, transform)
    correct = 0
    net.eval()
    with torch.inference_mode():
        for x, labels in torch.utils.data.DataLoader(images, 64):
            correct += (net(x).argmax(1) == labels).sum().item()
    return correct / len(images)


def timm_worker(arguments, data: Path, seed: int, net_out: list):
    """A plain loop with timm's optimiser, schedule, augmentation and loss."""
    import torch
    from timm.data import create_transform
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from torchvision import datasets

    torch.manual_seed(seed)
    random.seed(seed)
    size = size_of(arguments)
    train = create_transform(size, is_training=True, mean=MEAN, std=STD, color_jitter=0.4, interpolation="bilinear")
    images = datasets.ImageFolder(data / "train", train)
    net = network(arguments, len(images.classes))
    optimiser = create_optimizer_v2(net, opt="sgd", lr=arguments.timm_rate, momentum=0.9, weight_decay=2e-5)
    scheduler = CosineLRScheduler(optimiser, t_initial=arguments.epochs)
    loader = torch.utils.data.DataLoader(images, 32, shuffle=True, drop_last=len(images) > 32)
    best, kept = -1.0, None
    for epoch in range(arguments.epochs):
        scheduler.step(epoch)
        net.train()
        for x, labels in loader:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x), labels).backward()
            optimiser.step()
        accuracy = measured(net, data / "val", size)
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    net_out.append(net)


def fastai_worker(arguments, data: Path, seed: int, net_out: list):
    """fastai's `fine_tune` with its defaults, on the same network and files."""
    import torch
    from fastai.vision.all import (CrossEntropyLossFlat, ImageDataLoaders, Learner, Normalize, Resize, accuracy,
                                   aug_transforms, params, set_seed)

    set_seed(seed, reproducible=True)
    size = size_of(arguments)
    item, batch = Resize(size), [Normalize.from_stats(MEAN, STD)]
    if arguments.network:
        item, batch = Resize(round(size * 1.5)), [*aug_transforms(size=size, min_scale=0.75), *batch]
    loaders = ImageDataLoaders.from_folder(data, train="train", valid="val", item_tfms=item, batch_tfms=batch,
                                           bs=min(64, sum(1 for _ in (data / "train").rglob("*.*")) // 4),
                                           num_workers=0)
    net = network(arguments, loaders.c)
    head = net.get_classifier() if arguments.network else net.linear

    def split(net):
        heads = {id(parameter) for parameter in head.parameters()}
        return [[p for p in params(net) if id(p) not in heads], [p for p in params(net) if id(p) in heads]]

    learner = Learner(loaders, net, loss_func=CrossEntropyLossFlat(), metrics=accuracy, splitter=split)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(arguments.epochs, base_lr=arguments.fastai_rate)
    net_out.append(learner.model)


def worker(side: str, arguments, data: Path, seed: int):
    import torch

    torch.set_num_threads(arguments.threads)
    nets: list = []
    {"timm": timm_worker, "fastai": fastai_worker}[side](arguments, data, seed, nets)
    used = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime + children.ru_utime + children.ru_stime
    print(json.dumps({"seconds": seconds, "top1": measured(nets[0], data / "test", size_of(arguments))}))


def ours(arguments, data: Path, seed: int) -> dict:
    out = arguments.work / f"run-{data.name}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    small = arguments.work / f"seen-{data.name}"
    if not small.exists():
        # The test set is out of sight.
        small.mkdir()
        for part in ["train", "val"]:
            (small / part).symlink_to((data / part).resolve())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [arguments.binary, "finetune", "--from", str(arguments.weights), "--data", str(small), "--out", str(out),
               "--seed", str(seed), "--threads", str(arguments.threads), *arguments.flags.split()]
    if arguments.network:
        command += ["--model", arguments.network]
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    evaluate = [arguments.binary, "eval", "--weights", str(out), "--data", str(data), "--split", "test", "--json"]
    report = json.loads(subprocess.run(evaluate, check=True, capture_output=True, text=True).stdout)
    head = next((line for line in done.stderr.splitlines() if line.startswith("head alone")), "")
    return {"seconds": seconds, "top1": report["top1"]["value"], "said": f"{head}; {done.stdout.splitlines()[0]}"}


def theirs(side: str, arguments, data: Path, seed: int) -> dict:
    python = arguments.fastai if side == "fastai" else sys.executable
    command = [python, __file__, *sys.argv[1:], "--worker", side, str(data), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--network", help="name in timm; without it, the CIFAR ResNet-20")
    parser.add_argument("--sides", default="residual,fastai,timm")
    parser.add_argument("--sets", default="two,ten,digits")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=8, help="of the peers")
    parser.add_argument("--timm-rate", type=float, default=0.01)
    parser.add_argument("--fastai-rate", type=float, default=2e-3, help="its own default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--binary", default=str(ROOT / "target/release/residual"))
    parser.add_argument("--fastai", default=sys.executable, help="the Python that has fastai")
    parser.add_argument("--flags", default="", help="more flags for residual finetune")
    parser.add_argument("--worker", nargs=3)
    arguments = parser.parse_args()
    if arguments.worker:
        side, data, seed = arguments.worker
        return worker(side, arguments, Path(data), int(seed))
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets.split(","):
        data = made(name, arguments)
        for side in arguments.sides.split(","):
            run = ours if side == "residual" else lambda *rest: theirs(side, *rest)
            found = [run(arguments, data, int(seed)) for seed in arguments.seeds.split(",")]
            top1, seconds = ([one[key] for one in found] for key in ["top1", "seconds"])
            each = " ".join(f"{100 * value:.1f}" for value in top1)
            print(f"{name:8} {side:9} {100 * statistics.mean(top1):5.1f}% ({each})  "
                  f"{statistics.mean(seconds):6.1f} s of CPU", flush=True)
            for one in found:
                if "said" in one:
                    print(f"    {one['said']}", flush=True)


if __name__ == "__main__":
    main()
