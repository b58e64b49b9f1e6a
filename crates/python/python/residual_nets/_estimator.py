"""An estimator as scikit-learn has them, without scikit-learn."""

import inspect
import pathlib
import tempfile
from typing import Any, Dict, List, Optional, cast

import numpy as np
from numpy.typing import NDArray

from ._classifier import Classifier
from ._errors import InputError
from ._images import pixels_of
from ._model import Model
from ._training import held_out, train


class ResidualClassifier:
    """A classifier of arrays of images with ``fit``, ``predict``, ``predict_proba`` and ``score``, for pipelines,
    ``cross_val_score`` and searches of scikit-learn, which it does not import.

    Args:
        model: a family member or a specification.
        epochs: passes over the images.
        batch_size: images in a step; chosen from the data where not given.
        lr: greatest learning rate; chosen where not given.
        seed: seed of everything random.
        validation: share of each class that is held out to choose the best epoch by.
        threads: threads; one a core where not given. Does not change the result.
        recipe: a named recipe or a file, for what is not given here.
        fields: further fields of the recipe, as for :func:`residual_nets.train`.

    Attributes:
        classes_: labels in the order of the columns of :meth:`predict_proba`.
        best_: the best evaluation on the images that were held out.
    """

    _estimator_type = "classifier"

    def __init__(
        self,
        model: Any = "small",
        *,
        epochs: int = 20,
        batch_size: Optional[int] = None,
        lr: Optional[float] = None,
        seed: int = 0,
        validation: float = 0.2,
        threads: Optional[int] = None,
        recipe: Any = None,
        fields: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.seed = seed
        self.validation = validation
        self.threads = threads
        self.recipe = recipe
        self.fields = fields

    @classmethod
    def _names(cls) -> List[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> Dict[str, Any]:
        """Parameters by name."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> "ResidualClassifier":
        """Sets parameters.

        Raises:
            InputError: for a name that is no parameter's.
        """
        for name, value in params.items():
            if name not in self._names():
                raise InputError(f"no parameter `{name}`; help: they are {', '.join(self._names())}")
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any) -> "ResidualClassifier":
        """Trains on images ``[images, height, width, channels]`` (or without channels, for grey), ``uint8`` or floats from
        0 to 1, and their labels ``[images]``. Images are brought to the size of the model's input.

        Raises:
            InputError, TrainingError: as for :func:`residual_nets.train`.
        """
        labels = np.asarray(y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise InputError(f"{len(self.classes_)} class; expected two or more")
        images = self._images(X)
        places = np.searchsorted(self.classes_, labels)
        training, validation = held_out(images, places, "single-label", self.validation, self.seed)
        with tempfile.TemporaryDirectory(prefix="residual-") as folder:
            run = train(
                self.model,
                training,
                out=pathlib.Path(folder) / "run",
                validation=validation,
                recipe=self.recipe,
                classes=[str(name) for name in self.classes_.tolist()],
                epochs=self.epochs,
                batch_size=self.batch_size,
                lr=self.lr,
                seed=self.seed,
                threads=self.threads,
                **(self.fields or {}),
            )
            self.best_ = run.best
            self._weights = (pathlib.Path(run.folder) / "best.safetensors").read_bytes()
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        self._open()
        return self

    def _images(self, X: Any) -> NDArray[Any]:
        pixels, floats = pixels_of(X)
        images: Any = pixels if pixels is not None else floats
        return cast(NDArray[Any], images)

    def _open(self) -> None:
        self._classifier = Classifier(Model.from_bytes(self._weights), threads=self.threads)

    def _fitted(self) -> Classifier:
        if not hasattr(self, "_classifier"):
            if not hasattr(self, "_weights"):
                raise InputError("not fitted; help: call fit first")
            self._open()
        return self._classifier

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities ``[images, classes]``, columns as in ``classes_``."""
        classifier = self._fitted()
        images = self._images(X)
        # Floats in a tuple of one are on the scale 0 to 1, and go through the preprocessing as pixels do.
        several = images if images.dtype == np.uint8 else [(image,) for image in images]
        return cast(NDArray[np.float64], classifier.predict(several).probabilities)

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels ``[images]``, as they were in ``y``."""
        places = np.argmax(self.predict_proba(X), axis=1)
        found: NDArray[Any] = self.classes_[places]
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the images that are classified correctly."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))

    def __getstate__(self) -> Dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_classifier", None)
        return state

    def __sklearn_tags__(self) -> Any:
        # Called by scikit-learn alone, 1.6 and newer.
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_weights")

    def __repr__(self) -> str:
        given = inspect.signature(type(self).__init__).parameters
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != given[name].default]
        return f"ResidualClassifier({', '.join(changed)})"
