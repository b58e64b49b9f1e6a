"""Exact and approximate search beside numpy and faiss, in turns.

    python bench/peers/search.py --rows 100000 --rows 1000000 --out search.json

Vectors are of a formula: `centres` directions, and noise of the same length around each. Needs numpy; faiss-cpu is
measured where it is there. The programs of bench/drivers are built by cargo.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from machine import describe
from ours import Child, build

try:
    import faiss
except ImportError:
    faiss = None


def vectors(rows: int, length: int, centres: int, seed: int, spread: float) -> np.ndarray:
    """Unit vectors around some directions, which are the same for every seed."""
    directions = np.random.default_rng(0).standard_normal((centres, length), dtype=np.float32)
    noise = np.random.default_rng(seed)
    found = np.empty((rows, length), np.float32)
    for start in range(0, rows, 65536):
        part = found[start : start + 65536]
        which = noise.integers(centres, size=len(part))
        part[:] = directions[which] + spread * noise.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found


def by_numpy(index: np.ndarray, queries: np.ndarray, top: int) -> np.ndarray:
    """Product, partition and sort, in blocks of rows so that the products of a batch fit into memory."""
    scores, rows = [], []
    for start in range(0, len(index), 1 << 18):
        block = queries @ index[start : start + (1 << 18)].T
        best = np.argpartition(block, -top, axis=1)[:, -top:]
        scores.append(np.take_along_axis(block, best, 1))
        rows.append(best + start)
    scores, rows = np.concatenate(scores, 1), np.concatenate(rows, 1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return np.take_along_axis(rows, order, 1)


def milliseconds(search, queries: np.ndarray, batch: int) -> float:
    """Time of one search for a batch."""
    begun = time.perf_counter()
    search(queries[:batch])
    return 1e3 * (time.perf_counter() - begun)


def exact(child: Child, index: np.ndarray, queries: np.ndarray, arguments) -> list[dict]:
    """Milliseconds a batch of each contender, the median of some rounds in which each has a turn."""
    contenders = {"numpy": lambda q: by_numpy(index, q, arguments.top)}
    if faiss is not None:
        flat = faiss.IndexFlatIP(index.shape[1])
        flat.add(index)
        contenders["faiss"] = lambda q: flat.search(q, arguments.top)
    same = child.ask(f"hits 16 {arguments.top}", "rows").split(",")
    expected = by_numpy(index, queries[:16], arguments.top).ravel().tolist()
    agree = float(np.mean([int(one) == other for one, other in zip(same, expected, strict=True)]))
    results = []
    for batch in arguments.batch:
        times = {name: [] for name in ["residual", *contenders]}
        for _ in range(arguments.rounds):
            times["residual"].append(float(child.ask(f"exact 1 {batch} {arguments.top}", "ms")))
            for name, search in contenders.items():
                times[name].append(milliseconds(search, queries, batch))
        found = {name: median(turns[1:]) for name, turns in times.items()}
        rate = {name: round(1e3 * batch / ms, 1) for name, ms in found.items()}
        results.append({"batch": batch, "queries_a_second": rate, "same_rows_as_numpy": agree})
        print(json.dumps({"rows": len(index), **results[-1]}), flush=True)
    return results


def approximate(child: Child, folder: Path, rows: int, arguments) -> list[dict]:
    """Time to make the approximate index, and recall and rate for some numbers of lists."""
    path = folder / f"{rows}.parquet"
    written = float(child.ask(f"index {path}", "seconds"))
    made = float(child.ask(f"clusters {path}", "seconds"))
    results = []
    for probes in arguments.probes:
        recall = float(child.ask(f"recall 200 {arguments.top} {probes}", "recall"))
        ms = {batch: float(child.ask(f"approximate 9 {batch} {arguments.top} {probes}", "ms")) for batch in arguments.batch}
        rate = {batch: round(1e3 * batch / found, 1) for batch, found in ms.items()}
        results.append({"probes": probes, "recall": round(recall, 4), "queries_a_second": rate})
        print(json.dumps({"rows": rows, "written_s": written, "made_s": made, **results[-1]}), flush=True)
    return [{"written_s": written, "made_s": made}, *results]


def main() -> None:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--centres", type=int, default=5000)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--probes", type=int, action="append")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--approximate", action="store_true", help="measure the approximate index too")
    parser.add_argument("--driver", help="a binary that is built already")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or [1, 64]
    arguments.probes = arguments.probes or [8, 32]
    if faiss is not None:
        faiss.omp_set_num_threads(arguments.threads)
    results = {"machine": describe(["numpy"] + (["faiss-cpu"] if faiss else [])), "measured": []}
    binary = arguments.driver or build("search")
    for rows in arguments.rows or [100_000]:
        with tempfile.TemporaryDirectory() as folder:
            folder, child = Path(folder), Child(binary, arguments.threads)
            index = vectors(rows, arguments.length, arguments.centres, 1, arguments.spread)
            queries = vectors(256, arguments.length, arguments.centres, 2, arguments.spread)
            index.tofile(folder / "index.f32")
            queries.tofile(folder / "queries.f32")
            child.ask(f"vectors {folder / 'index.f32'} {arguments.length}", "ready")
            child.ask(f"queries {folder / 'queries.f32'}", "ready")
            (folder / "index.f32").unlink()
            found = {"rows": rows, "exact": exact(child, index, queries, arguments)}
            if arguments.approximate:
                del index
                found["approximate"] = approximate(child, folder, rows, arguments)
            results["measured"].append(found)
            child.close()
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
