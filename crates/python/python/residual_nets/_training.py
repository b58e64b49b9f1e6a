"""Trainings and studies."""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

import numpy as np

from . import _native
from ._classifier import Classifier
from ._errors import InputError, TrainingError
from ._images import pixels_of
from ._model import Model, Network, PathLike

Callback = Callable[[Dict[str, Any]], object]
Data = Union[PathLike, Tuple[Any, Any]]
"""A path as ``residual train --data`` takes it, ``"sample"`` for the embedded images; or arrays ``(X, y)``."""


class Run(NamedTuple):
    """A training in its folder."""

    folder: str
    """Folder of the run: ``best.safetensors``, ``last.safetensors``, ``recipe.toml``, ``metrics.jsonl``,
    ``report.html``."""
    finished: bool
    """False where a callback has ended it; :func:`resume` goes on."""
    early: bool
    """True where it ended before the last epoch (``early_stop``)."""
    best: Optional[Dict[str, Any]]
    """The best evaluation: ``epoch``, ``top1``, ``loss``, or ``score`` of another task; ``None`` where it has not
    finished."""
    epochs: int
    """Epochs that are done."""
    steps: int
    """Steps that are done."""
    classes: List[str]
    """Names of the classes, or of the targets of a regression."""
    head: Optional[Dict[str, Any]]
    """What the fitted head alone is worth, of a fine-tuning."""
    remarks: List[str]
    """What was noticed and did not stop the training."""

    def classifier(self, **options: Any) -> Classifier:
        """Classifier of the best network of the run."""
        return Classifier(self.folder, **options)

    def model(self) -> Model:
        """The best network of the run."""
        return Model.open(self.folder)


def train(
    model: Union[Network, Model, None] = None,
    data: Data = "sample",
    *,
    out: PathLike,
    validation: Optional[Tuple[Any, Any]] = None,
    recipe: Optional[PathLike] = None,
    task: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    on_epoch: Optional[Callback] = None,
    on_step: Optional[Callback] = None,
    **fields: Any,
) -> Run:
    """Trains a network in a folder that has no run yet.

    Ctrl-C finishes the step, saves everything and raises ``KeyboardInterrupt``; :func:`resume` goes on to the same bits
    as if it had never stopped. So does an exception of a callback, and a callback that returns ``False`` ends the run
    without one.

    Args:
        model: a family member, a specification, or a :class:`Model` to go on from. The recipe's, else ``small``.
        data: a path, or arrays ``(X, y)``: ``X`` of ``[images, height, width, channels]``, ``uint8`` or floats from 0 to 1;
            ``y`` of labels, of ``[images, classes]`` zeros and ones (``task="multi-label"``) or of
            ``[images, targets]`` numbers (``task="regression"``).
        out: folder of the run.
        validation: arrays to evaluate on, beside arrays to train on; a fifth of those is held out where not given.
        recipe: a named recipe or a file, for what ``fields`` do not say.
        task: ``"multi-label"`` or ``"regression"``.
        classes: names of the classes or targets, of arrays.
        on_epoch: called after every epoch with a dict of its numbers: ``epoch``, ``step``, ``lr``, ``seconds``,
            ``train_loss``, ``train_top1``, ``val_loss``, ``val_top1``, ``train_images_per_s``, ... (``val_score`` for
            other tasks, ``ema_...`` with an average of the weights).
        on_step: called after every step with a dict of its numbers.
        fields: fields of the recipe by their names in ``recipe.toml``: ``epochs``, ``batch_size``, ``lr``, ``seed``,
            ``threads``, ``augment``, ``optimiser``, ...

    Raises:
        TrainingError: for what cannot be trained, and folders that have a run.
        InputError: for fields that there are not, and arrays that do not fit.
    """
    _able()
    asked = _asked(data, out, validation, recipe, task, classes, on_epoch, on_step, fields)
    if isinstance(model, Model):
        return _run(_native.train(asked, model._native))
    if model is not None:
        asked["fields"].update(_network_fields(model))
    return _run(_native.train(asked, None))


def finetune(
    model: Union[PathLike, Model],
    data: Data,
    *,
    out: PathLike,
    head_only: bool = False,
    validation: Optional[Tuple[Any, Any]] = None,
    task: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    on_epoch: Optional[Callback] = None,
    on_step: Optional[Callback] = None,
    **fields: Any,
) -> Run:
    """Makes a trained model one for other images: fits a head on its features, then trains the whole network by a recipe
    that is chosen from the data.

    Args:
        model: a file of weights, the folder of a run, or a :class:`Model`.
        head_only: fits the head alone.
        data, out, validation, task, classes, on_epoch, on_step, fields: as for :func:`train`.

    Raises:
        ModelError: for weights that cannot be opened.
        TrainingError, InputError: as for :func:`train`.
    """
    opened = model if isinstance(model, Model) else Model.open(model)
    _able()
    asked = _asked(data, out, validation, None, task, classes, on_epoch, on_step, fields)
    return _run(_native.finetune(asked, opened._native, head_only))


