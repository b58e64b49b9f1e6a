"""Turns the results of `layers.py` into the Markdown of docs/performance.md.

    python bench/peers/report.py runs/peers.json
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from statistics import geometric_mean

HEADER = """\
| layer | algorithm | ms | GFLOP/s | best peer | its ms | ratio |
| --- | --- | --- | --- | --- | --- | --- |"""


def heading(machine: dict) -> str:
    """Machine, date and versions, as a paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    features = ", ".join(machine["features"])
    return f"{machine['date']}, {machine['processor']}, {machine['cores']} cores ({features}); {versions}."


def row(result: dict) -> str:
    """A layer; one that loses is marked."""
    ratio = f"{result['ratio']:.2f}"
    cells = [
        result["layer"],
        result["algorithm"],
        f"{result['ms']:.3f}",
        f"{result['gflops']:.0f}",
        result["best"],
        f"{result['peers'][result['best']]:.3f}",
        ratio if result["ratio"] >= 1 else f"**{ratio}**",
    ]
    return f"| {' | '.join(cells)} |"


def kind(result: dict) -> tuple[str, int]:
    """What a table is of."""
    return result["pass"], result["threads"]


def tables(results: list[dict]) -> str:
    """A table for each pass and number of threads, with the means of its groups."""
    parts = []
    for (which, threads), chosen in groupby(sorted(results, key=kind), kind):
        chosen = list(chosen)
        title = f"### {which.capitalize()}, {threads} thread{'s' if threads > 1 else ''}"
        groups = dict.fromkeys(result["group"] for result in chosen)
        ratios = {group: [r["ratio"] for r in chosen if r["group"] == group] for group in groups}
        means = [f"{group} {geometric_mean(of):.2f}" for group, of in ratios.items()]
        parts.append(f"{title}\n\nGeometric means: {', '.join(means)}.\n")
        parts.append("\n".join([HEADER, *map(row, chosen)]) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Prints the Markdown."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    measured = json.loads(Path(sys.argv[1]).read_text())
    print(f"{heading(measured['machine'])}\n\n{tables(measured['results'])}", end="")


if __name__ == "__main__":
    main()
