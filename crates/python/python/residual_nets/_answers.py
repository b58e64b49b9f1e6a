"""Answers about images."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union, overload

import numpy as np
from numpy.typing import NDArray


class Meaning(NamedTuple):
    """What a network's outputs mean."""

    classes: List[str]
    task: str
    threshold: Optional[float]


class Prediction:
    """The answer about an image.

    Attributes:
        file: path of the image, where it was one.
        logits: what the head gives, ``[classes]`` of float32.
        probabilities: ``[classes]`` of float64: a softmax, of a multi-label task sigmoids; empty for a regression.
    """

    __slots__ = ("_meaning", "_values", "file", "logits", "probabilities")

    def __init__(
        self,
        meaning: Meaning,
        logits: NDArray[np.float32],
        probabilities: NDArray[np.float64],
        values: NDArray[np.float64],
        file: Optional[str] = None,
    ) -> None:
        self._meaning = meaning
        self._values = values
        self.file = file
        self.logits = logits
        self.probabilities = probabilities

    def _ranked(self) -> NDArray[np.intp]:
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def index(self) -> Optional[int]:
        """Number of the most probable class; ``None`` for a regression and an image without an answer."""
        if self.probabilities.size == 0 or np.isnan(self.probabilities[0]):
            return None
        return int(np.argmax(self.probabilities))

    @property
    def label(self) -> Optional[str]:
        """Name of the most probable class; ``None`` for a regression and an image without an answer."""
        index = self.index
        return None if index is None else self._meaning.classes[index]

    @property
    def probability(self) -> float:
        """Probability of the most probable class; not a number for a regression."""
        index = self.index
        return float("nan") if index is None else float(self.probabilities[index])

    def top(self, k: int = 5) -> List[Tuple[str, float]]:
        """The ``k`` most probable classes with their probabilities, the most probable first."""
        if self.index is None:
            return []
        return [(self._meaning.classes[at], float(self.probabilities[at])) for at in self._ranked()[:k]]

    @property
    def labels(self) -> List[str]:
        """Labels of the image: of a multi-label task the classes whose probability reaches the threshold, the most
        probable first; of single labels the best; none of a regression."""
        threshold = self._meaning.threshold
        if threshold is None:
            return [name for name, _ in self.top(1)]
        return [name for name, probability in self.top(len(self._meaning.classes)) if probability >= threshold]

    @property
    def values(self) -> Dict[str, float]:
        """Numbers of a regression by their target, in its unit; empty for other tasks."""
        return {name: float(value) for name, value in zip(self._meaning.classes, self._values)}

    def __repr__(self) -> str:
        what = f"{self.file!r}: " if self.file else ""
        if self._meaning.task == "regression":
            return f"<Prediction {what}{', '.join(f'{name} {value:.4g}' for name, value in self.values.items())}>"
        if self.index is None:
            return f"<Prediction {what}none>"
        if self._meaning.threshold is not None:
            return f"<Prediction {what}{', '.join(self.labels) or 'no class'}>"
        return f"<Prediction {what}{self.label} ({100 * self.probability:.2f}%)>"


class Predictions(Sequence[Prediction]):
    """The answers about several images, in their order: a sequence of :class:`Prediction` over arrays.

    Attributes:
        logits: ``[images, classes]`` of float32.
        probabilities: ``[images, classes]`` of float64; ``[images, 0]`` for a regression.
        values: ``[images, targets]`` of float64, the numbers of a regression; ``[images, 0]`` for other tasks.
        files: paths of the images, ``None`` for those that were none.
        errors: exceptions of the images without an answer, by their place; their rows are not numbers.
    """

    __slots__ = ("_meaning", "errors", "files", "logits", "probabilities", "values")

    def __init__(self, meaning: Meaning, rows: Tuple[Any, ...], files: Optional[List[Optional[str]]]) -> None:
        self._meaning = meaning
        self.logits: NDArray[np.float32] = rows[0]
        self.probabilities: NDArray[np.float64] = rows[1]
        self.values: NDArray[np.float64] = rows[2]
        self.errors: Dict[int, Exception] = dict(rows[3])
        self.files: List[Optional[str]] = files if files is not None else [None] * len(self.logits)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Numbers of the most probable classes, ``[images]``; -1 for a regression and images without an answer."""
        if self.probabilities.shape[1] == 0:
            return np.full(len(self), -1, dtype=np.int64)
        found = np.argmax(self.probabilities, axis=1).astype(np.int64)
        found[np.isnan(self.probabilities[:, 0])] = -1
        return found

    @property
    def labels(self) -> List[Optional[str]]:
        """Names of the most probable classes; ``None`` for a regression and images without an answer."""
        return [None if at < 0 else self._meaning.classes[at] for at in self.indices]

    def __len__(self) -> int:
        return len(self.logits)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> List[Prediction]: ...
    def __getitem__(self, at: Union[int, slice]) -> Union[Prediction, List[Prediction]]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(f"image {at} of {len(self)}")
        return Prediction(self._meaning, self.logits[at], self.probabilities[at], self.values[at], self.files[at])

    def __iter__(self) -> Iterator[Prediction]:
        return (self[at] for at in range(len(self)))

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} without an answer" if self.errors else ""
        return f"<Predictions of {len(self)} images{failed}>"


class Explanation(NamedTuple):
    """An answer, and where in the image its class is seen (class activation map, Zhou et al. 2016, section 2)."""

    prediction: Optional[Prediction]
    """The answer; ``None`` where the map of a class was asked for."""
    class_index: int
    """The class that the map is of."""
    heat_map: NDArray[np.float32]
    """How much each place adds to the class's logit, ``[height, width]`` of the last stage."""
    overlay: Optional[NDArray[np.uint8]]
    """The image in grey under the map in colour, ``[height, width, 3]``; ``None`` for tensors."""
