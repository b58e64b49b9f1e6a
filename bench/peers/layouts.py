"""Data sets of every layout and format, as other programs write and read them, against what `residual` reads.

    cargo build --release -p residual-data --example labelled
    python bench/peers/layouts.py target/release/examples/labelled

Folders of images are written with Pillow and read by torchvision's `ImageFolder`; the files of CIFAR-10, CIFAR-100,
MNIST, Fashion-MNIST and EMNIST are written as they are published, smaller, and read by torchvision's classes of these
names; lists are written by pandas, arrays by NumPy. Of each set all counts, labels and pixels have to be the same, in
the same order. A row for each; exit code 1 where one differs. Needs torchvision, pandas, NumPy and Pillow.
"""

import gzip
import hashlib
import json
import pathlib
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
import pandas
from PIL import Image
from torchvision import datasets

RANDOM = np.random.default_rng(0)
FASHION = datasets.FashionMNIST.classes


def pictures(count, height=9, width=7, channels=3):
    shape = (count, height, width, channels) if channels else (count, height, width)
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def row(split, name, pixels):
    pixels = np.asarray(pixels)
    size = list(pixels.shape) if pixels.ndim == 3 else [*pixels.shape, 1]
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return {"split": split, "class": str(name), "size": size, "sha256": digest}


