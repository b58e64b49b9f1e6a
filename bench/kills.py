"""SIGKILL at random moments: every recipe with a name, killed and resumed, ends in the bits of the uninterrupted run.

    python bench/kills.py --binary target/release/residual --kills 1000

Each recipe trains a network of two blocks on twenty images of 8x8 pixels, made here, with its own optimiser, schedule,
average, augmentation and mixing; sizes of crops and batches are made smaller. A process is killed after a random time,
often before its first step or while it writes, and resumed until it comes to its end; then the run begins anew in another
folder, until the recipe has had its share of kills. Compared are all tensors of last.safetensors and best.safetensors, the
state of the training, and metrics.jsonl, but for times. Needs Python alone."""

import argparse
import json
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

NETWORK = """
name = "toy"
input = [3, 8, 8]
stochastic_depth = 0.2

[stem]
convs = [{ channels = 4, kernel = 3 }]

[[stages]]
blocks = [{ kind = "basic", channels = 4 }]

[[stages]]
blocks = [{ kind = "basic", channels = 8, stride = 2 }]

[head]
classes = 2
dropout = 0.1
"""

# Sizes in a recipe for photographs, and here.
SMALLER = [
    (r"size = \[\d+, \d+\]", "size = [8, 8]"),
    (r"shorter_side = \d+", "shorter_side = 10"),
    (r"crop = \[\d+, \d+\]", "crop = [8, 8]"),
    (r"augment_repeats = \d+", "augment_repeats = 2"),
    (r"milestones = \[[\d, ]+\]", "milestones = [4, 6]"),
    (r"warmup = \{ epochs = [\d.]+ \}", "warmup = { epochs = 1 }"),
]

TIMES = {"seconds", "images_per_s"}


def png(path, colour, rng):
    """An 8x8 image of noise about a colour."""
    rows = b"".join(
        b"\0" + bytes(min(255, max(0, c + rng.randrange(-40, 40))) for _ in range(8) for c in colour) for _ in range(8)
    )

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def images(root):
    rng = random.Random(0)
    for split, count in (("train", 10), ("val", 4)):
        for name, colour in (("azure", (60, 120, 220)), ("brick", (190, 80, 60))):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                png(folder / f"{index:02}.png", colour, rng)


def timeless(value):
    """A JSON value without what the clock says."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in TIMES}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def parsed(text):
    try:
        return timeless(json.loads(text))
    except ValueError:
        return text


def result(run):
    """All that a finished run left behind, times excepted."""
    found = {}
    for name in ("last.safetensors", "best.safetensors"):
        data = (run / name).read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        # The checksum is over the times as well.
        found[name] = (header, {k: parsed(v) for k, v in metadata.items() if "checksum" not in k}, data[8 + length :])
    found["metrics"] = [timeless(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return found


class Recipe:
    """A recipe, made small, and its uninterrupted run."""

    def __init__(self, binary, name, work):
        self.binary, self.name, self.work = binary, name, work
        text = subprocess.run([binary, "recipes", name], capture_output=True, text=True, check=True).stdout
        for pattern, smaller in SMALLER:
            text = re.sub(pattern, smaller, text)
        self.file = work / f"{name}.toml"
        self.file.write_text(text)
        began = time.monotonic()
        done = self.start("whole").wait()
        self.seconds = time.monotonic() - began
        if done != 0:
            sys.exit(f"{name}: the uninterrupted run ends with {done}")
        self.whole = result(self.folder("whole"))

    def folder(self, run):
        return self.work / f"{self.name}-{run}"

    def start(self, run):
        folder = self.folder(run)
        flags = ["--model", "toy.toml", "--data", "data", "--epochs", "8", "--batch-size", "4"]
        flags += ["--checkpoint-every", "3", "--threads", "2", "--out", folder.name]
        call = ["train", "--recipe", self.file.name, *flags]
        if (folder / "recipe.toml").exists():
            call = ["train", "--resume", folder.name]
        log = (self.work / "log").open("wb")
        return subprocess.Popen([self.binary, *call], cwd=self.work, stdout=log, stderr=log)

    def killed(self, kills, rng):
        """Kills and resumes until there were so many kills; gives the runs that came to their end."""
        runs, done = 0, 0
        while done < kills:
            run = f"run{runs}"
            while True:
                process = self.start(run)
                # Of a run's length, so that a process is killed anywhere, and some are not.
                time.sleep(rng.uniform(0, min(self.seconds, 1.0)) if done < kills else 0)
                if done < kills and process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                code = process.wait()
                if code == -signal.SIGKILL:
                    done += 1
                elif code == 0:
                    break
                else:
                    sys.exit(f"{self.name}: {self.folder(run)} ends with {code}: {(self.work / 'log').read_text()}")
            if result(self.folder(run)) != self.whole:
                sys.exit(f"{self.name}: {self.folder(run)} differs from the uninterrupted run after {done} kills")
            shutil.rmtree(self.folder(run))
            runs += 1
        return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/residual"))
    parser.add_argument("--kills", type=int, default=1000, help="over all recipes")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    binary = str(arguments.binary.resolve())
    listed = subprocess.run([binary, "recipes", "--json"], capture_output=True, text=True, check=True).stdout
    names = [json.loads(line)["name"] for line in listed.splitlines()]
    rng = random.Random(arguments.seed)
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "toy.toml").write_text(NETWORK)
        images(work / "data")
        for index, name in enumerate(names):
            share = arguments.kills * (index + 1) // len(names) - arguments.kills * index // len(names)
            runs = Recipe(binary, name, work).killed(share, rng)
            total += share
            print(f"{name}: {share} kills in {runs} runs, every one ends in the bits of the uninterrupted run", flush=True)
    print(f"{total} kills over {len(names)} recipes")


if __name__ == "__main__":
    main()
