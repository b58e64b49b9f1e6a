"""The PyTorch side of accuracy.py: a recipe of this project as a training loop."""

import csv
import time

import numpy as np
import torch
from accuracy import median_step
from networks import NETWORKS, ResNet
from PIL import Image
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def images(listing):
    """Pixels and labels of `train` and `test`, in the order of the list, classes in that of the alphabet."""
    found = {"train": [], "test": []}
    with open(listing, newline="") as file:
        for row in csv.DictReader(file):
            found[row["split"]].append((np.asarray(Image.open(row["path"]).convert("RGB")), row["label"]))
    classes = sorted({label for _, label in found["train"]})
    for part, rows in found.items():
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in rows])).permute(0, 3, 1, 2).contiguous()
        yield part, (pixels, torch.tensor([classes.index(label) for _, label in rows]))


def padded_cut(pixels, padding, generator):
    """Black pixels on every side, and a cut of the old size, drawn for every image."""
    count, _, height, width = pixels.shape
    padded = torch.nn.functional.pad(pixels, (padding,) * 4)
    draw = lambda: torch.randint(0, 2 * padding + 1, (count, 1), generator=generator)
    rows, columns = (draw() + torch.arange(side) for side in (height, width))
    index = torch.arange(count)[:, None, None, None]
    return padded[index, torch.arange(3)[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def flipped(pixels, generator):
    """A flip of every other image."""
    flip = torch.rand(len(pixels), generator=generator) < 0.5
    return torch.where(flip[:, None, None, None], pixels.flip(3), pixels)


def augmentations(recipe):
    """Functions of a batch of 8-bit images and a generator, in the recipe's order."""
    for kind in recipe["augment"]:
        match kind["kind"]:
            case "pad_crop":
                yield lambda pixels, generator, n=kind["padding"]: padded_cut(pixels, n, generator)
            case "horizontal_flip":
                yield flipped
            case "rand_augment":
                policy = v2.RandAugment(kind["num_ops"], kind["magnitude"])
                yield lambda pixels, generator: torch.stack([policy(image) for image in pixels])


def optimiser(recipe, net):
    """The recipe's optimiser; norms and biases do not decay."""
    options = recipe["optimiser"]
    decayed = [p for p in net.parameters() if p.dim() > 1]
    free = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": free, "weight_decay": 0.0}]
    if options["kind"] == "adamw":
        return torch.optim.AdamW(groups, lr=recipe["lr"])
    return torch.optim.SGD(groups, lr=recipe["lr"], momentum=options["momentum"], nesterov=options["nesterov"])


def initialised(name, seed):
    """A network as it is initialised here: He's normal by fan-out, PyTorch's own linear layer."""
    torch.manual_seed(seed)
    net = ResNet(next(network for network in NETWORKS if network.name == name))
    for part in net.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return net.to(memory_format=torch.channels_last)


def average(recipe, net):
    """An average of weights and running statistics with the decay min(d, (1 + t) / (10 + t)); none without `ema`."""
    if "ema" not in recipe:
        return None

    def follow(kept, now, t):
        decay = min(recipe["ema"]["decay"], (1 + int(t)) / (10 + int(t)))
        return decay * kept + (1 - decay) * now if kept.is_floating_point() else now

    return torch.optim.swa_utils.AveragedModel(net, avg_fn=follow, use_buffers=True)


class Training:
    """A recipe on the images of a list, the last epoch's accuracy of which is what counts."""

    def __init__(self, recipe, listing, arguments):
        self.recipe, self.arguments = recipe, arguments
        self.images = dict(images(listing))
        self.augment = list(augmentations(recipe))

    def run(self, seed):
        """A training with a seed, in channels_last."""
        torch.set_num_threads(self.arguments.threads)
        net = initialised(self.arguments.model, seed)
        kept = average(self.recipe, net)
        generator = torch.Generator().manual_seed(seed)
        steps = len(self.images["train"][0]) // self.recipe["batch_size"]
        stepper = optimiser(self.recipe, net)
        rate = torch.optim.lr_scheduler.OneCycleLR(
            stepper, self.recipe["lr"], total_steps=steps * self.arguments.epochs,
            pct_start=self.recipe["schedule"]["pct_start"], cycle_momentum=False)
        start, marks = time.perf_counter(), [0.0]
        for _ in range(self.arguments.epochs):
            net.train()
            for x, labels in self.batches(generator):
                stepper.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(net(x), labels).backward()
                stepper.step()
                rate.step()
                if kept is not None:
                    kept.update_parameters(net)
            marks.append(time.perf_counter() - start)
        top1 = self.measured(net if kept is None else kept)
        return {"top1": top1, "seconds": time.perf_counter() - start, "epoch_seconds": median_step(marks)}

    def batches(self, generator):
        """An epoch of augmented, normalised and mixed batches with their labels or shares."""
        pixels, labels = self.images["train"]
        size = self.recipe["batch_size"]
        order = torch.randperm(len(pixels), generator=generator)[: len(pixels) // size * size]
        for batch in order.split(size):
            x = pixels[batch]
            for change in self.augment:
                x = change(x, generator)
            yield self.mixed(normalised(x), labels[batch])

    def mixed(self, x, labels):
        """Mixup of a batch with itself in another order (Zhang et al. 2017); none without `mix`."""
        alpha = self.recipe.get("mix", {}).get("mixup", 0)
        if alpha == 0:
            return x, labels
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        shares = torch.nn.functional.one_hot(labels, 10).float()
        x = share * x + (1 - share) * x.flip(0)
        return x.contiguous(memory_format=torch.channels_last), share * shares + (1 - share) * shares.flip(0)

    def measured(self, net):
        """Accuracy on the test images."""
        net.eval()
        pixels, labels = self.images["test"]
        with torch.no_grad():
            pairs = zip(pixels.split(250), labels.split(250))
            return sum((net(normalised(x)).argmax(1) == y).sum().item() for x, y in pairs) / len(pixels)


def normalised(pixels):
    """8-bit pixels as the network takes them."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return ((pixels / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
