"""Checkpoints as other people save them, opened by `residual` and answered as their own library answers.

    pip install torchvision==0.29.2 timm==1.0.31 transformers==5.24.0
    python bench/peers/published.py --binary target/release/residual --photos FOLDER [--only resnet50] [--out published.md]

For every architecture of timm's `resnet` and `resnetv2`, of torchvision's and for ResNets of transformers: random
weights with batch norm statistics that are not trivial, saved in three of the wrappings below, drawn by the
architecture's name. `residual predict` gets the file alone (or, where several networks have the same tensors, the file
and the name) and the photographs; its logits are held against those of the Python library behind its own transform.
Prints a row of Markdown for each; exit code 1 where one is off by more than 1e-4 of the largest logit.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from PIL import Image

from wrappings import WRAPPINGS, timm_folder

BOUND = 1e-4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HEADER = "| architecture | library | parameters | saved as | opened by | worst difference |\n| --- | --- | --- | --- | --- | --- |"


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights and statistics of a network that was trained for a while: no gain is 1, no shift and no mean 0."""
    generator = torch.Generator().manual_seed(seed)
    uniform = lambda like, low, high: torch.rand(like.shape, generator=generator) * (high - low) + low
    norms = (torch.nn.BatchNorm2d, torch.nn.GroupNorm)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, norms):
                module.weight.copy_(uniform(module.weight, 0.3, 0.8))
                module.bias.copy_(uniform(module.bias, -0.2, 0.2))
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.copy_(uniform(module.running_mean, -0.2, 0.2))
                module.running_var.copy_(uniform(module.running_var, 0.5, 1.5))
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.copy_(uniform(module.bias, -0.1, 0.1))
    model.eval()


def photographs(folder: Path, count: int) -> list[Path]:
    """The first photographs of a folder."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(found) < count:
        sys.exit(f"{folder}: {len(found)} photographs, {count} are needed")
    return found[:count]


def expected(model, transform, photos: list[Path]) -> torch.Tensor:
    """Logits of the library behind its own transform, an image at a time."""
    with torch.inference_mode():
        return torch.cat([model(transform(Image.open(photo).convert("RGB")).unsqueeze(0)) for photo in photos])


def answered(binary: str, weights: Path, model: str | None, photos: list[Path]) -> torch.Tensor:
    """Logits of `residual predict`."""
    named = ["--model", model] if model else []
    command = [binary, "predict", "--weights", str(weights), *named, "--json", "--logits", "--top", "1", *map(str, photos)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[0][:200] if run.stderr.strip() else "no answer")
    return torch.tensor([json.loads(line)["logits"] for line in run.stdout.splitlines()])


def recognised(binary: str, weights: Path) -> str | None:
    """The family that `residual inspect` tells."""
    run = subprocess.run([binary, "inspect", str(weights), "--json"], capture_output=True, text=True)
    return json.loads(run.stdout).get("model") if run.returncode == 0 else None


class Torchvision:
    """A network of torchvision, with the transform of its default weights."""

    library = "torchvision"

    def __init__(self, name: str):
        self.name = self.asked = name

    def build(self):
        """The model and its transform."""
        import torchvision

        weights = torchvision.models.get_model_weights(self.name).DEFAULT
        return torchvision.models.get_model(self.name), weights.transforms()

    def wrappings(self, draw: random.Random) -> list[str]:
        """Names of the ways in which it is saved."""
        return draw.sample(sorted(WRAPPINGS), 3)

    def save(self, model, wrapping: str, folder: Path) -> Path:
        """Saves the model; gives the file."""
        return WRAPPINGS[wrapping](model, folder)


class Timm(Torchvision):
    """A network of timm, with the transform of its default tag."""

    library = "timm"

    def __init__(self, name: str):
        self.name, self.asked = name, f"timm_{name}"

    def build(self):
        import timm

        model = timm.create_model(self.name)
        config = timm.data.resolve_model_data_config(model)
        return model, timm.data.create_transform(**config, is_training=False)

    def wrappings(self, draw):
        return ["timm_folder", *draw.sample(sorted(WRAPPINGS), 2)]

    def save(self, model, wrapping, folder):
        return timm_folder(model, folder) if wrapping == "timm_folder" else super().save(model, wrapping, folder)


class Transformers:
    """A ResNet of transformers, with the image processor that its checkpoints have."""

    library = "transformers"

    def __init__(self, name: str, layer_type: str, depths: list[int], shortest_edge: int):
        self.name, self.asked = name, None
        self.layer_type, self.depths, self.shortest_edge = layer_type, depths, shortest_edge

    def build(self):
        from transformers import ResNetConfig, ResNetForImageClassification
        from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

        widths = [64, 128, 256, 512] if self.layer_type == "basic" else [256, 512, 1024, 2048]
        labels = {number: f"class {number}" for number in range(37)}
        config = ResNetConfig(
            layer_type=self.layer_type, depths=self.depths, hidden_sizes=widths, id2label=labels,
            label2id={label: number for number, label in labels.items()},
        )
        self.model = ResNetForImageClassification(config)
        self.processor = ConvNextImageProcessorPil(size={"shortest_edge": self.shortest_edge}, image_mean=MEAN, image_std=STD)
        transform = lambda image: torch.as_tensor(self.processor(image)["pixel_values"][0])
        return Logits(self.model), transform

    def wrappings(self, draw):
        return ["save_pretrained", "sharded"]

    def save(self, model, wrapping, folder):
        size = "20MB" if wrapping == "sharded" else "50GB"
        self.model.save_pretrained(folder, max_shard_size=size)
        self.processor.save_pretrained(folder)
        return folder


class Logits(torch.nn.Module):
    """The logits of a model of transformers."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels).logits