def resume(
    folder: PathLike,
    *,
    data: Optional[Data] = None,
    validation: Optional[Tuple[Any, Any]] = None,
    task: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    epochs: Optional[int] = None,
    threads: Optional[int] = None,
    on_epoch: Optional[Callback] = None,
    on_step: Optional[Callback] = None,
) -> Run:
    """Goes on with a run that was interrupted, to the same bits as if it had never stopped.

    Args:
        folder: folder of the run.
        data: where the images are now, if they have moved; arrays of a run that was begun with arrays.
        epochs: another number of epochs of the whole run.
        validation, task, classes, threads, on_epoch, on_step: as for :func:`train`.

    Raises:
        TrainingError: for a folder without a run, and data that have changed.
    """
    _able()
    images = _arrays(data, validation, task, classes) if isinstance(data, tuple) else None
    path = None if isinstance(data, tuple) else data
    return _run(_native.resume(folder, _callbacks(on_epoch, on_step), path, epochs, threads, images))


def summary(network: Union[Network, Model], input: Optional[Sequence[int]] = None) -> Dict[str, Any]:
    """A network row by row: ``model``, ``task``, ``input``, ``output``, ``parameters``, ``macs`` (multiply-accumulates for
    one image), and ``rows``, each with ``path``, ``description``, ``shortcut``, ``output``, ``parameters``, ``macs``.

    Args:
        network: a family member, a specification, a trained file, or a :class:`Model`.
        input: ``[channels, height, width]`` in place of the network's own.

    Raises:
        ModelError: for a network that there is not, or that is not possible for this input, with where and help.
    """
    return _native.summary(network.spec if isinstance(network, Model) else network, input)


def gradflow(
    network: Optional[Network] = None,
    data: PathLike = "sample",
    *,
    weights: Union[PathLike, Sequence[PathLike], None] = None,
    no_norm: bool = False,
    steps: int = 0,
    **fields: Any,
) -> List[Dict[str, Any]]:
    """The gradient at every block of a network, of its plain twin and of its pre-activation twin (He et al. 2016): a dict
    for each, with ``network``, ``kind``, ``norm``, ``state``, ``loss``, and ``blocks``: ``block``, ``output`` (``|dL/dy|``),
    ``identity`` and ``branch`` (the shares of the two paths), ``input`` (``|dL/dx|``), ...

    Args:
        network: a family member or a specification.
        data: a path, ``"sample"`` for the embedded images.
        weights: trained files, probed beside the untrained networks.
        no_norm: probes the networks without batch norms as well.
        steps: trains each for so many steps, and probes it again.
        fields: fields of the recipe: ``batch_size``, ``seed``, ``lr``, ...

    Raises:
        TrainingError, ModelError, InputError: for networks, data and fields that are not possible.
    """
    _able()
    files: List[Any] = [] if weights is None else [weights] if isinstance(weights, (str, os.PathLike)) else list(weights)
    if network is None and not files:
        raise InputError("nothing to probe; help: give a network, weights or both")
    if network is None:
        network = Model.open(files[0]).spec
    recipe = {**fields, "data": {"path": _absolute(data)}}
    probed = {"network": network, "weights": files, "no_norm": no_norm, "steps": steps, "fields": recipe}
    return _native.gradflow(cast(Any, probed))


def _absolute(path: PathLike) -> str:
    text = os.fspath(path)
    return text if text == "sample" else os.path.abspath(text)


def _network_fields(model: Network) -> Dict[str, Any]:
    if isinstance(model, dict):
        return {"network": model}
    name = os.fspath(model)
    if name.endswith((".toml", ".json", ".safetensors")):
        return {"network": _native.specification(name)}
    return {"model": name}


