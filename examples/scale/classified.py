"""What a worker of Ray or Spark does with a batch of paths: classes and embeddings of the images, one row each.

An image that cannot be read has a row as well, with its error and without an answer: a broken file does not end a job of
millions. `Classified` is pickled by the path of its weights and opened where it is used, once a worker.
"""

import math

from residual_nets import Classifier

COLUMNS = ("path", "label", "probability", "embedding", "error")


class Classified:
    """Callable from a list of paths to columns.

    `threads` is what a worker may use: one where there are as many workers as cores.
    """

    def __init__(self, weights, threads=1):
        self.classifier = Classifier(weights, threads=threads)

    def __call__(self, paths):
        answers, embeddings = self.classifier.describe(paths, errors="keep")
        error = [str(answers.errors[at]) if at in answers.errors else None for at in range(len(paths))]
        return {
            "path": list(paths),
            "label": answers.labels,
            "probability": [None if math.isnan(answer.probability) else answer.probability for answer in answers],
            "embedding": [None if reason else vector.tolist() for vector, reason in zip(embeddings, error)],
            "error": error,
        }


IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def images_in(folder):
    """Paths of the images in a folder and those below it, sorted."""
    import pathlib

    found = (path for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() in IMAGES)
    return sorted(str(path.resolve()) for path in found)