def subjects() -> list:
    """The architectures of the catalogue that this project takes, and ResNets of transformers."""
    import timm
    import torchvision

    families = ("resnet", "resnext", "wide_resnet")
    names = torchvision.models.list_models(module=torchvision.models)
    found = [Torchvision(name) for name in names if name.startswith(families)]
    for module in ("resnet", "resnetv2"):
        names = timm.list_models("*", module=module)
        found += [Timm(name) for name in names if not name.endswith(("_evos", "_frn"))]
    found += [
        Transformers("resnet-18", "basic", [2, 2, 2, 2], 224),
        Transformers("resnet-34", "basic", [3, 4, 6, 3], 224),
        Transformers("resnet-26", "bottleneck", [2, 2, 2, 2], 256),
        Transformers("resnet-50", "bottleneck", [3, 4, 6, 3], 224),
        Transformers("resnet-50 at 384", "bottleneck", [3, 4, 6, 3], 384),
    ]
    return found


def answers(subject, options, path: Path, photos: list[Path]) -> tuple[torch.Tensor, str]:
    """The logits for a file, and what it was opened as: by itself, or, where that gives another network's, by name."""
    told = recognised(options.binary, path)
    alone = subject.asked is None or path.is_dir() or told == subject.name and is_own_name(subject)
    model = None if alone else subject.asked
    return answered(options.binary, path, model, photos), f"--model {model}" if model else "the file alone"


def is_own_name(subject) -> bool:
    """True where a file that is told to be of that name has the preprocessing of this library."""
    import torchvision

    return subject.library == "torchvision" or subject.name not in torchvision.models.list_models(module=torchvision.models)


def row(subject, options, photos: list[Path]) -> tuple[str, bool]:
    """A row of the table, and whether it holds."""
    model, transform = subject.build()
    parameters = sum(p.numel() for p in model.parameters())
    if parameters > options.largest:
        return f"| {subject.name} | {subject.library} | {parameters:,} | | | not run: too large |", True
    draw = random.Random(f"{subject.library} {subject.name}")
    randomise(model, draw.randrange(1 << 30))
    wanted = expected(model, transform, photos)
    drawn = subject.wrappings(draw)[: options.wrappings]
    worst, opened, faults = 0.0, set(), []
    for wrapping in drawn:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            try:
                path = subject.save(model, wrapping, Path(folder))
                found, how = answers(subject, options, path, photos)
                opened.add(how)
                worst = max(worst, ((found - wanted).abs().max() / wanted.abs().max()).item())
            except Exception as error:
                faults.append(f"{wrapping}: {error}")
    result = "; ".join(faults) or f"{worst:.1e}"
    cells = [subject.name, subject.library, f"{parameters:,}", ", ".join(drawn), ", ".join(sorted(opened)), result]
    return f"| {' | '.join(cells)} |", not faults and worst <= BOUND


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names, of which others are left out")
    parser.add_argument("--largest", type=int, default=200_000_000, help="parameters")
    parser.add_argument("--count", type=int, default=10, help="photographs")
    parser.add_argument("--wrappings", type=int, default=3, help="ways in which each is saved")
    parser.add_argument("--scratch", help="folder for the checkpoints")
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args()
    photos = photographs(options.photos, options.count)
    lines, failed = [HEADER], 0
    print(HEADER, flush=True)
    for subject in subjects():
        if options.only and subject.name not in options.only:
            continue
        line, holds = row(subject, options, photos)
        lines.append(line)
        failed += not holds
        print(line, flush=True)
        if options.out:
            options.out.write_text("\n".join(lines) + "\n")
    print(f"{failed} of {len(lines) - 1} do not hold" if failed else f"all {len(lines) - 1} hold", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
