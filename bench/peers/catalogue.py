"""The published checkpoints of residual networks, as torchvision and timm describe them.

    pip install torchvision==0.29.2 timm==1.0.31
    python bench/peers/catalogue.py [--results results-imagenet.csv]

Writes the tables of crates/arch/src/published (torchvision.tsv, timm.tsv, imagenet.txt, imagenet_synsets.txt) and, from the libraries' own
transforms, crates/arch/tests/expected/transforms.tsv, which the tables are held against. The accuracies of timm's tags
are those of results/results-imagenet.csv in its repository; without the file they stay as the table has them. Facts
only: no weights are fetched.
"""

import argparse
import csv
import re
from pathlib import Path

import timm
import torch
import torchvision
from timm.data import create_transform, resolve_data_config
from timm.models._registry import get_arch_pretrained_cfgs
from torchvision.models import get_model_weights

CRATE = Path(__file__).resolve().parents[2] / "crates/arch"
TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
               "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2")
NONE = "-"


def number(value):
    return NONE if value is None else repr(value)


def side(size):
    """The side of a square input of three channels."""
    channels, height, width = size
    assert channels == 3 and height == width, size
    return str(height)


def channels(values):
    return ",".join(repr(float(value)) for value in values)


def hash_prefix(url):
    found = re.search(r"-([0-9a-f]{8})\.[a-z]+$", url or "")
    return found.group(1) if found else NONE


def torchvision_row(model, weights):
    transform, meta = weights.transforms(), weights.meta
    metrics = meta["_metrics"]["ImageNet-1K"]
    [resize], [crop] = transform.resize_size, transform.crop_size
    return dict(model=model, tag=weights.name, default=yes(weights == get_model_weights(model).DEFAULT),
                parameters=meta["num_params"], url=weights.url, sha256=hash_prefix(weights.url), licence="bsd-3-clause",
                top1=number(metrics["acc@1"]), top5=number(metrics["acc@5"]), measured_at=crop,
                classes=len(meta["categories"]), input=crop, resize=resize, test_input=NONE, test_resize=NONE,
                crop_mode="center", interpolation=transform.interpolation.value, mean=channels(transform.mean),
                std=channels(transform.std), megabytes=number(round(meta["_file_size"] * 1.048576, 2)))


def timm_row(model, parameters, config, accuracies):
    """A tag's row; `config` is timm's PretrainedCfg."""
    hub = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors" if config.hf_hub_id else NONE
    top1, top5, at = accuracy(accuracies.get(f"{model}.{config.tag}", {}), config)
    return dict(model=model, tag=config.tag, default=yes(config.tag == timm.get_pretrained_cfg(model).tag),
                parameters=parameters, url=config.url or hub, sha256=hash_prefix(config.url),
                licence=config.license or NONE, top1=top1, top5=top5, measured_at=at, classes=config.num_classes,
                input=side(config.input_size), resize=number(float(config.crop_pct)),
                test_input=side(config.test_input_size) if config.test_input_size else NONE,
                test_resize=number(config.test_crop_pct and float(config.test_crop_pct)), crop_mode=config.crop_mode,
                interpolation=config.interpolation, mean=channels(config.mean), std=channels(config.std))


def accuracy(by_size, config):
    """Top-1, top-5 and the size that they were measured at: the usual one, else the test size, else any."""
    sizes = [side(size) for size in (config.input_size, config.test_input_size) if size] + list(by_size)
    return next((by_size[size] for size in sizes if size in by_size), (NONE, NONE, NONE))


def yes(truth):
    return "default" if truth else NONE


def timm_models():
    for module in ("resnet", "resnetv2"):
        yield from timm.list_models("*", module=module)


def timm_rows(accuracies):
    for model in timm_models():
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in timm.create_model(model).parameters())
        for config in get_arch_pretrained_cfgs(model).values() or [timm.get_pretrained_cfg(model)]:
            yield timm_row(model, parameters, config, accuracies), config


def recorded(path):
    """The accuracies in a table that is there."""
    if not path.exists():
        return {}
    lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
    return {f"{row['model']}.{row['tag']}": {row["measured_at"]: (row["top1"], row["top5"], row["measured_at"])}
            for row in csv.DictReader(lines, delimiter="\t") if row["measured_at"] != NONE}


