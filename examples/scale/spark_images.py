"""Classes and embeddings of a folder of images to Parquet, with Spark.

    pip install residual-nets pyspark "pandas<3" pyarrow
    python spark_images.py --weights runs/first --images photos --out answers.parquet --workers 4

A task is a part of the paths; its Python worker keeps one `Classifier` from task to task. Spark computes a task whose worker
dies again, and commits the file of a task once: the output is complete and without duplicates.
"""

import argparse
import os
import pathlib
import sys

import pandas
from classified import Classified, images_in
from pyspark.sql import SparkSession

SCHEMA = "path string, label string, probability double, embedding array<float>, error string"

# Classifiers of a worker process, which Spark uses for one task after another.
OPENED = {}


def opened(weights, threads):
    key = (weights, threads)
    if key not in OPENED:
        OPENED[key] = Classified(weights, threads)
    return OPENED[key]


def answers_of(weights, threads):
    """Function of `mapInPandas`: batches of paths to batches of answers."""

    def answers(batches):
        for batch in batches:
            yield pandas.DataFrame(opened(weights, threads)(batch["path"].tolist()))

    return answers


def classify(spark, weights, images, out, workers=2, threads=1, batch=64, function=answers_of):
    """Writes a Parquet file for each part of the answers into `out`, and gives their number of rows."""
    paths = images_in(images)
    if not paths:
        sys.exit(f"{images}: no images there")
    weights = str(pathlib.Path(weights).resolve())
    parts = max(workers, -(-len(paths) // batch))
    rows = spark.createDataFrame([(path,) for path in paths], "path string").repartition(parts, "path")
    rows.mapInPandas(function(weights, threads), SCHEMA).write.mode("overwrite").parquet(str(pathlib.Path(out).resolve()))
    return len(paths)


def session(workers, failures=4):
    """Spark on this machine with so many workers, one of which may fail in a task before the job does."""
    here = pathlib.Path(__file__).resolve().parent
    # Workers of this machine: the interpreter of this program, which has the wheel.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(f"local[{workers},{failures}]").appName("residual images")
    builder = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").config("spark.driver.memory", "1g")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
    # Adaptive execution would put the parts together again: a task each is what a dead worker costs.
    builder = builder.config("spark.sql.adaptive.enabled", "false")
    spark = builder.getOrCreate()
    spark.sparkContext.addPyFile(str(here / "classified.py"))
    spark.sparkContext.addPyFile(str(here / "spark_images.py"))
    return spark


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="a file of weights or the folder of a run, readable by every worker")
    parser.add_argument("--images", required=True, help="folder of images, readable by every worker")
    parser.add_argument("--out", required=True, help="folder of Parquet files")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="threads of a worker")
    parser.add_argument("--batch", type=int, default=64, help="images of a task")
    arguments = parser.parse_args()
    spark = session(arguments.workers)
    count = classify(spark, **vars(arguments))
    spark.stop()
    print(f"{count} images in {arguments.out}")


if __name__ == "__main__":
    main()