class Sets:
    """Sets on disk, and the rows that are expected of each."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.failed = binary, folder, 0

    def hold(self, name, path, expected, columns=None):
        command = [self.binary, str(path)] + ([columns] if columns else [])
        done = subprocess.run(command, capture_output=True, text=True)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        same = done.returncode == 0 and found == expected
        detail = "" if same else (done.stderr.strip()[-300:] or f"differs: {len(found)} of {len(expected)} rows")
        if not same and not detail.startswith("Error"):
            first = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), None)
            detail = f"{len(found)} rows for {len(expected)}; the first that differs: {first}"
            if first is not None:
                detail += f"\n    {found[first]}\n    {expected[first]}"
        self.failed += not same
        print(f"{'same' if same else 'DIFFERS':8} {len(expected):4} images  {name}  {detail}", flush=True)


def folders(sets):
    for split, classes in (("train", ["ants", "bees", "10", "9"]), ("val", ["bees", "10"])):
        for name in classes:
            place = sets.folder / "photos" / split / name
            place.mkdir(parents=True)
            for i, pixels in enumerate(pictures(3)):
                Image.fromarray(pixels).save(place / f"{i}.{['png', 'bmp', 'png'][i]}")
            Image.fromarray(pictures(1)[0]).save(place / "7.webp", lossless=True, exact=True)
    root = sets.folder / "photos"
    train = datasets.ImageFolder(root / "train")
    rows = [row("train", train.classes[label], image) for image, label in train]
    # `val` has two of the four classes: they keep the labels of their names.
    val = datasets.ImageFolder(root / "val")
    rows += [row("val", val.classes[label], image) for image, label in val]
    sets.hold("folder of splits (torchvision.datasets.ImageFolder)", root, rows)
    with tarfile.open(sets.folder / "photos.tar.gz", "w:gz") as archive:
        archive.add(root, "photos")
    sets.hold("the same, .tar.gz (tarfile)", sets.folder / "photos.tar.gz", rows)
    with zipfile.ZipFile(sets.folder / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, path.relative_to(sets.folder))
    sets.hold("the same, .zip (zipfile)", sets.folder / "photos.zip", rows)
    lists(sets, root, train)


def lists(sets, root, train):
    paths = [pathlib.Path(path).relative_to(root) for path, _ in train.samples]
    frame = pandas.DataFrame(
        {
            "image": [str(path) for path in paths],
            "label": [train.classes[label] for _, label in train.samples],
            "split": [["train", "test"][i % 4 == 3] for i in range(len(paths))],
            "note": ['said "so", twice'] * len(paths),
        }
    )
    images = [np.asarray(image) for image, _ in train]
    rows = [row(split, name, image) for split, name, image in zip(frame["split"], frame["label"], images)]
    rows = [r for r in rows if r["split"] == "train"] + [r for r in rows if r["split"] == "test"]
    writers = {
        "labels.csv": lambda path: frame.to_csv(path),
        "semicolons.csv": lambda path: frame.to_csv(path, sep=";", index=False),
        "quoted.csv": lambda path: frame.to_csv(path, index=False, quoting=1, lineterminator="\r\n"),
        "bom.csv": lambda path: frame.to_csv(path, index=False, encoding="utf-8-sig"),
        "labels.tsv": lambda path: frame.to_csv(path, sep="\t", index=False),
        "labels.jsonl": lambda path: frame.to_json(path, orient="records", lines=True),
    }
    for name, write in writers.items():
        write(root / name)
        sets.hold(f"list {name} (pandas)", root / name, rows)
    renamed = frame.rename(columns={"image": "photo", "label": "breed"}).drop(columns="split")
    renamed.to_csv(root / "renamed.csv", index=False)
    rows = [row("train", name, image) for name, image in zip(frame["label"], images)]
    sets.hold("list with named columns (pandas)", root / "renamed.csv", rows, "path=photo,label=breed")


def idx(values):
    head = bytes([0, 0, 8, values.ndim]) + b"".join(struct.pack(">I", side) for side in values.shape)
    return head + values.tobytes()


def mnist(sets):
    for name, kind, names in (
        ("MNIST", datasets.MNIST, [str(i) for i in range(10)]),
        ("FashionMNIST", datasets.FashionMNIST, FASHION),
        ("KMNIST", datasets.KMNIST, [str(i) for i in range(10)]),
    ):
        raw = sets.folder / name / "raw"
        raw.mkdir(parents=True)
        for split, count in (("train", 40), ("t10k", 20)):
            images, labels = pictures(count, 28, 28, 0), np.arange(count, dtype=np.uint8) % 10
            (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
            (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
        rows = []
        for split in ("train", "test"):
            for image, label in kind(sets.folder, train=split == "train"):
                rows.append(row(split, names[label], image))
        sets.hold(f"{name} (torchvision.datasets.{name})", sets.folder / name, rows)
        packed = sets.folder / "packed" / name
        packed.mkdir(parents=True)
        for path in raw.iterdir():
            (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        sets.hold(f"{name}, gzipped", packed, rows)
    raw = sets.folder / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 60), ("test", 30)):
        images, labels = pictures(count, 28, 28, 0), np.arange(count, dtype=np.uint8) % 26 + 1
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            (raw / f"emnist-letters-{split}-{kind}-ubyte").write_bytes(idx(values))
    rows = []
    for split in ("train", "test"):
        for image, label in datasets.EMNIST(sets.folder, split="letters", train=split == "train"):
            rows.append(row(split, label, image))
    sets.hold("EMNIST letters (torchvision.datasets.EMNIST)", sets.folder / "EMNIST", rows)


def cifar(sets):
    names = {10: datasets.CIFAR10, 100: datasets.CIFAR100}
    fine = [f"fine{i}" for i in range(100)]
    coarse = [f"coarse{i}" for i in range(20)]
    plain = [f"class{i}" for i in range(10)]
    for count, kind in names.items():
        kind._check_integrity = lambda self: True
        kind._load_meta_checked = kind._load_meta
        folder = sets.folder / kind.base_folder
        folder.mkdir()
        files = [name for name, _ in kind.train_list + kind.test_list]
        for name in files:
            labels = RANDOM.permutation(100)[:20] if count == 100 else RANDOM.permutation(20) % 10
            batch = {"data": pictures(20, 3, 32, 32).reshape(20, 3072), "filenames": [f"{i}.png" for i in range(20)]}
            if count == 100:
                batch |= {"fine_labels": labels.tolist(), "coarse_labels": (labels // 5).tolist()}
            else:
                batch |= {"labels": labels.tolist(), "batch_label": name}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=4))
        meta = {"fine_label_names": fine, "coarse_label_names": coarse} if count == 100 else {"label_names": plain}
        (folder / kind.meta["filename"]).write_bytes(pickle.dumps(meta, protocol=4))
        with unchecked():
            rows = []
            for split in ("train", "test"):
                data = kind(sets.folder, train=split == "train")
                rows += [row(split, data.classes[label], image) for image, label in data]
        sets.hold(f"CIFAR-{count}, python (torchvision.datasets.{kind.__name__})", folder, rows)
        archive = sets.folder / f"cifar-{count}-python.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(folder, kind.base_folder)
        sets.hold(f"CIFAR-{count}, python, packed", archive, rows)
        if count == 100:
            rows = [r | {"class": "coarse" + str(int(r["class"][4:]) // 5)} for r in rows]
            sets.hold("CIFAR-100, coarse labels", archive, rows, "label=coarse")


class unchecked:
    """torchvision's MD5 of the published files, put aside."""

    def __enter__(self):
        self.check = datasets.cifar.check_integrity
        datasets.cifar.check_integrity = lambda *arguments: True

    def __exit__(self, *_):
        datasets.cifar.check_integrity = self.check


