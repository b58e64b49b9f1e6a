"""Parquet tables and WebDataset shards as the usual programs write them, and what they read of them.

    python bench/peers/shards.py [--out crates/data/tests/fixtures/shards]
    python bench/peers/shards.py --large FOLDER --gigabytes 10 --photos FOLDER [--kind parquet|tar]

The first form writes small sets by `datasets`, pandas, polars, pyarrow and `webdataset`, reads each back by the program
that wrote it, and writes `expected.txt`: set, split, class and CRC-32 of the RGB pixels of each image as Pillow decodes
them, in the order of the data. `crates/data/tests/shards.rs` reads the same files.

The second form repeats the photographs in a folder to a set of that size, to be read by the example `shard_speed`:

    cargo run --release -p residual-data --example shard_speed -- FOLDER
"""

import argparse
import io
import json
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ["owl", "cat", "dog"]
DELTA = {"image.bytes": "DELTA_LENGTH_BYTE_ARRAY", "image.path": "DELTA_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"}
# Images that start as the one before.
SHARED = {"image.bytes": "DELTA_BYTE_ARRAY"}


def picture(number, kind="PNG"):
    """The bytes of an image of its own."""
    y, x = np.mgrid[:6, :8]
    pixels = np.stack([np.full_like(x, 7 * number % 256), x * 30, y * 40], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def crc(data):
    return f"{zlib.crc32(np.asarray(Image.open(io.BytesIO(data)).convert('RGB')).tobytes()):08x}"


def rows(numbers, nothing=()):
    """Columns of Hugging Face's layout."""
    images = [None if i in nothing else {"bytes": picture(i), "path": f"{i:04}.png"} for i in numbers]
    return {"image": images, "label": [i % 3 for i in numbers]}


class Sets:
    """Sets under a folder, and what is expected of each."""

    def __init__(self, out):
        self.out, self.lines = out, []

    def folder(self, name):
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def expect(self, name, split, pairs):
        self.lines += [f"{name} {split} {label} {crc(data)}" for label, data in pairs]

    def write(self):
        (self.out / "expected.txt").write_text("\n".join(self.lines) + "\n")


def hugging_face(sets):
    """A repository as `huggingface_hub` downloads it."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    folder = sets.folder("hugging_face")
    (folder / "README.md").write_text("---\ndataset_info: {}\n---\n")
    data = sets.folder("hugging_face/data")
    made = {"train-00000-of-00002": range(7), "train-00001-of-00002": range(7, 12)}
    made["test-00000-of-00001"] = range(12, 18)
    for name, numbers in made.items():
        table = datasets.Dataset.from_dict(rows(numbers), features=features)
        table.to_parquet(str(data / f"{name}.parquet"), batch_size=3)
        read = datasets.Dataset.from_parquet(str(data / f"{name}.parquet"), cache_dir=tempfile.mkdtemp())
        read = read.cast_column("image", datasets.Image(decode=False))
        names = read.features["label"].names
        sets.expect("hugging_face", name.split("-")[0], [(names[row["label"]], row["image"]["bytes"]) for row in read])


def unlabelled(sets):
    """A set whose test images have no labels, as Hugging Face marks them."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    folder = sets.folder("unlabelled")
    for split, label in [("train", 0), ("test", -1)]:
        columns = {**rows(range(3)), "label": [label, 1 if label == 0 else label, label]}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(str(folder / f"{split}.parquet"))
    sets.expect("unlabelled", "train", [(CLASSES[i % 2], picture(i)) for i in range(3)])


def pandas_table(sets):
    """Bytes and names in plain columns: a single file, of which a part is held out."""
    import pandas

    columns = {"img": [picture(i, "JPEG") for i in range(12)], "breed": [CLASSES[i % 3] for i in range(12)]}
    frame = pandas.DataFrame(columns)
    path = sets.folder("pandas") / "animals.parquet"
    frame.to_parquet(path)
    read = pandas.read_parquet(path)
    sets.expect("pandas/animals.parquet", "all", zip(read["breed"], read["img"]))


    # A column of splits.
    columns = {"image": [picture(i) for i in range(9)], "label": [i % 3 for i in range(9)]}
    columns["split"] = [["train", "validation", "test"][i % 3 if i > 5 else 0] for i in range(9)]
    path = sets.folder("pandas") / "splits.parquet"
    pandas.DataFrame(columns).to_parquet(path, compression="gzip")
    for split, name in [("train", "train"), ("validation", "val"), ("test", "test")]:
        part = pandas.read_parquet(path).query(f"split == '{split}'")
        sets.expect("pandas/splits.parquet", name, zip(part["label"], part["image"]))


def polars_table(sets):
    import polars

    folder = sets.folder("polars")
    for split, numbers in [("train", range(9)), ("validation", range(9, 12))]:
        polars.DataFrame(rows(numbers)).write_parquet(folder / f"{split}.parquet")
        read = polars.read_parquet(folder / f"{split}.parquet")
        pairs = [(row["label"], row["image"]["bytes"]) for row in read.to_dicts()]
        sets.expect("polars", {"validation": "val"}.get(split, split), pairs)


def arrow_tables(sets):
    """Every compression, both versions of pages, dictionaries, row groups of several sizes, rows without an image."""
    import pyarrow
    from pyarrow import parquet

    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    folder = sets.folder("pyarrow")
    made = {
        "none": {"compression": "none", "row_group_size": 5},
        "snappy": {"compression": "snappy", "use_dictionary": False, "row_group_size": 4},
        "gzip": {"compression": "gzip", "row_group_size": 100},
        "lz4": {"compression": "lz4", "row_group_size": 1},
        "zstd_v2": {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 6},
        "gzip_v2": {"compression": "gzip", "data_page_version": "2.0", "row_group_size": 6},
        "index": {"compression": "zstd", "write_page_index": True, "write_page_checksum": True},
        "large": {"compression": "snappy", "large": True},
        "delta": {"compression": "zstd", "use_dictionary": False, "row_group_size": 5, "column_encoding": DELTA},
        "delta_v2": {"data_page_version": "2.0", "use_dictionary": False, "column_encoding": DELTA | SHARED},
    }
    for name, options in made.items():
        large = options.pop("large", False)
        # Three images, many times each: a dictionary of images.
        data = rows([i % 3 for i in range(12)])
        binary = pyarrow.struct([("bytes", pyarrow.large_binary()), ("path", pyarrow.large_string())])
        labels = pyarrow.array(data["label"], pyarrow.int8() if large else pyarrow.int64())
        table = pyarrow.table({"image": pyarrow.array(data["image"], binary if large else kind), "label": labels})
        parquet.write_table(table, folder / f"{name}.parquet", **options)
        read = parquet.read_table(folder / f"{name}.parquet").to_pylist()
        sets.expect(f"pyarrow/{name}.parquet", "all", [(row["label"], row["image"]["bytes"]) for row in read])
    data = rows(range(6), nothing=[2])
    data["image"][4] = {"bytes": None, "path": None}
    table = pyarrow.table({"image": pyarrow.array(data["image"], kind), "label": data["label"]})
    parquet.write_table(table, folder / "nulls.parquet")
    images = pyarrow.array(rows(range(3))["image"], kind)
    parquet.write_table(pyarrow.table({"image": images, "label": [0, None, 1]}), folder / "no_label.parquet")
    # Paths alone, as `datasets` keeps what it has not embedded.
    for i in range(4):
        (folder / f"{i:04}.png").write_bytes(picture(i))
    images = [{"bytes": None, "path": f"{i:04}.png"} for i in range(4)]
    paths = pyarrow.table({"image": pyarrow.array(images, kind), "label": [0, 1, 0, 1]})
    parquet.write_table(paths, folder / "paths.parquet")
    sets.expect("pyarrow/paths.parquet", "all", [(i % 2, picture(i)) for i in range(4)])
    parquet.write_table(table.slice(0, 0), folder / "empty.parquet")


def web_dataset(sets):
    """Shards of numbers, of JSON and of several images a sample."""
    import webdataset

    folder = sets.folder("webdataset")
    kinds = [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")]
    for split, numbers in [("train", range(13)), ("val", range(13, 18))]:
        with webdataset.ShardWriter(str(folder / f"{split}-%06d.tar"), maxcount=5, verbose=0, mtime=0) as writer:
            for i in numbers:
                ending, kind = kinds[i % 3]
                writer.write({"__key__": f"set/{i:06}", ending: picture(i, kind), "cls": i % 3})
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for split in ["train", "val"]:
        shards = sorted(str(path) for path in folder.glob(f"{split}-*.tar"))
        read = webdataset.WebDataset(shards, shardshuffle=False)
        image = lambda sample: next(sample[ending] for ending, _ in kinds if ending in sample)
        sets.expect("webdataset", split, [(CLASSES[int(sample["cls"])], image(sample)) for sample in read])
    path = sets.folder("webdataset_json") / "animals.tar"
    with webdataset.TarWriter(str(path), mtime=0) as writer:
        for i in range(6):
            sample = {"label": CLASSES[i % 3], "number": i}
            writer.write({"__key__": f"{i}", "mask.png": picture(99), "jpg": picture(i, "JPEG"), "json": sample})
    read = webdataset.WebDataset(str(path), shardshuffle=False)
    pairs = [(json.loads(sample["json"])["label"], sample["jpg"]) for sample in read]
    sets.expect("webdataset_json/animals.tar", "all", pairs)


def large(arguments):
    """Photographs, repeated: shards of 200 MB, row groups of 100 rows."""
    files = sorted(path for path in Path(arguments.photos).iterdir() if path.suffix in (".jpg", ".jpeg"))
    photos = [path.read_bytes() for path in files]
    out, wanted = Path(arguments.large), int(arguments.gigabytes * 1e9)
    out.mkdir(parents=True)
    written, shard, number = 0, 0, 0
    while written < wanted:
        batch = []
        while sum(len(data) for _, data in batch) < min(200e6, wanted - written):
            batch.append((number, photos[number % len(photos)]))
            number += 1
        written += sum(len(data) for _, data in batch)
        if arguments.kind == "tar":
            import webdataset

            with webdataset.TarWriter(str(out / f"train-{shard:06}.tar")) as writer:
                for i, data in batch:
                    writer.write({"__key__": f"{i:09}", "jpg": data, "cls": i % 10})
        else:
            import pyarrow
            from pyarrow import parquet

            kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
            images = [{"bytes": data, "path": f"{i:09}.jpg"} for i, data in batch]
            labels = [i % 10 for i, _ in batch]
            table = pyarrow.table({"image": pyarrow.array(images, kind), "label": labels})
            parquet.write_table(table, out / f"train-{shard:05}.parquet", row_group_size=100, use_dictionary=["label"])
        shard += 1
    print(f"{number} images, {written / 1e9:.2f} GB, {shard} shards")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=ROOT / "crates/data/tests/fixtures/shards", type=Path)
    parser.add_argument("--large")
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--photos")
    parser.add_argument("--kind", choices=["parquet", "tar"], default="parquet")
    arguments = parser.parse_args()
    if arguments.large:
        return large(arguments)
    shutil.rmtree(arguments.out, ignore_errors=True)
    sets = Sets(arguments.out)
    for make in [hugging_face, unlabelled, pandas_table, polars_table, arrow_tables, web_dataset]:
        make(sets)
    sets.write()


if __name__ == "__main__":
    main()
