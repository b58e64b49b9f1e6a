"""Classes and embeddings of a folder of images to Parquet, with Ray Data.

    pip install residual-nets "ray[data]"
    python ray_images.py --weights runs/first --images photos --out answers.parquet --workers 4

One actor a worker holds one `Classifier`, opened once. A block of paths whose worker dies is computed again by another, and
each block is written to a file named after it: the output is complete and without duplicates.
"""

import argparse
import pathlib
import sys

import ray
from classified import Classified, images_in


class Worker:
    """What `map_batches` keeps in an actor."""

    def __init__(self, weights, threads):
        self.classified = Classified(weights, threads)

    def __call__(self, batch):
        import pyarrow

        columns = self.classified([str(path) for path in batch["path"]])
        types = {"path": pyarrow.string(), "label": pyarrow.string(), "probability": pyarrow.float64(),
                 "embedding": pyarrow.list_(pyarrow.float32()), "error": pyarrow.string()}
        return pyarrow.table(columns, schema=pyarrow.schema(list(types.items())))


def classify(weights, images, out, workers=2, threads=1, batch=64, worker=Worker):
    """Writes a Parquet file for each block of answers into `out`, and gives their number of rows."""
    paths = images_in(images)
    if not paths:
        sys.exit(f"{images}: no images there")
    weights = str(pathlib.Path(weights).resolve())
    # More blocks than workers: what a dead worker leaves behind is little.
    blocks = max(workers, -(-len(paths) // batch))
    rows = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=blocks)
    answers = rows.map_batches(
        worker,
        fn_constructor_args=(weights, threads),
        batch_size=batch,
        num_cpus=threads,
        # An actor that dies is started again, and its block given to it or to another.
        compute=ray.data.ActorPoolStrategy(min_size=workers, max_size=workers),
        max_restarts=-1,
        max_task_retries=-1,
    )
    # Writing waits for disks: no core is kept free for it.
    answers.write_parquet(str(pathlib.Path(out).resolve()), ray_remote_args={"num_cpus": 0})
    return len(paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="a file of weights or the folder of a run, readable by every worker")
    parser.add_argument("--images", required=True, help="folder of images, readable by every worker")
    parser.add_argument("--out", required=True, help="folder of Parquet files")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="threads of a worker")
    parser.add_argument("--batch", type=int, default=64, help="images of a call")
    arguments = parser.parse_args()
    here = str(pathlib.Path(__file__).resolve().parent)
    ray.init(runtime_env={"env_vars": {"PYTHONPATH": here}}, log_to_driver=False)
    count = classify(**vars(arguments))
    print(f"{count} images in {arguments.out}")


if __name__ == "__main__":
    main()
