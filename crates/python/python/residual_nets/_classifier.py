"""Models compiled for this machine, which answer about images."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union, overload

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._answers import Explanation, Meaning, Prediction, Predictions
from ._errors import InputError
from ._images import Given, ImageLike, Images, given, item
from ._model import Model, Network, PathLike

# Classifiers of a parent process: their threads are not in this one, and dropping them would wait for those.
_left_behind: List[Any] = []


class Classifier:
    """A model compiled for this machine, which answers about images.

    An image is a path, the ``bytes`` of a file, pixels (``uint8``, ``[height, width, channels]``), a picture of Pillow, or
    values that are normalised already (``float32``, ``[channels, height, width]``). Several are a list of them, or a stack
    with the images as its first dimension. Everything but normalised values goes through the model's preprocessing, which
    is its library's.

    Several threads may ask at once: the interpreter's lock is released while it computes. It can be pickled where it was
    opened from a file, which is then opened again; the file must be there. A process that is forked compiles it anew.

    Args:
        weights: a file, the folder of a run, or a :class:`Model`.
        network: network of bare weights, where their tensors do not tell it.
        key: which set of weights, where the file has several.
        preprocess: fields of the preprocessing in place of the model's.
        threads: threads that work on one answer; as many as the machine runs at once where not given, which is also the
            most. The answers are the same bits for any number.
        batch: images that go through the network at a time, for every call. Where not given, one image alone goes
            through a plan for one and several through a plan for up to 16, whose answers may differ in the last bits.

    Raises:
        ModelError: for weights that cannot be opened or compiled.

    Example::

        classifier = Classifier("runs/first")
        print(classifier.predict("photo.jpg").label)
        answers = classifier.predict(["a.jpg", "b.jpg"])
        print(answers.labels, answers.probabilities.shape)
    """

    def __init__(
        self,
        weights: Union[PathLike, Model],
        network: Optional[Network] = None,
        *,
        key: Optional[str] = None,
        preprocess: Optional[Dict[str, Any]] = None,
        threads: Optional[int] = None,
        batch: Optional[int] = None,
    ) -> None:
        if isinstance(weights, Model):
            if network is not None or key is not None:
                raise InputError("a Model has its network already; help: leave network and key out")
            model = weights.with_preprocess(**preprocess) if preprocess else weights
        else:
            model = Model.open(weights, network, key=key, preprocess=preprocess)
        self._weights = weights
        self._options = {
            "network": network, "key": key, "preprocess": preprocess, "threads": threads, "batch": batch
        }
        self._compiled = _native.Classifier(model._native, threads, batch)
        self._process = os.getpid()
        self._meaning = Meaning(self._compiled.classes, self._compiled.task, self._compiled.threshold)

    @property
    def _native(self) -> "_native.Classifier":
        """The compiled model; compiled anew in a process that was forked, which has none of its threads."""
        if self._process != os.getpid():
            _left_behind.append(self._compiled)
            self.__init__(self._weights, **self._options)  # type: ignore[misc]
        return self._compiled

    @overload
    def predict(self, images: Union[str, bytes, "os.PathLike[str]"], *, errors: str = "raise") -> Prediction: ...
    @overload
    def predict(self, images: Images, *, errors: str = "raise") -> Any: ...
    def predict(self, images: Images, *, errors: str = "raise") -> Union[Prediction, Predictions]:
        """Answers about images.

        Args:
            images: one image gives a :class:`Prediction`; a list of them, or a stack ``[images, height, width,
                channels]`` of ``uint8`` or ``[images, channels, height, width]`` of ``float32``, :class:`Predictions`.
                Files are decoded ahead of the network, on other threads.
            errors: ``"raise"`` for the first image without an answer; ``"keep"`` to go on, its row not numbers and its
                exception in :attr:`Predictions.errors`.

        Raises:
            ImageError: for an image that cannot be read, decoded or brought to size.
            InputError: for what is no image.
            ModelError: for a model without a head.
        """
        keep, what = _keep(errors), given(images)
        if what.one is not None:
            return self._one(what)
        if what.pixels is not None:
            return Predictions(self._meaning, self._native.classify_stack(what.pixels, keep), None)
        if what.tensor is not None:
            return Predictions(self._meaning, self._native.classify_tensor(what.tensor), None)
        return Predictions(self._meaning, self._native.classify_all(what.several or [], keep), what.names)

    def _one(self, what: Given) -> Prediction:
        rows = self._native.classify(what.one)
        name = what.names[0] if what.names else None
        return Prediction(self._meaning, rows[0][0], rows[1][0], rows[2][0], name)

    def logits(self, images: Images) -> NDArray[np.float32]:
        """What the head gives, before softmax and temperature: ``[classes]`` for one image, ``[images, classes]`` for
        several. A stack of ``float32`` is read where it lies; nothing is copied.

        Raises:
            ImageError, InputError, ModelError: as for :meth:`predict`.
        """
        what = given(images)
        if what.tensor is not None:
            return self._native.logits(what.tensor)
        answer: Union[Prediction, Predictions] = self.predict(images)
        return answer.logits

    def embed(self, images: Images, *, errors: str = "raise") -> NDArray[np.float32]:
        """Embeddings, what the head's linear layer reads: ``[length]`` for one image, ``[images, length]`` for several.
        With ``errors="keep"`` the rows of images that have none are not numbers.

        Raises:
            ImageError, InputError: as for :meth:`predict`.
        """
        vectors, _ = self.embed_keeping(images, errors=errors)
        return vectors

    def embed_keeping(self, images: Images, *, errors: str = "keep") -> Tuple[NDArray[np.float32], Dict[int, Exception]]:
        """Embeddings as from :meth:`embed`, and the exceptions of the images that have none, by their place."""
        keep, what = _keep(errors), given(images)
        if what.one is not None:
            vectors, _ = self._native.embed(what.one)
            return vectors[0], {}
        if what.pixels is not None:
            vectors, failed = self._native.embed_stack(what.pixels, keep)
        elif what.tensor is not None:
            vectors, failed = self._native.embed_tensor(what.tensor)
        else:
            vectors, failed = self._native.embed_all(what.several or [], keep)
        return vectors, dict(failed)

    def describe(self, images: Sequence[ImageLike], *, errors: str = "raise") -> Tuple[Predictions, NDArray[np.float32]]:
        """Answers about several images and their embeddings ``[images, length]``, for the price of one.

        Raises:
            ImageError, InputError, ModelError: as for :meth:`predict`.
        """
        several = list(images)
        rows, vectors = self._native.describe_all([item(image) for image in several], _keep(errors))
        names = [os.fspath(image) if isinstance(image, (str, os.PathLike)) else None for image in several]
        return Predictions(self._meaning, rows, names), vectors

    def features(self, image: ImageLike, layer: str) -> NDArray[np.float32]:
        """Feature maps of an image after a layer, ``[channels, height, width]``: ``stem``, ``stage2``,
        ``stage2.block1``, ``stage2.block0.conv1``. Layers behind it do not run.

        Raises:
            InputError: for a layer that the network does not have, with those that it has.
            ImageError: as for :meth:`predict`.
        """
        return self._native.features(item(image), layer)

    def explain(self, image: ImageLike, class_: Union[int, str, None] = None) -> Explanation:
        """Where in an image its most probable class is seen, or the class that is given by number or name.

        Raises:
            ImageError, InputError, ModelError: as for :meth:`predict`.
        """
        if class_ is None:
            found = self._native.explain(item(image))
            rows = found["rows"]
            name = os.fspath(image) if isinstance(image, (str, os.PathLike)) else None
            prediction = Prediction(self._meaning, rows[0][0], rows[1][0], rows[2][0], name)
            return Explanation(prediction, found["class"], found["heat_map"], found["overlay"])
        number = self._class_number(class_)
        return Explanation(None, number, self._native.heat_map(item(image), number), None)

    def _class_number(self, class_: Union[int, str]) -> int:
        if isinstance(class_, str):
            if class_ not in self.classes:
                raise InputError(f"no class `{class_}`; help: the classes are in Classifier.classes")
            return self.classes.index(class_)
        if not 0 <= class_ < len(self.classes):
            raise InputError(f"class {class_}: the network has {len(self.classes)}, counted from 0")
        return class_

    @property
    def classes(self) -> List[str]:
        """Names of the classes, or targets of a regression, in the order of the outputs; numbers where none are known."""
        return self._meaning.classes

    @property
    def has_class_names(self) -> bool:
        """True where :attr:`classes` are names and not numbers."""
        return self._native.has_class_names

    @property
    def task(self) -> str:
        """``"single-label"``, ``"multi-label"`` or ``"regression"``."""
        return self._meaning.task

    @property
    def threshold(self) -> Optional[float]:
        """Probability from which on an image has a label, of a multi-label task."""
        return self._meaning.threshold

    @property
    def embedding_length(self) -> int:
        """Length of an embedding."""
        return self._native.embedding_length

    @property
    def threads(self) -> int:
        """Number of threads that work on one answer."""
        return self._native.threads

    @property
    def batch(self) -> int:
        """Number of images that go through the network together."""
        return self._native.batch

    @property
    def spec(self) -> Dict[str, Any]:
        """Specification of the network."""
        return self._native.spec

    @property
    def notes(self) -> List[str]:
        """Notes of what was noticed in the images so far, such as animations of which the first frame was taken."""
        return self._native.notes

    def __reduce__(self) -> Any:
        if isinstance(self._weights, Model):
            raise TypeError(
                "a Classifier of a Model in memory cannot be pickled; help: Model.save it, and open the file by its path"
            )
        weights, options = self._weights, self._options
        return _reopened, (os.path.abspath(os.fspath(weights)), options)

    def __repr__(self) -> str:
        return f"<Classifier {self.spec['name']}, {len(self.classes)} classes>"


def _reopened(weights: str, options: Dict[str, Any]) -> Classifier:
    return Classifier(weights, **options)


def _keep(errors: str) -> bool:
    if errors not in ("raise", "keep"):
        raise InputError(f'errors="{errors}"; expected "raise" or "keep"')
    return errors == "keep"
