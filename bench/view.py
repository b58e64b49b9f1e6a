"""What the live view of a training costs: processor time with a terminal beside that without, in turns.

    python bench/view.py --binary target/release/residual --rounds 9

The network of bench/kills.py on twenty images of 8x8 pixels, so that a step is as short as one can be: what the view costs
there, a step, it costs in every training, and its drawings, ten a second at the most, no more than here. The terminal is a
pseudo-terminal of 100 columns that is read at once. Printed are medians of user and system time, their difference a step, and
that as a share of a step of another length (`--step` in milliseconds). Needs Python alone."""

import argparse
import fcntl
import os
import statistics
import struct
import subprocess
import tempfile
import termios
import threading
from pathlib import Path

from kills import NETWORK, images

EPOCHS, BATCH, IMAGES = 200, 2, 20


def drain(master, lengths):
    try:
        while found := os.read(master, 65536):
            lengths.append(len(found))
    except OSError:
        pass  # Closed with the last process that writes to it.


def run(call, folder, terminal):
    """Seconds of processor time."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    lengths = []
    reader = threading.Thread(target=drain, args=(master, lengths))
    reader.start()
    environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
    stderr = slave if terminal else subprocess.DEVNULL
    process = subprocess.Popen(call, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(slave)
    reader.join()
    os.close(master)
    assert process.returncode == 0 and (sum(lengths) > 1000) == terminal, (call, sum(lengths))
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--step", type=float, default=250.0, help="milliseconds of a step to compare with")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "toy.toml").write_text(NETWORK)
        images(folder / "data")
        call = [arguments.binary.resolve(), "train", "--model", "toy.toml", "--data", "data", "--threads", "1"]
        call += ["--epochs", str(EPOCHS), "--batch-size", str(BATCH)]
        times = {True: [], False: []}
        for number in range(arguments.rounds):
            for terminal in (True, False):
                times[terminal].append(run([*call, "--out", f"{number}-{terminal}"], folder, terminal))
    shown, plain = (statistics.median(times[terminal]) for terminal in (True, False))
    steps = EPOCHS * IMAGES // BATCH
    cost = statistics.median(a - b for a, b in zip(times[True], times[False])) / steps
    print(f"{shown:.3f} s with a view, {plain:.3f} s without, medians of {arguments.rounds}; {steps} steps")
    print(f"the view: {1e6 * cost:.1f} us a step; {100 * cost / (arguments.step / 1e3):.4f}% of {arguments.step:.0f} ms")


if __name__ == "__main__":
    main()
