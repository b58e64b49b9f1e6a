"""The networks of the comparisons in PyTorch, with torchvision's names where torchvision has the network."""

import torch
from torch import nn


class Basic(nn.Module):
    expansion = 1

    def __init__(self, ins, width, stride, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, ins, width, stride, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ZeroPad(nn.Module):
    """Option A: every second pixel, channels of zeros on both sides."""

    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        before = self.added // 2
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.added - before))


class Net(nn.Module):
    def __init__(self, block, depths, widths, classes, imagenet, zero_pad=False):
        super().__init__()
        ins = 64 if imagenet else widths[0]
        if imagenet:
            self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, ins, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(ins)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        self.stages = len(depths)
        for index, (depth, width) in enumerate(zip(depths, widths)):
            blocks = []
            for position in range(depth):
                stride = 2 if index > 0 and position == 0 else 1
                outs = width * block.expansion
                downsample = None
                if zero_pad and ins != outs:
                    downsample = ZeroPad(outs - ins)
                elif stride != 1 or ins != outs:
                    conv = nn.Conv2d(ins, outs, 1, stride, bias=False)
                    downsample = nn.Sequential(conv, nn.BatchNorm2d(outs))
                blocks.append(block(ins, width, stride, downsample))
                ins = outs
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(ins, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index in range(self.stages):
            x = getattr(self, f"layer{index + 1}")(x)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


def network(name):
    imagenet = {
        "resnet18": (Basic, [2, 2, 2, 2]),
        "resnet34": (Basic, [3, 4, 6, 3]),
        "resnet50": (Bottleneck, [3, 4, 6, 3]),
    }
    if name in imagenet:
        block, depths = imagenet[name]
        return Net(block, depths, [64, 128, 256, 512], 1000, True)
    if name == "small":
        return Net(Basic, [2, 2, 2], [32, 64, 128], 10, False)
    depth = int(name.removeprefix("cifar_resnet"))
    return Net(Basic, [(depth - 2) // 6] * 3, [16, 32, 64], 10, False, zero_pad=True)
