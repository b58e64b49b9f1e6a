"""The programs of examples/scale on this machine, a worker of each killed half-way: complete output without duplicates.

    python scale_out.py --weights runs/first --images FOLDER [--engines ray,spark] [--workers 2] [--batch 16]

Each program runs as it is, but that its workers write their process number when they begin a batch. When half of the batches
have begun, the worker that began the last one is sent SIGKILL. The output is then held against what one process says: every
path once, the same classes, the same embeddings to the bit. Exits with 1 where it does not hold.

Needs the wheel, ray[data], pyspark, pandas, pyarrow, and Java for Spark.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SCALE = HERE.parents[1] / "examples" / "scale"
sys.path.insert(0, str(SCALE))
# Workers find the programs' modules as this process does.
os.environ["PYTHONPATH"] = os.pathsep.join([str(SCALE), *filter(None, [os.environ.get("PYTHONPATH")])])


def began(log):
    """Says that this process begins a batch."""
    (pathlib.Path(log) / f"{time.monotonic_ns()}-{os.getpid()}").touch()


def batches_begun(log):
    """Process numbers of the batches that have begun, in their order."""
    return [int(path.name.split("-")[1]) for path in sorted(pathlib.Path(log).iterdir(), key=lambda path: path.name)]


class Killer(threading.Thread):
    """Kills the worker that began the last batch, once enough have begun."""

    def __init__(self, log, after):
        super().__init__(daemon=True)
        self.log, self.after, self.killed = log, after, None

    def run(self):
        while self.killed is None:
            pids = batches_begun(self.log)
            if len(pids) >= self.after:
                # In the middle of its batch, as likely as not.
                os.kill(pids[-1], signal.SIGKILL)
                self.killed = pids[-1]
            time.sleep(0.002)


def with_ray(arguments, out, log):
    import ray
    import ray_images

    class Watched(ray_images.Worker):
        def __call__(self, batch):
            began(log)
            return super().__call__(batch)

    ray.init(num_cpus=arguments.workers, object_store_memory=200 << 20, include_dashboard=False, log_to_driver=False,
             configure_logging=False)
    try:
        options = {"workers": arguments.workers, "batch": arguments.batch, "worker": Watched}
        return ray_images.classify(arguments.weights, arguments.images, out, **options)
    finally:
        ray.shutdown()


def with_spark(arguments, out, log):
    import spark_images

    def watched(weights, threads):
        answers = spark_images.answers_of(weights, threads)

        def logged(batches):
            def each():
                for batch in batches:
                    began(log)
                    yield batch

            yield from answers(each())

        return logged

    spark = spark_images.session(arguments.workers)
    spark.sparkContext.setLogLevel("OFF")
    try:
        options = {"workers": arguments.workers, "batch": arguments.batch, "function": watched}
        return spark_images.classify(spark, arguments.weights, arguments.images, out, **options)
    finally:
        spark.stop()


def held(out, expected):
    """What is wrong with the output: nothing, or a line."""
    import numpy as np
    import pyarrow.dataset

    rows = pyarrow.dataset.dataset(str(out), format="parquet").to_table().to_pylist()
    paths = [row["path"] for row in rows]
    if len(paths) != len(set(paths)):
        return f"{len(paths) - len(set(paths))} rows twice"
    if set(paths) != set(expected):
        return f"{len(set(expected) - set(paths))} images without a row"
    for row in rows:
        label, vector, error = expected[row["path"]]
        if (row["error"] is None) != (error is None) or row["label"] != label:
            return f"{row['path']}: {row['label']}, alone {label}"
        if vector is not None and not np.array_equal(np.array(row["embedding"], np.float32), np.array(vector, np.float32)):
            return f"{row['path']}: another embedding than alone"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--engines", default="ray,spark")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    from classified import Classified, images_in

    paths = images_in(arguments.images)
    alone = Classified(str(pathlib.Path(arguments.weights).resolve()))(paths)
    expected = {row[0]: row[1:] for row in zip(*(alone[name] for name in ("path", "label", "embedding", "error")))}
    failed = False
    for engine in arguments.engines.split(","):
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"residual-{engine}-"))
        log, out = folder / "began", folder / "answers"
        log.mkdir()
        killer = Killer(log, max(2, len(paths) // arguments.batch // 2))
        killer.start()
        began_at = time.perf_counter()
        {"ray": with_ray, "spark": with_spark}[engine](arguments, out, str(log))
        seconds = time.perf_counter() - began_at
        begun, wrong = batches_begun(log), held(out, expected)
        if killer.killed is None:
            wrong = wrong or "no worker was killed: too few images"
        broken = sum(reason is not None for reason in alone["error"])
        print(
            f"{engine}: {len(paths)} images ({broken} broken) in {seconds:.1f} s by processes {sorted(set(begun))}; "
            f"{killer.killed} killed after {killer.after} of {len(begun)} batches: {wrong or 'every image once, as alone'}",
            flush=True,
        )
        failed |= wrong is not None
        shutil.rmtree(folder)
    sys.exit(failed)


if __name__ == "__main__":
    main()
