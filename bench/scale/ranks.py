"""Training over MPI: the same bits for any number of ranks and threads, and after SIGKILL of any rank.

    python bench/scale/ranks.py --binary target/release/residual                 # ranks 1 to 4, threads 1 and 2
    python bench/scale/ranks.py --binary target/release/residual --quick         # two ranks beside one: what .ci/mpi runs
    python bench/scale/ranks.py --binary target/release/residual --kills 50      # random ranks at random moments

The binary is built with the feature `mpi`. A network of two blocks trains on images of 8x8 pixels that are made here, in
eight shards, with augmentation, mixup, dropout, stochastic depth and an average of the weights. Compared is the SHA-256 of
all tensors of last.safetensors, optimiser and average included. Needs Open MPI's `mpirun` and Python alone."""

import argparse
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from kills import NETWORK, images  # noqa: E402

RECIPE = """
epochs = 4
batch_size = 12
shards = 8
seed = 3
lr = 0.05
checkpoint_every_steps = 1
augment = [{ kind = "pad_crop", padding = 1 }, { kind = "horizontal_flip" }]
mix = { mixup = 0.4 }
ema = { decay = 0.9 }
drop_last = false

[data]
path = "data"
"""

# Of Open MPI: as root, more ranks than cores, not bound to any, and nothing but this machine.
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,vader"]
LONG = 300


def environment():
    return {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def weights(run):
    """SHA-256 of the tensors of a run's last checkpoint."""
    data = (run / "last.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data[8 + length :]).hexdigest()


class Job:
    """Trainings of one recipe in a folder of work."""

    def __init__(self, binary, work):
        self.binary, self.work = str(binary.resolve()), work
        (work / "toy.toml").write_text(NETWORK)
        (work / "recipe.toml").write_text(RECIPE)
        images(work / "data")

    def start(self, run, ranks, threads=1):
        call = [self.binary, "train", "--threads", str(threads), "--rank-timeout", "60"]
        if (self.work / run / "recipe.toml").exists():
            call += ["--resume", run]
        else:
            call += ["--recipe", "recipe.toml", "--model", "toy.toml", "--out", run]
        launcher = [] if ranks is None else [*MPIRUN, "-n", str(ranks)]
        log = (self.work / "log").open("wb")
        return subprocess.Popen([*launcher, *call], cwd=self.work, stdout=log, stderr=log, env=environment())

    def log(self):
        return (self.work / "log").read_text(errors="replace")

    def whole(self, run, ranks, threads=1):
        process = self.start(run, ranks, threads)
        try:
            code = process.wait(LONG)
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit(f"{run}: nothing for {LONG} seconds: {self.log()}")
        if code != 0:
            sys.exit(f"{run}: ends with {code}: {self.log()}")
        return weights(self.work / run)


def same_bits(job, quick):
    expected = job.whole("alone", None, 2)
    print(f"one process, two threads, without mpirun: {expected}")
    cases = [(2, 1)] if quick else [(ranks, threads) for ranks in (1, 2, 3, 4) for threads in (1, 2)]
    for ranks, threads in cases:
        found = job.whole(f"ranks{ranks}-threads{threads}", ranks, threads)
        print(f"ranks {ranks}, threads {threads}: {found}", flush=True)
        if found != expected:
            sys.exit("the bits differ")
    return expected


def ranks_of(mpirun, binary):
    """Processes of the job: children of mpirun that run the binary."""
    children = Path(f"/proc/{mpirun}/task/{mpirun}/children").read_text().split()
    is_rank = lambda pid: os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(binary)
    return [int(pid) for pid in children if is_rank(pid)]


def killed(job, kills, expected, seed):
    rng, done, runs, longest = random.Random(seed), 0, 0, 0.0
    began = time.monotonic()
    job.whole("timed", 2)
    length = time.monotonic() - began
    while done < kills:
        run = f"run{runs}"
        while True:
            ranks = rng.choice([1, 2, 3, 4])
            process = job.start(run, ranks)
            time.sleep(rng.uniform(0, length) if done < kills else 0)
            if done < kills and process.poll() is None:
                try:
                    victims = ranks_of(process.pid, job.binary)
                    victim = rng.choice(victims) if victims else None
                    if victim:
                        os.kill(victim, signal.SIGKILL)
                except (OSError, IndexError):
                    victim = None
                struck = time.monotonic()
                try:
                    code = process.wait(LONG)
                except subprocess.TimeoutExpired:
                    process.kill()
                    sys.exit(f"{run}: the ranks hang after one was killed: {job.log()}")
                if code != 0 and victim:
                    done += 1
                    longest = max(longest, time.monotonic() - struck)
                    if "signal 9" not in job.log():
                        sys.exit(f"{run}: no message: {job.log()}")
                    continue
            else:
                code = process.wait(LONG)
            if code == 0:
                break
            sys.exit(f"{run}: ends with {code}: {job.log()}")
        found = weights(job.work / run)
        if found != expected:
            sys.exit(f"{run}: {found} after {done} kills, and not {expected}")
        runs += 1
    print(f"{done} kills in {runs} runs on 1 to 4 ranks: every run ends in the same bits; the others ended within {longest:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/residual"))
    parser.add_argument("--quick", action="store_true", help="two ranks of one thread alone")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(arguments.binary, Path(folder))
        expected = same_bits(job, arguments.quick)
        if arguments.kills:
            killed(job, arguments.kills, expected, arguments.seed)


if __name__ == "__main__":
    main()
