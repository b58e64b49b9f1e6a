"""Measures the way from image files to augmented, normalised batches in turns with torchvision's and timm's loaders.

    python bench/peers/data.py write PHOTOGRAPHS SMALL FOLDER
    python bench/peers/data.py measure FOLDER --rounds 7

`write` makes FOLDER/photographs of a folder of photographs: parts of them drawn by a seed, 500 pixels along the longer
side, JPEG of quality 90 with chroma halved; and FOLDER/jpeg32 and FOLDER/png32 of SMALL, a folder of CLASS/IMAGE of
32x32. `measure` reads each folder with `residual bench data` on 1 and 2 threads, without its cache, and with
torchvision's ImageFolder and DataLoader and timm's with 1 and 2 workers, which persist; also with ffcv where it is
installed. Photographs become 224x224 by a random resized crop and a flip, small images are padded by 4, cropped and
flipped. Everybody's turns alternate; the table has medians, in images a second. One round before the others warms files
and processes up. Needs torch, torchvision, timm and Pillow.
"""

import argparse
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import machine
import ours
import torch
from PIL import Image
from torchvision import datasets, transforms

LIBRARIES = ["torch", "torchvision", "timm", "pillow"]
BATCH = 64
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Folders of `write`, the side of a batch's images, and the fewest images in a turn.
KINDS = {"photographs": (224, 600), "jpeg32": (32, 10_000), "png32": (32, 10_000)}
LONGER_SIDE, QUALITY = 500, 90


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="make the images")
    write.add_argument("photographs", type=Path, help="folder of photographs")
    write.add_argument("small", type=Path, help="folder of CLASS/IMAGE of 32x32")
    write.add_argument("folder", type=Path, help="folder to write to")
    write.add_argument("--count", type=int, default=300, help="photographs (300)")
    write.add_argument("--count-small", type=int, default=5000, help="small images (5000)")
    measure = commands.add_parser("measure", help="measure, and print a table")
    measure.add_argument("folder", type=Path, help="folder of `write`")
    measure.add_argument("--rounds", type=int, default=7, help="turns of everybody (7)")
    measure.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads and workers (1 and 2)")
    measure.add_argument("--only", action="append", choices=KINDS, help="a folder of `write`")
    measure.add_argument("--share", type=float, default=1.0, help="of the images in a turn: to see that it works")
    measure.add_argument("--binary", help="residual, where it is not to be built")
    measure.add_argument("--out", type=Path, default=ours.ROOT / "runs/data.json", help="the results' file")
    return parser.parse_args()


