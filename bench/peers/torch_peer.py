"""PyTorch's convolutions, and their gradients."""

import warnings

import torch
from torch.nn.functional import conv2d
from torch.utils import mkldnn

from shapes import DATA, FORWARD, Layer
from timing import Contender, runs_of

# `to_mkldnn` is made of modules whose compiler torch no longer recommends.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def contenders(which: str, layer: Layer, threads: int) -> dict[str, Contender]:
    """PyTorch in each memory format; forward also with packed weights and blocked maps."""
    torch.set_num_threads(threads)
    if which != FORWARD:
        return {f"torch {name}": gradient(which, layer, memory) for name, memory in FORMATS.items()}
    found = {f"torch {name}": forward(layer, memory) for name, memory in FORMATS.items()}
    found["torch mkldnn"] = packed(layer)
    return found


def operands(layer: Layer, memory: torch.memory_format) -> tuple[torch.Tensor, torch.Tensor]:
    """The input and the weights."""
    x = torch.randn(layer.batch, layer.ins, layer.size, layer.size)
    w = torch.randn(layer.outs, layer.ins, layer.kernel, layer.kernel)
    return x.to(memory_format=memory), w.to(memory_format=memory)


@torch.inference_mode()
def forward(layer: Layer, memory: torch.memory_format) -> Contender:
    """`conv2d` with a bias."""
    x, w = operands(layer, memory)
    bias = torch.randn(layer.outs)

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return conv2d(x, w, bias, layer.stride, layer.padding)

    return runs_of(call)


@torch.inference_mode()
def packed(layer: Layer) -> Contender:
    """oneDNN's own layouts: weights packed once, maps stay blocked."""
    conv = torch.nn.Conv2d(layer.ins, layer.outs, layer.kernel, layer.stride, layer.padding)
    module = mkldnn.to_mkldnn(conv.eval())
    x = torch.randn(layer.batch, layer.ins, layer.size, layer.size).to_mkldnn()

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return module(x)

    return runs_of(call)


@torch.inference_mode()
def gradient(which: str, layer: Layer, memory: torch.memory_format) -> Contender:
    """One of the gradients that `convolution_backward` can give."""
    x, w = operands(layer, memory)
    dy = torch.randn(layer.batch, layer.outs, layer.out_size, layer.out_size).to(memory_format=memory)
    mask = [which == DATA, which != DATA, False]
    stride, padding = [layer.stride] * 2, [layer.padding] * 2

    @torch.inference_mode()
    def call() -> object:
        return torch.ops.aten.convolution_backward(
            dy, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, mask
        )

    return runs_of(call)
