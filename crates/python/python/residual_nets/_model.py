"""Networks with their weights."""

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union, cast

import numpy as np
from numpy.typing import NDArray

from . import _native

PathLike = Union[str, "os.PathLike[str]"]
Network = Union[PathLike, Dict[str, Any]]
"""A network: a family member (``"resnet18"``), a file (``SPEC.toml``, ``SPEC.json``), or a specification as a dict."""


class Model:
    """A network with its weights: what :meth:`open` reads, and what :class:`Classifier` compiles.

    Example::

        model = Model.open("resnet50.pth")
        print(model.name, model.classes[:3], model.notes)
        model.save("resnet50.safetensors")
    """

    __slots__ = ("_native",)

    def __init__(self, native: "_native.Model") -> None:
        self._native = native

    @classmethod
    def open(
        cls,
        path: PathLike,
        network: Optional[Network] = None,
        *,
        key: Optional[str] = None,
        preprocess: Optional[Dict[str, Any]] = None,
    ) -> "Model":
        """Opens weights: a trained ``.safetensors``, the folder of a run (its best), or bare weights of torchvision,
        timm, transformers or PyTorch, whose network is told by their tensors.

        Args:
            path: file or folder.
            network: network of bare weights, where their tensors do not tell it.
            key: which set of weights, where the file has several: ``"model_ema"``.
            preprocess: fields of the preprocessing in place of the model's, such as ``{"crop": [288, 288]}``.

        Raises:
            ModelError: for a file that cannot be read, or whose tensors are no residual network's.
        """
        model = cls(_native.Model.open(path, network, key))
        return model.with_preprocess(**preprocess) if preprocess else model

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Any], network: Optional[Network] = None, *, classes: Optional[Sequence[str]] = None
    ) -> "Model":
        """Puts a model together from arrays by name, as in a ``state_dict``.

        Args:
            tensors: arrays, or what ``numpy.asarray`` takes, by the names of any of the schemes that files have.
            network: the network, where the tensors do not tell it.
            classes: names of the classes.

        Raises:
            ModelError: for tensors that are no residual network's, or not the network's.
        """
        arrays = [(name, np.ascontiguousarray(values, dtype=np.float32)) for name, values in tensors.items()]
        # NumPy gives a scalar a dimension there.
        arrays = [(name, values.reshape(np.shape(tensors[name]))) for name, values in arrays]
        model = cls(_native.Model.from_tensors(arrays, network))
        return cls(model._native.with_classes(list(classes))) if classes is not None else model

    @classmethod
    def from_bytes(cls, content: bytes) -> "Model":
        """Takes a network from the bytes of its file, as :meth:`open` does from the file.

        Raises:
            ModelError: as for :meth:`open`.
        """
        return cls(_native.Model.from_bytes(content))

    def with_preprocess(self, **fields: Any) -> "Model":
        """The model with other fields of its preprocessing: ``resize``, ``crop``, ``interpolation``, ``fill``, ``mean``,
        ``std``, as in a specification's ``[preprocess]``.

        Raises:
            InputError: for a field that there is not, or a value of another type.
        """
        return Model(self._native.with_preprocess(fields))

    def save(self, path: PathLike) -> None:
        """Writes the model as a checkpoint, atomically."""
        self._native.save(path)

    def tensors(self) -> Dict[str, NDArray[np.float32]]:
        """Tensors by name, as copies, named as in the file (``layer1.0.conv1.weight``): a ``state_dict`` of arrays."""
        return self._native.tensors()

    @property
    def spec(self) -> Dict[str, Any]:
        """Specification of the network, as its file has it."""
        return self._native.spec

    @property
    def name(self) -> str:
        """Name of the network."""
        return cast(str, self.spec["name"])

    @property
    def classes(self) -> Optional[List[str]]:
        """Names of the classes in the order of the outputs; ``None`` where the file has none."""
        return self._native.classes

    @property
    def temperature(self) -> Optional[float]:
        """Temperature of a calibrated network."""
        return self._native.temperature

    @property
    def has_head(self) -> bool:
        """False for a backbone, which gives features and no classes."""
        return self._native.has_head

    @property
    def file(self) -> Optional[str]:
        """The file that was opened; of a folder, the file in it."""
        file = self._native.file
        return None if file is None else os.fspath(file)

    @property
    def notes(self) -> List[str]:
        """Notes of what was recognised in the file, and what was left out of it."""
        return self._native.notes

    def __repr__(self) -> str:
        return f"<Model {self.name}{' of ' + repr(self.file) if self.file else ''}>"