def write_photographs(source: Path, folder: Path, count: int) -> None:
    """Parts of the photographs, of several shapes."""
    files = sorted(path for path in source.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    draw = random.Random(1)
    for number in range(count):
        image = Image.open(files[number % len(files)]).convert("RGB")
        shape = draw.choice([4 / 3, 3 / 2, 3 / 4, 1.0])
        width = min(image.width, image.height * shape) * draw.uniform(0.6, 1.0)
        height = width / shape
        left, top = draw.uniform(0, image.width - width), draw.uniform(0, image.height - height)
        size = (LONGER_SIDE, round(LONGER_SIDE / shape)) if shape >= 1 else (round(LONGER_SIDE * shape), LONGER_SIDE)
        part = image.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
        target = folder / f"class{number % 2}" / f"{number:04}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        part.save(target, quality=QUALITY, subsampling="4:2:0")


def write_small(source: Path, folder: Path, count: int) -> None:
    """As many images of each class, as they are and as PNG."""
    classes = sorted(path for path in source.iterdir() if path.is_dir())
    for of in classes:
        for file in sorted(of.iterdir())[: count // len(classes)]:
            for kind in ("jpeg32", "png32"):
                target = folder / kind / of.name / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if kind == "png32":
                    Image.open(file).save(target.with_suffix(".png"))
                else:
                    target.write_bytes(file.read_bytes())


def augmentation(size: int) -> list:
    """What happens to a decoded image, in torchvision's words."""
    crop = transforms.RandomResizedCrop(size) if size > 64 else transforms.RandomCrop(size, padding=size // 8)
    return [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]


# A contender reads images once or more often, at least so many; it gives images a second.
Contender = Callable[[int], float]


def rate_of(epoch: Callable[[], Iterator], wanted: int) -> float:
    """Images a second of as many epochs as give `wanted` images."""
    done, begin = 0, time.perf_counter()
    while done < wanted:
        done += sum(len(batch[0]) for batch in epoch())
    return done / (time.perf_counter() - begin)


def torchvision_loader(folder: Path, size: int, workers: int) -> Contender:
    """torchvision's ImageFolder and PyTorch's DataLoader."""
    images = datasets.ImageFolder(str(folder), transforms.Compose(augmentation(size)))
    loader = torch.utils.data.DataLoader(
        images, BATCH, shuffle=True, num_workers=workers, persistent_workers=True, prefetch_factor=2
    )
    return lambda wanted: rate_of(lambda: iter(loader), wanted)


def timm_loader(folder: Path, size: int, workers: int) -> Contender:
    """timm's dataset, transforms and loader. Its own fast collation is for a GPU; this is the other."""
    from timm.data import ImageDataset, create_loader

    loader = create_loader(
        ImageDataset(str(folder)),
        (3, size, size),
        BATCH,
        is_training=True,
        use_prefetcher=False,
        # Small images: no other scale than their own.
        scale=(0.08, 1.0) if size > 64 else (1.0, 1.0),
        ratio=(3 / 4, 4 / 3) if size > 64 else (1.0, 1.0),
        hflip=0.5,
        color_jitter=None,
        auto_augment=None,
        interpolation="bilinear",
        mean=MEAN,
        std=STD,
        num_workers=workers,
        persistent_workers=True,
    )
    return lambda wanted: rate_of(lambda: iter(loader), wanted)


def ffcv_loader(folder: Path, size: int, workers: int) -> Contender:
    """ffcv, of a file that holds the same JPEG files."""
    import numpy
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage
    from ffcv.writer import DatasetWriter

    beton = folder.with_suffix(".beton")
    if not beton.exists():
        fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=QUALITY), "label": IntField()}
        DatasetWriter(str(beton), fields).from_indexed_dataset(datasets.ImageFolder(str(folder)))
    mean, std = (numpy.array(values) * 255 for values in (MEAN, STD))
    image = [
        RandomResizedCropRGBImageDecoder((size, size)),
        RandomHorizontalFlip(),
        ToTensor(),
        ToTorchImage(),
        NormalizeImage(mean, std, numpy.float32),
    ]
    pipelines = {"image": image, "label": [IntDecoder(), ToTensor()]}
    loader = Loader(str(beton), BATCH, num_workers=workers, order=OrderOption.RANDOM, pipelines=pipelines)
    return lambda wanted: rate_of(lambda: iter(loader), wanted)


PEERS = {"torchvision": torchvision_loader, "timm": timm_loader, "ffcv": ffcv_loader}


def own_reader(binary: str, folder: Path, size: int, threads: int) -> Contender:
    """This project's, in a process for each turn, whose start and listing of files do not count."""
    count = sum(1 for _ in folder.rglob("*.*"))

    def contend(wanted: int) -> float:
        asked = ["--threads", str(threads), "--size", str(size), "--batch-size", str(BATCH)]
        asked += ["--epochs", str(-(-wanted // count)), "--cache", "off", "--json"]
        output = subprocess.run([binary, "bench", "data", str(folder), *asked], check=True, stdout=subprocess.PIPE)
        return json.loads(output.stdout)["runs"][0]["images_per_s"]

    return contend


def contenders(binary: str, folder: Path, size: int, threads: list[int]) -> dict[tuple[str, int], Contender]:
    """Everybody who can be had, with every number of threads or workers."""
    found = {("residual", count): own_reader(binary, folder, size, count) for count in threads}
    for name, loader in PEERS.items():
        try:
            found |= {(name, count): loader(folder, size, count) for count in threads}
        except ImportError as error:
            print(f"without {name}: {error}")
    return found


def measure(binary: str, folder: Path, asked: argparse.Namespace) -> list[dict]:
    """The rates of one folder."""
    size, wanted = KINDS[folder.name]
    wanted = max(BATCH, round(wanted * asked.share))
    everybody = contenders(binary, folder, size, asked.threads)
    rates = {key: [] for key in everybody}
    order = list(everybody)
    for turn in range(asked.rounds + 1):
        # Who follows whom changes from round to round.
        for key in order[turn % len(order) :] + order[: turn % len(order)]:
            rate = everybody[key](wanted)
            if turn > 0:
                rates[key].append(rate)
    rows = []
    for (name, threads), measured in rates.items():
        rate = median(measured)
        ratio = median(rates["residual", threads]) / rate
        spread = (max(measured) - min(measured)) / rate
        of = {"images": folder.name, "reader": name, "threads": threads}
        rows.append(of | {"rate": rate, "spread": spread, "ratio": ratio})
    return rows


def table(rows: list[dict]) -> str:
    """The results as Markdown."""
    lines = ["| images | reader | threads | images/s | spread | residual is faster by |", "|" + " --- |" * 6]
    for row in rows:
        ratio = "" if row["reader"] == "residual" else f"{row['ratio']:.2f}"
        cells = [row["images"], row["reader"], row["threads"], f"{row['rate']:.0f}", f"{row['spread']:.0%}", ratio]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Writes images, or measures."""
    asked = arguments()
    if asked.command == "write":
        write_photographs(asked.photographs, asked.folder / "photographs", asked.count)
        write_small(asked.small, asked.folder, asked.count_small)
        return
    torch.set_num_threads(1)
    build = ["cargo", "build", "--release", "--package", "residual", "--bin", "residual"]
    binary = asked.binary or ours.built(build, "residual")
    rows = []
    for kind in asked.only or KINDS:
        rows += measure(binary, asked.folder / kind, asked)
    print(table(rows))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"machine": machine.describe(LIBRARIES), "results": rows}, indent=1))


if __name__ == "__main__":
    main()
