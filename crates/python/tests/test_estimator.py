"""The estimator: by itself, and under scikit-learn where it is there."""

import pickle
import sys

import numpy as np
import pytest
from conftest import stack
from numpy.testing import assert_array_equal

import residual_nets as rn

FAST = {"model": "cifar_resnet8", "epochs": 2, "batch_size": 8, "threads": 2}


def test_fit_predict_score(monkeypatch):
    images, numbers = stack(60)
    labels = np.array(["below", "above"])[numbers]
    longer = {**FAST, "epochs": 8}
    estimator = rn.ResidualClassifier(**longer)
    with pytest.raises(rn.InputError, match="not fitted"):
        estimator.predict(images)
    assert estimator.fit(images, labels) is estimator
    assert estimator.classes_.tolist() == ["above", "below"]
    probabilities = estimator.predict_proba(images)
    assert probabilities.shape == (60, 2) and np.allclose(probabilities.sum(1), 1)
    assert_array_equal(estimator.predict(images), estimator.classes_[probabilities.argmax(1)])
    assert estimator.score(images, labels) == (estimator.predict(images) == labels).mean() > 0.5
    again = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(again.predict_proba(images), probabilities)
    twice = rn.ResidualClassifier(**longer).fit(images, labels)
    assert_array_equal(twice.predict_proba(images), probabilities)
    # Pixels are rounded when they are resized to the network's 32, floats are not.
    assert np.abs(estimator.predict_proba(images / 255) - probabilities).max() < 5e-3


def test_grey_images():
    images, labels = stack(40)
    estimator = rn.ResidualClassifier(**FAST).fit(images[..., 0], labels)
    assert estimator.predict(images[:4, :, :, 0]).shape == (4,)


def test_parameters():
    estimator = rn.ResidualClassifier(**FAST)
    assert estimator.get_params()["epochs"] == 2
    assert estimator.set_params(epochs=5).epochs == 5
    assert repr(estimator) == "ResidualClassifier(model='cifar_resnet8', epochs=5, batch_size=8, threads=2)"
    with pytest.raises(rn.InputError, match="epoch"):
        estimator.set_params(epoch=3)
    images, labels = stack(8)
    with pytest.raises(rn.InputError, match="1 class"):
        estimator.fit(images, labels * 0)


def test_scikit_learn_is_not_imported():
    import subprocess

    program = "import sys, residual_nets; sys.exit(any(name in sys.modules for name in ('sklearn', 'torch', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_under_scikit_learn():
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_score

    images, labels = stack(48)
    estimator = rn.ResidualClassifier(**FAST)
    assert clone(estimator).get_params() == estimator.get_params()
    scores = cross_val_score(estimator, images, labels, cv=2)
    assert scores.shape == (2,) and (0 <= scores).all() and (scores <= 1).all()
    search = GridSearchCV(estimator, {"seed": [0, 1]}, cv=2).fit(images, labels)
    assert search.best_params_["seed"] in (0, 1)
