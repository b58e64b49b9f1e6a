"""Event files read back with the package `tensorboard`, whose reader is the reference.

    python bench/peers/events.py --binary target/release/residual

A training is killed in the middle of an epoch and resumed, so that the first file has steps that the second one has
again: the reader must find each step once, and the numbers of metrics.jsonl. Skipped with a notice where `tensorboard` is
not installed."""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from kills import NETWORK, images  # noqa: E402

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit("skipped: the package tensorboard is not installed")

EPOCHS = 12


def train(binary, work):
    """Trains with a kill between two checkpoints; gives the run's folder."""
    flags = ["--model", "toy.toml", "--data", "data", "--epochs", str(EPOCHS), "--batch-size", "4", "--ema", "0.9"]
    process = subprocess.Popen([binary, "train", *flags, "--out", "run", "--tensorboard"], cwd=work)
    run = work / "run"
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 6:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([binary, "train", "--resume", "run", "--tensorboard"], cwd=work, check=True)
    return run


def check(run):
    """Compares what the reader finds with metrics.jsonl; gives the number of scalars."""
    files = sorted(run.glob("events.out.tfevents.*"))
    assert len(files) == 2, files
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    steps = [event.step for event in found["step/loss"]]
    assert steps == list(range(1, lines[-1]["step"] + 1)), steps
    for split in ("train", "val", "ema"):
        expected = [line for line in lines if line["split"] == split]
        assert len(expected) == EPOCHS
        for tag, field in (("loss", "loss"), ("accuracy", "top1"), ("images_per_second", "images_per_s")):
            scalars = found[f"{tag}/{split}"]
            assert [event.step for event in scalars] == [line["step"] for line in expected], (tag, split)
            for event, line in zip(scalars, expected, strict=True):
                assert abs(event.value - line[field]) <= 1e-6 * abs(line[field]), (tag, split, event, line)
    return sum(len(scalars) for scalars in found.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/residual"))
    binary = str(parser.parse_args().binary.resolve())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "toy.toml").write_text(NETWORK)
        images(work / "data")
        print(f"{check(train(binary, work))} scalars, each step once, as in metrics.jsonl")


if __name__ == "__main__":
    main()
