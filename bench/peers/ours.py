"""This project's side: a child process that answers line by line."""

import json
import subprocess
from pathlib import Path

from shapes import Layer
from timing import Contender

ROOT = Path(__file__).resolve().parents[2]


class Refused(Exception):
    """The child cannot measure this layer; the text says why."""


def build(driver: str = "layer") -> str:
    """Builds a program of bench/drivers that answers on request; returns the path of its binary."""
    package = ["--package", "residual-drivers", "--no-default-features"]
    return built(["cargo", "build", "--release", *package, "--bin", driver], driver)


def built(command: list[str], name: str) -> str:
    """Runs a build; returns the path of the binary called `name`."""
    messages = subprocess.run(
        [*command, "--message-format", "json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    for line in messages.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    raise RuntimeError(f"the build names no binary called {name}")


class Child:
    """The running binary, which holds one layer at a time."""

    def __init__(self, binary: str, threads: int):
        self.process = subprocess.Popen(
            [binary, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, question: str, wanted: str) -> str:
        """What follows the word `wanted` in the answer."""
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        if word != wanted:
            raise Refused(f"{question}: {word} {rest}")
        return rest

    def prepare(self, which: str, layer: Layer) -> tuple[str, Contender]:
        """The algorithm and the contender for pass `which` of `layer`."""
        numbers = [layer.batch, layer.ins, layer.outs, layer.size, layer.kernel, layer.stride]
        algorithm = self.ask(f"layer {which} {' '.join(map(str, numbers))}", "ready")
        return algorithm, lambda runs: float(self.ask(f"run {runs}", "ms"))

    def close(self) -> None:
        """Ends the child, by the end of its input."""
        self.process.stdin.close()
        self.process.wait()
