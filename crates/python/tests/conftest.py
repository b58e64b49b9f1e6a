"""Networks and images that the tests share."""

import os
import pathlib

import numpy as np
import pytest

import residual_nets as rn

SAMPLES = pathlib.Path(__file__).resolve().parents[3] / "assets/sample/images"


@pytest.fixture(scope="session")
def photographs():
    return sorted(str(path) for path in SAMPLES.iterdir() if path.suffix in (".png", ".jpg"))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A network trained for an epoch on the embedded images; RESIDUAL_TEST_RUN names one that is there, for a build that
    cannot train."""
    named = os.environ.get("RESIDUAL_TEST_RUN")
    if named:
        return rn.Run(named, True, False, None, 1, 0, [], None, [])
    out = tmp_path_factory.mktemp("runs") / "first"
    return rn.train("cifar_resnet8", "sample", out=out, epochs=1, batch_size=128, threads=2, seed=3)


@pytest.fixture(scope="session")
def classifier(run):
    return run.classifier()


def stack(count=40, size=16, seed=0):
    """Images of two kinds, dark above or dark below, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 90, (count, size, size, 3))
    for image, label in zip(images, labels):
        half = image[: size // 2] if label else image[size // 2 :]
        half += 150
    return images.astype(np.uint8), labels
