"""Numbers of scikit-learn and scipy, for crates/measure/tests/expected/scikit_learn.json.

    python measures.py > scikit_learn.json

Inputs are drawn with a fixed seed and written with the results; scores have two decimals, so that there are ties.
"""
import json
import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

warnings.filterwarnings("ignore")
random = np.random.default_rng(20)


def plain(value):
    """As JSON: what is not a number is null."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(part) for part in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if np.isfinite(value) else None


def single(labels, answers, classes):
    names = range(classes)
    scores = metrics.precision_recall_fscore_support
    case = {
        "classes": classes, "labels": labels, "answers": answers,
        "confusion": metrics.confusion_matrix(labels, answers, labels=names),
        "accuracy": metrics.accuracy_score(labels, answers),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, answers),
        "each": np.array(scores(labels, answers, labels=names, zero_division=0)[:3]).T,
    }
    for average in ["macro", "micro", "weighted"]:
        case[average] = scores(labels, answers, labels=names, average=average, zero_division=0)[:3]
    return case


def several(scores, truths, threshold):
    answers = scores >= threshold
    best = []
    for column in range(truths.shape[1]):
        precision, recall, _ = metrics.precision_recall_curve(truths[:, column], scores[:, column])
        with np.errstate(invalid="ignore"):
            best.append(np.nan_to_num(2 * precision * recall / (precision + recall)).max())
    return {
        "classes": truths.shape[1], "scores": scores.ravel(), "truths": truths.ravel(), "threshold": threshold,
        "each": [metrics.average_precision_score(truths[:, c], scores[:, c]) for c in range(truths.shape[1])],
        "map": metrics.average_precision_score(truths, scores, average="macro"),
        "best_f1": best,
        "f1_each": metrics.f1_score(truths, answers, average=None, zero_division=0),
        **{f"f1_{a}": metrics.f1_score(truths, answers, average=a, zero_division=0)
           for a in ["macro", "micro", "weighted"]},
    }


def regression(predicted, truths):
    return {
        "targets": truths.shape[1], "predicted": predicted.ravel(), "truths": truths.ravel(),
        "mae": metrics.mean_absolute_error(truths, predicted),
        "mse": metrics.mean_squared_error(truths, predicted),
        "rmse": metrics.root_mean_squared_error(truths, predicted),
        "r2": metrics.r2_score(truths, predicted),
        "r2_each": metrics.r2_score(truths, predicted, multioutput="raw_values") if len(truths) > 1 else
        [np.nan] * truths.shape[1],
    }


def probabilities(logits, labels):
    logits = logits.astype(np.float32).astype(np.float64)
    p = softmax(logits, axis=1)
    classes = logits.shape[1]
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    # scikit-learn has the curve of the bins, not their counts.
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15) if len(labels) > 0 else ([], [])
    edges = np.linspace(0, 1, 16)
    bins = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(bins, minlength=15)
    ece = np.sum(counts[counts > 0] * np.abs(accuracy - mean)) / len(labels)

    def nll(temperature):
        z = logits / temperature
        return np.mean(logsumexp(z, axis=1) - z[np.arange(len(labels)), labels])

    found = minimize_scalar(lambda x: nll(np.exp(x)), bounds=(np.log(0.01), np.log(100)), method="bounded",
                            options={"xatol": 1e-12})
    return {
        "classes": classes, "logits": logits.ravel(), "labels": labels,
        "log_loss": metrics.log_loss(labels, p, labels=range(classes)),
        "brier": metrics.brier_score_loss(labels, p, labels=range(classes), scale_by_half=False),
        "bins": counts, "accuracy": accuracy, "confidence": mean, "ece": ece,
        "temperature": np.exp(found.x), "log_loss_at_temperature": found.fun,
    }


def main():
    draw = lambda n, k: random.integers(0, k, n)
    labels = draw(60, 5)
    answers = np.where(random.random(60) < 0.6, labels, draw(60, 5))
    scores = lambda n, k: random.integers(0, 101, (n, k)) / 100
    truths = random.random((50, 4)) < 0.3
    without = truths.copy()
    without[:, 2] = False
    always = truths.copy()
    always[:, 1] = True
    normal = lambda n, k: np.round(random.normal(size=(n, k)), 3)
    numbers = normal(30, 3)
    constant = numbers.copy()
    constant[:, 0] = 2.0
    logits = np.round(2 * random.normal(size=(60, 5)), 2)
    likely = np.where(random.random(60) < 0.6, logits.argmax(axis=1), labels)
    level = np.zeros((6, 3))
    expected = {
        "single": [
            single(labels, answers, 5),
            single(labels % 3, answers, 6),
            single(np.zeros(4, int), np.zeros(4, int), 2),
            single(np.zeros(4, int), np.ones(4, int), 3),
            single([1], [1], 2), single([1], [0], 2),
        ],
        "several": [
            several(scores(50, 4), truths, 0.5), several(scores(50, 4), without, 0.31),
            several(scores(50, 4), always, 0.7), several(np.full((20, 3), 0.5), truths[:20, :3], 0.5),
            several(scores(1, 2), np.array([[True, False]]), 0.5),
            several(scores(20, 2), np.zeros((20, 2), bool), 0.5),
        ],
        "regression": [
            regression(numbers + normal(30, 3) / 2, numbers), regression(numbers[:, :1] * 0, numbers[:, :1]),
            regression(normal(30, 3), constant), regression(constant, constant),
            regression(np.array([[1.5]]), np.array([[2.0]])),
        ],
        "probabilities": [
            probabilities(logits, likely), probabilities(logits * 3, likely), probabilities(logits, likely % 2),
            probabilities(level, draw(6, 3)), probabilities(logits[:1], likely[:1]),
        ],
        "wilson": [[k, n, *binomtest(k, n).proportion_ci(method="wilson")]
                   for k, n in [(0, 1), (1, 1), (0, 40), (40, 40), (7, 20), (9313, 10000)]],
    }
    print(json.dumps(plain(expected), separators=(",", ":")))


main()