def measured(path):
    accuracies = {}
    for row in csv.DictReader(open(path)):
        accuracies.setdefault(row["model"], {})[row["img_size"]] = row["top1"], row["top5"], row["img_size"]
    return accuracies


def write(path, comment, rows):
    lines = [f"# {line}" for line in comment] + ["\t".join(rows[0])]
    lines += ["\t".join(str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def described(transform):
    """A transform's steps as text: the resize, its interpolation, the crop, mean and deviation."""
    steps = {type(step).__name__: step for step in transform.transforms}
    resize, crop, normalise = steps["Resize"], steps["CenterCrop"], steps["Normalize"]
    height, width = crop.size
    return dict(resize=resize.size, interpolation=resize.interpolation.value, crop=f"{height}x{width}",
                mean=channels(normalise.mean.tolist()), std=channels(normalise.std.tolist()))


def timm_transforms(configs):
    for model, config in configs:
        for use_test_size in (False, True):
            data = resolve_data_config(pretrained_cfg=config.to_dict(), use_test_size=use_test_size)
            view = "test" if use_test_size else "usual"
            yield dict(name=f"{model}.{config.tag}", view=view) | described(create_transform(**data))


def torchvision_transforms():
    for model in TORCHVISION:
        for weights in get_model_weights(model):
            preset = weights.transforms()
            single = [torch.tensor(values, dtype=torch.float32).tolist() for values in (preset.mean, preset.std)]
            yield dict(name=f"{model}:{weights.name}", view="usual", resize=preset.resize_size[0],
                       interpolation=preset.interpolation.value, crop="x".join(str(preset.crop_size[0]) for _ in "hw"),
                       mean=channels(single[0]), std=channels(single[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="results/results-imagenet.csv of timm's repository")
    arguments = parser.parse_args()
    tables = CRATE / "src/published"
    versions = f"torchvision {torchvision.__version__.split('+')[0]}", f"timm {timm.__version__}"
    by = "by bench/peers/catalogue.py"

    rows = [torchvision_row(model, weights) for model in TORCHVISION for weights in get_model_weights(model)]
    comment = [f"Checkpoints of {versions[0]} (torchvision.models.get_model_weights), {by}.",
               "`resize` is the shorter side.",
               "The licence is the library's; terms of the data that they were trained on may go further (its README).",
               "`megabytes` is the size of the file, in units of 10^6 bytes."]
    write(tables / "torchvision.tsv", comment, rows)

    accuracies = measured(arguments.results) if arguments.results else recorded(tables / "timm.tsv")
    rows, configs = zip(*timm_rows(accuracies))
    comment = [f"Tags of {versions[1]} (timm.models.resnet and resnetv2), {by}.",
               "`resize` is the share of the resized side that the crop keeps (`crop_pct`); `test_` at the test size.",
               "Accuracies: results/results-imagenet.csv of github.com/huggingface/pytorch-image-models."]
    write(tables / "timm.tsv", comment, rows)

    names = get_model_weights("resnet50").DEFAULT.meta["categories"]
    text = f"# Names of ImageNet's 1,000 classes in the order of the outputs, of {versions[0]}, {by}.\n"
    (tables / "imagenet.txt").write_text(text + "\n".join(names) + "\n")
    synsets = (Path(timm.__file__).parent / "data/_info/imagenet_synsets.txt").read_text()
    text = "# WordNet's identifiers of ImageNet's 1,000 classes in the order of the outputs, of timm " + timm.__version__
    (tables / "imagenet_synsets.txt").write_text(f"{text}, by bench/peers/catalogue.py.\n{synsets}")

    models = [row["model"] for row in rows]
    transforms = [*torchvision_transforms(), *timm_transforms(zip(models, configs))]
    comment = [f"Evaluation transforms of {versions[0]} (weights.transforms()) and {versions[1]} (create_transform),",
               f"{by}."]
    write(CRATE / "tests/expected/transforms.tsv", comment, transforms)
    print(f"{len(rows)} rows of timm, {len(transforms)} transforms")


if __name__ == "__main__":
    main()