def _asked(
    data: Data,
    out: PathLike,
    validation: Optional[Tuple[Any, Any]],
    recipe: Optional[PathLike],
    task: Optional[str],
    classes: Optional[Sequence[str]],
    on_epoch: Optional[Callback],
    on_step: Optional[Callback],
    fields: Dict[str, Any],
) -> Any:
    fields = dict(fields)
    images = None
    if isinstance(data, tuple):
        images = _arrays(data, validation, task, classes)
    elif validation is not None:
        raise InputError("validation beside a path; help: arrays for both, or a folder with `val` in it")
    else:
        fields["data"] = {"path": os.fspath(data)}
    if task is not None:
        fields["task"] = task
    callbacks = _callbacks(on_epoch, on_step)
    return {"recipe": recipe, "fields": fields, "out": out, "images": images, "callbacks": callbacks}


def _callbacks(on_epoch: Optional[Callback], on_step: Optional[Callback]) -> Any:
    told = None if on_epoch is None else lambda lines: on_epoch(_epoch(lines))
    return {"on_epoch": told, "on_step": on_step}


def _epoch(lines: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The numbers of an epoch in one dict, those of a split under its name."""
    numbers: Dict[str, Any] = {}
    for line in lines:
        split = "val" if line["split"] in ("val", "test") else line["split"]
        for name in ("epoch", "step", "lr", "seconds"):
            numbers[name] = line[name]
        for name in ("loss", "top1", "score", "images_per_s"):
            value = line.get(name)
            if value is not None:
                numbers[f"{split}_{name}"] = value["value"] if isinstance(value, dict) else value
    return numbers


def _able() -> None:
    if not hasattr(_native, "train"):
        raise TrainingError("this build of residual-nets only predicts; help: build it with the feature `train`")


def _run(end: Dict[str, Any]) -> Run:
    return Run(**{name: end[name] for name in Run._fields})


def _arrays(
    data: Tuple[Any, Any],
    validation: Optional[Tuple[Any, Any]],
    task: Optional[str],
    classes: Optional[Sequence[str]],
) -> Tuple[Any, Any]:
    kind = (task or "single-label").replace("_", "-")
    images, labels = data
    if validation is None:
        (images, labels), validation = held_out(images, labels, kind)
    keys = _keys(labels, kind, classes)
    names = [str(name) for name in (keys if classes is None else classes)]
    return _labelled(images, labels, keys, names, kind), _labelled(*validation, keys, names, kind)


def _keys(labels: Any, kind: str, classes: Optional[Sequence[str]]) -> List[Any]:
    """Labels in the order of the outputs as they are in ``y``, or numbers of columns."""
    if kind == "single-label":
        found = np.unique(np.asarray(labels))
        if classes is None:
            return list(found)
        if found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= len(classes)):
            raise InputError(f"labels that are no numbers from 0 to {len(classes) - 1}, the places of {len(classes)} classes")
        return list(range(len(classes)))
    columns = np.asarray(labels)
    count = 1 if columns.ndim == 1 else columns.shape[1]
    if classes is not None and len(classes) != count:
        raise InputError(f"{len(classes)} names for {count} columns of labels")
    return list(range(count))


def _labelled(images: Any, labels: Any, keys: List[Any], names: List[str], kind: str) -> Any:
    pixels, floats = pixels_of(images)
    labels = np.asarray(labels)
    count = len(pixels if pixels is not None else cast(Any, floats))
    if len(labels) != count:
        raise InputError(f"{len(labels)} labels for {count} images")
    places: List[int] = []
    targets: List[List[float]] = []
    if kind == "single-label":
        if labels.ndim != 1:
            raise InputError(f'labels of shape {list(labels.shape)}; expected [images], or task="multi-label"')
        place = {name: at for at, name in enumerate(keys)}
        unknown = next((label for label in labels.tolist() if label not in place), None)
        if unknown is not None:
            raise InputError(f"label {unknown!r}, which none of the images to train on has")
        places = [place[label] for label in labels.tolist()]
    else:
        targets = np.asarray(labels, dtype=np.float64).reshape(count, -1).tolist()
    return {"pixels": pixels, "floats": floats, "labels": places, "targets": targets, "names": names, "task": kind}


def held_out(
    images: Any, labels: Any, kind: str, share: float = 0.2, seed: int = 0
) -> Tuple[Tuple[Any, Any], Tuple[Any, Any]]:
    """Images to train on and, drawn by the seed, a share of each class to evaluate on."""
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) != len(labels):
        raise InputError(f"{len(labels)} labels for {len(images)} images")
    random = np.random.default_rng(seed)
    groups = [np.arange(len(labels))]
    if kind == "single-label" and labels.ndim == 1:
        groups = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    held = np.zeros(len(labels), dtype=bool)
    for group in groups:
        count = min(max(1, round(share * len(group))), len(group) - 1)
        held[random.permutation(group)[:max(count, 0)]] = True
    return (images[~held], labels[~held]), (images[held], labels[held])
