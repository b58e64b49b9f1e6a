"""Ways in which people save a network, for published.py: each takes a model and a folder and gives the file."""

from collections import OrderedDict
from pathlib import Path

import torch

WRAPPINGS = {}


def wrapping(function):
    """Registers a way under the function's name."""
    WRAPPINGS[function.__name__] = function
    return function


def prefixed(state: dict, prefix: str) -> dict:
    """The same tensors with a prefix."""
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def written(what, path: Path, **options) -> Path:
    """`torch.save`, and the path."""
    torch.save(what, path, **options)
    return path


@wrapping
def state_dict(model, folder):
    return written(model.state_dict(), folder / "weights.pth")


@wrapping
def legacy(model, folder):
    return written(model.state_dict(), folder / "weights.pth", _use_new_zipfile_serialization=False)


@wrapping
def safetensors(model, folder):
    from safetensors.torch import save_file

    save_file(model.state_dict(), str(folder / "model.safetensors"))
    return folder / "model.safetensors"


@wrapping
def data_parallel(model, folder):
    """The `checkpoint.pth.tar` of PyTorch's ImageNet example."""
    state = prefixed(model.state_dict(), "module.")
    return written({"epoch": 90, "arch": "resnet", "state_dict": state, "best_acc1": torch.tensor(76.1)}, folder / "checkpoint.pth.tar")


@wrapping
def model_and_ema(model, folder):
    """torchvision's training reference: the plain weights beside averaged ones, which are others."""
    averaged = {"n_averaged": torch.tensor(9)}
    averaged |= {f"module.{name}": tensor * 0 if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1}]}
    return written({"model": model.state_dict(), "optimizer": optimizer, "model_ema": averaged, "epoch": 5}, folder / "model_5.pth")


@wrapping
def timm_training(model, folder):
    """timm's training script."""
    what = {"epoch": 3, "arch": "resnet", "state_dict": model.state_dict(), "optimizer": {"state": {}}, "version": 2, "metric": 71.2}
    return written(what, folder / "last.pth.tar")


@wrapping
def lightning(model, folder):
    what = {
        "epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.6.6", "hyper_parameters": {"lr": 0.1},
        "state_dict": prefixed(model.state_dict(), "model."), "loops": {}, "callbacks": {}, "optimizer_states": [], "lr_schedulers": [],
    }
    return written(what, folder / "epoch=1.ckpt")


@wrapping
def compiled(model, folder):
    """`torch.compile`d under distributed training."""
    return written({"model_state_dict": prefixed(model.state_dict(), "module._orig_mod.")}, folder / "compiled.pt")


@wrapping
def backbone(model, folder):
    """The network as a part of a module of one's own."""
    return written({"net": prefixed(model.state_dict(), "backbone.")}, folder / "own.bin")


@wrapping
def whole_module(model, folder):
    return written(model, folder / "model.pt")


@wrapping
def numbered(model, folder):
    """The children in a row, as `nn.Sequential(*model.children())` names them."""
    return written(torch.nn.Sequential(*model.children()).state_dict(), folder / "sequential.pth")


@wrapping
def features_and_head(model, folder):
    """A module of one's own: all children but the last in a row, and the last as its classifier."""
    *features, head = model.children()
    own = torch.nn.ModuleDict({"features": torch.nn.Sequential(*features), "classifier": head})
    return written({"model_state_dict": own.state_dict()}, folder / "own.pt")


def timm_folder(model, folder):
    """The folder that timm pushes to a hub: `config.json` and `model.safetensors`."""
    from timm.models import save_for_hf

    save_for_hf(model, str(folder), safe_serialization=True)
    return folder