def arrays(sets):
    colours, grey = (pictures(12), pictures(6)), (pictures(12, channels=0), pictures(6, channels=0))
    numbers = (np.arange(12) % 3, np.arange(6) % 2)
    words = np.array(["cat", "dog", "hen"])

    def rows(images, names, splits=("train", "test")):
        each = [(split, *pair) for split, of, called in zip(splits, images, names) for pair in zip(of, called)]
        return [row(split, name, image) for split, image, name in each]

    def npz(name, writer, arrays, expected, columns=None):
        writer(sets.folder / name, **arrays)
        sets.hold(f"{name} (numpy.{writer.__name__})", sets.folder / name, expected, columns)

    for kind in ("uint8", "int8", "int32", "int64", "uint64", "float32", "bool"):
        labels = [(n > 0).astype(kind) if kind == "bool" else n.astype(kind) for n in numbers]
        shown = [[int(n) for n in of] for of in labels]
        keras = dict(x_train=colours[0], y_train=labels[0], x_test=colours[1], y_test=labels[1])
        npz(f"keras_{kind}.npz", np.savez, keras, rows(colours, shown))
    column = [n.astype(np.uint8)[:, None] for n in numbers]
    medmnist = dict(train_images=grey[0], train_labels=column[0], test_images=grey[1], test_labels=column[1])
    npz("medmnist.npz", np.savez_compressed, medmnist, rows(grey, numbers))
    planes = [np.ascontiguousarray(images.transpose(0, 3, 1, 2)) for images in colours]
    called = words[numbers[0]]
    npz("planes.npz", np.savez_compressed, dict(data=planes[0], labels=called), rows(colours[:1], [called]))
    npz("bytes.npz", np.savez, dict(images=grey[0], targets=called.astype("S")), rows(grey[:1], [called]))
    npz("floats.npz", np.savez, dict(X=grey[0].astype("f8"), y=numbers[0]), rows(grey[:1], numbers[:1]))
    npz("big.npz", np.savez, dict(X=grey[0].astype(">i4"), y=numbers[0].astype(">i2")), rows(grey[:1], numbers[:1]))
    npz("names.npz", np.savez, dict(X=grey[0], y=numbers[0], class_names=words), rows(grey[:1], [called]))
    turned = numbers[0][::-1]
    named = dict(pictures=grey[0], a=numbers[0], b=turned)
    npz("named.npz", np.savez, named, rows(grey[:1], [turned]), "path=pictures,label=b")
    place = sets.folder / "npy"
    place.mkdir()
    for name, array in (("x_train", colours[0]), ("y_train", numbers[0]), ("x_val", colours[1]), ("y_val", numbers[1])):
        np.save(place / f"{name}.npy", array)
    sets.hold("folder of .npy (numpy.save)", place, rows(colours, numbers, ("train", "val")))


def main():
    with tempfile.TemporaryDirectory() as folder:
        sets = Sets(sys.argv[1], pathlib.Path(folder))
        for part in (folders, mnist, cifar, arrays):
            part(sets)
    sys.exit(1 if sets.failed else 0)


if __name__ == "__main__":
    main()
