"""Modules of torchvision and timm on this engine. Needs PyTorch, which the package itself does not."""

from typing import Any, Optional

import numpy as np
import torch as _torch

from ._classifier import Classifier
from ._errors import InputError, ModelError
from ._model import Model, Network

# Largest difference of a logit, relative to the greatest of the batch, that a module and its network may have.
TOLERANCE = 1e-4


class Engine:
    """A callable on tensors that runs a module's network on this engine: what :func:`load` gives.

    ``engine(x)`` takes ``[batch, channels, height, width]`` of float32, normalised as the module takes it, and gives the
    logits, ``[batch, classes]``. It is for inference: gradients do not flow through it.

    Attributes:
        classifier: the classifier behind it, with ``embed``, ``features`` and ``explain``.
        difference: largest difference from the module's logits that was found, relative to the greatest; ``None`` where it
            was not compared.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.difference: Optional[float] = None

    @property
    def model(self) -> str:
        """Name of the network that was recognised."""
        return str(self.classifier.spec["name"])

    def __call__(self, x: "_torch.Tensor") -> "_torch.Tensor":
        """Logits of a batch, ``[batch, classes]``, on the device of ``x``.

        Raises:
            InputError: for what is no float32 tensor of four dimensions.
        """
        if not isinstance(x, _torch.Tensor) or x.dim() != 4 or x.dtype != _torch.float32:
            found = f"{x.dtype} of shape {list(x.shape)}" if isinstance(x, _torch.Tensor) else type(x).__name__
            raise InputError(f"{found}; expected a float32 tensor [batch, channels, height, width]")
        values = x.detach().cpu().contiguous().numpy()
        if values.shape[0] == 0:
            return _torch.empty((0, len(self.classifier.classes)), device=x.device)
        return _torch.from_numpy(self.classifier.logits(values)).to(x.device)

    def eval(self) -> "Engine":
        """Itself: it is for inference alone."""
        return self

    def __repr__(self) -> str:
        return f"<Engine of {self.model}>"


def load(
    module: "_torch.nn.Module",
    network: Optional[Network] = None,
    *,
    check: bool = True,
    threads: Optional[int] = None,
    batch: Optional[int] = None,
) -> Engine:
    """Takes the weights of a module, and gives a callable that computes what it does on this engine.

    Args:
        module: a residual network of torchvision or timm, or of another library with names as theirs.
        network: the network, where neither the module nor its tensors tell it.
        check: compares the two on random images, and refuses a network whose logits differ by more than 1e-4 of the
            greatest.
        threads, batch: as for :class:`residual_nets.Classifier`.

    Raises:
        ModelError: for a module that is no residual network of the known kinds, or that computes something else.
    """
    if not isinstance(module, _torch.nn.Module):
        raise InputError(f"a {type(module).__name__}; expected a torch.nn.Module")
    state = {name: tensor.detach().cpu().float().numpy() for name, tensor in module.state_dict().items()}
    model = _recognised(state, module, network)
    engine = Engine(Classifier(model, threads=threads, batch=batch))
    if check:
        engine.difference = _compared(engine, module, model)
    return engine


def _recognised(state: Any, module: "_torch.nn.Module", network: Optional[Network]) -> Model:
    """The model of the network that is named, by the caller or the module, or told by the tensors."""
    if network is not None:
        return Model.from_tensors(state, network)
    name = (getattr(module, "pretrained_cfg", None) or {}).get("architecture")
    if name:
        try:
            return Model.from_tensors(state, str(name))
        except ModelError:
            # A module that was built with other options than its name has: its tensors may tell.
            pass
    return Model.from_tensors(state)


def _compared(engine: Engine, module: "_torch.nn.Module", model: Model) -> float:
    channels, height, width = model.spec["input"]
    values = np.random.default_rng(0).normal(size=(2, channels, height, width)).astype(np.float32)
    x = _torch.from_numpy(values)
    training = module.training
    parameter = next(module.parameters(), x)
    module.eval()
    try:
        with _torch.no_grad():
            expected = module(x.to(parameter.device, parameter.dtype)).float().cpu()
    finally:
        module.train(training)
    found = engine(x)
    if found.shape != expected.shape:
        raise ModelError(f"{model.name}: logits of shape {list(found.shape)}, the module's are {list(expected.shape)}")
    difference = float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{model.name}: its logits differ by {difference:.2g} of the greatest from the module's; help: name the "
            "network (`network=`), or `check=False` to take it as it is"
        )
    return difference
