"""Residual networks on the CPU: predict, embed, explain and train, without a tensor framework.

    >>> from residual_nets import Classifier
    >>> classifier = Classifier("runs/first")                    # doctest: +SKIP
    >>> classifier.predict("photo.jpg").top(3)                   # doctest: +SKIP
    >>> classifier.predict(["a.jpg", "b.jpg"]).probabilities     # doctest: +SKIP

- :class:`Classifier` answers about paths, bytes, arrays and pictures of Pillow; :class:`Model` is a network with its
  weights.
- :func:`train`, :func:`finetune` and :func:`resume` train; :func:`summary` and :func:`gradflow` show networks.
- :class:`ResidualClassifier` trains and answers on arrays as scikit-learn's estimators do.
- ``residual_nets.torch.load`` runs a module of torchvision or timm on this engine.

Exceptions are :class:`ResidualError` and its kinds: their text says what is wrong, where, and what to do.
"""

from ._answers import Explanation, Prediction, Predictions
from ._classifier import Classifier
from ._errors import ImageError, InputError, ModelError, ResidualError, TrainingError
from ._estimator import ResidualClassifier
from ._model import Model
from ._training import Run, finetune, gradflow, resume, summary, train

__all__ = [
    "Classifier",
    "Explanation",
    "ImageError",
    "InputError",
    "Model",
    "ModelError",
    "Prediction",
    "Predictions",
    "ResidualClassifier",
    "ResidualError",
    "Run",
    "TrainingError",
    "finetune",
    "gradflow",
    "resume",
    "summary",
    "train",
]
