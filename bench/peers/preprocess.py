"""What torchvision's and timm's own transforms make of photographs, for `residual verify --preprocess`.

    pip install torchvision==0.29.2 timm==1.0.31 scikit-image pooch
    python bench/peers/preprocess.py OUT [PHOTOGRAPH...]
    residual verify --preprocess OUT

For one checkpoint of each preprocessing in the tables of crates/arch/src/published: a folder with the photographs, the
tensor of each (NAME.safetensors) and preprocess.json. Without photographs, drawn ones of many sizes are taken.
"""

import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy
import timm
from PIL import Image, ImageDraw, ImageFilter
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from torchvision.models import get_model_weights

TABLES = Path(__file__).resolve().parents[2] / "crates/arch/src/published"
SIZES = ((640, 480), (480, 640), (224, 224), (300, 200), (257, 391), (1024, 683), (90, 70), (1500, 400), (333, 1000),
         (512, 512), (231, 233), (1920, 1080))


def rows(table):
    lines = (line for line in (TABLES / table).read_text().splitlines() if not line.startswith("#"))
    return list(csv.DictReader(lines, delimiter="\t"))


def transforms():
    """A name, whether at the test size, and the transform, once for each preprocessing."""
    seen = set()
    for row in rows("torchvision.tsv"):
        key = row["input"], row["resize"], row["interpolation"]
        if key not in seen:
            seen.add(key)
            weights = get_model_weights(row["model"])[row["tag"]]
            yield f"{row['model']}:{row['tag']}", False, weights.transforms()
    for row in rows("timm.tsv"):
        config = timm.get_pretrained_cfg(f"{row['model']}.{row['tag']}").to_dict()
        for test_size in (False, True):
            data = resolve_data_config(pretrained_cfg=config, use_test_size=test_size)
            key = repr(sorted(data.items()))
            if key not in seen:
                seen.add(key)
                yield f"{row['model']}.{row['tag']}", test_size, create_transform(**data)


def drawn(folder):
    """Photographs as far as resizing is concerned: gradients, edges, texture and noise, as JPEG and PNG."""
    for number, (width, height) in enumerate(SIZES):
        random = numpy.random.default_rng(number)
        ramp = numpy.linspace(0, 255, width)[None, :, None] + numpy.linspace(0, 80, height)[:, None, None]
        noise = random.normal(0, 18, (height, width, 3))
        image = Image.fromarray(((ramp + noise + [0, 40, 90]) % 256).astype("uint8"))
        draw = ImageDraw.Draw(image)
        for _ in range(40):
            x, y = random.integers(0, width), random.integers(0, height)
            side = random.integers(3, max(width, height) // 3)
            colour = tuple(int(value) for value in random.integers(0, 256, 3))
            draw.ellipse((x - side, y - side, x + side, y + side), outline=colour, width=int(random.integers(1, 9)))
        image = image.filter(ImageFilter.GaussianBlur(0.7))
        jpeg = "jpg", {"quality": 80 + number, "subsampling": number % 3}
        ending, options = ("png", {}) if number % 4 == 3 else jpeg
        path = Path(folder) / f"{number:02}-{width}x{height}.{ending}"
        image.save(path, **options)
        yield path


def main():
    out, *photographs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        photographs = [Path(path) for path in photographs] or list(drawn(folder))
        count = 0
        for name, test_size, transform in transforms():
            target = Path(out) / (name.replace(":", ".") + ("-test" if test_size else ""))
            target.mkdir(parents=True, exist_ok=True)
            (target / "preprocess.json").write_text(json.dumps({"model": name, "test_size": test_size}) + "\n")
            for path in photographs:
                shutil.copy(path, target)
                tensor = transform(Image.open(path).convert("RGB"))
                save_file({"image": tensor.contiguous()}, target / (path.stem + ".safetensors"))
            count += 1
    print(f"{count} transforms, {len(photographs)} photographs")


if __name__ == "__main__":
    main()
