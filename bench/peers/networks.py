"""The residual networks that are compared, in PyTorch, with torchvision's names."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu


@dataclass(frozen=True)
class Network:
    """A network by its name here, and its batches."""

    name: str
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    size: int
    classes: int
    bottleneck: bool = False
    # Option A of He et al. 2015: shortcuts without parameters.
    padded: bool = False


NETWORKS = [
    Network("resnet18", (64, 128, 256, 512), (2, 2, 2, 2), 224, 1000),
    Network("resnet34", (64, 128, 256, 512), (3, 4, 6, 3), 224, 1000),
    Network("resnet50", (64, 128, 256, 512), (3, 4, 6, 3), 224, 1000, bottleneck=True),
    Network("small", (32, 64, 128), (2, 2, 2), 32, 10),
    Network("cifar_resnet20", (16, 32, 64), (3, 3, 3), 32, 10, padded=True),
    Network("cifar_resnet56", (16, 32, 64), (9, 9, 9), 32, 10, padded=True),
]


class ZeroPad(nn.Module):
    """Every `stride`-th pixel, channels padded with zeros on both sides."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.front = (after - before) // 2
        self.back = after - before - self.front
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut."""
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.front, self.back))


class Block(nn.Module):
    """`relu(F(x) + S(x))`"""

    def __init__(self, ins: int, width: int, stride: int, network: Network):
        super().__init__()
        outs = 4 * width if network.bottleneck else width
        layers = [(ins, width, 3, stride), (width, outs, 3, 1)]
        if network.bottleneck:
            layers = [(ins, width, 1, 1), (width, width, 3, stride), (width, outs, 1, 1)]
        self.count = len(layers)
        for number, (i, o, kernel, step) in enumerate(layers, 1):
            self.add_module(f"conv{number}", nn.Conv2d(i, o, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(o))
        self.downsample = None
        if network.padded and (stride > 1 or ins != outs):
            self.downsample = ZeroPad(ins, outs, stride)
        elif stride > 1 or ins != outs:
            conv = nn.Conv2d(ins, outs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outs))

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = relu(y) if number < self.count else y
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Stem, stages, head."""

    def __init__(self, network: Network):
        super().__init__()
        channels, large = network.widths[0], network.size > 64
        kernel, stride = (7, 2) if large else (3, 1)
        self.conv1 = nn.Conv2d(3, channels, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = len(network.widths)
        for stage, (width, blocks) in enumerate(zip(network.widths, network.blocks), 1):
            made = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                made.append(Block(channels, width, stride, network))
                channels = 4 * width if network.bottleneck else width
            self.add_module(f"layer{stage}", nn.Sequential(*made))
        self.fc = nn.Linear(channels, network.classes)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def made(network: Network) -> ResNet:
    """The network with random weights and statistics, the same in every process."""
    torch.manual_seed(1)
    module = ResNet(network).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return module


def images(network: Network, batch: int) -> Tensor:
    """Random input."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(batch, 3, network.size, network.size, generator=generator)
