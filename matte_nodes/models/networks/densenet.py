# SPDX-License-Identifier: Apache-2.0
"""DenseNet-121: Huang, Liu, van der Maaten, Weinberger, CVPR 2017 (arXiv 1608.06993)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

_LAYERS = (6, 12, 24, 16)


class _Layer(nn.Module):
    """Pre-activated 1 x 1 bottleneck and 3 x 3, whose output is appended to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        y = self.conv2(torch.relu(self.norm2(y)))
        return torch.cat((x, y), 1)


def _transition(inputs: int) -> nn.Sequential:
    """Half the channels, half the size."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(),
            conv=nn.Conv2d(inputs, inputs // 2, 1, bias=False),
            pool=nn.AvgPool2d(2, 2),
        )
    )


class DenseNet121(nn.Module):
    """The layers of DenseNet-121 under their usual names; who uses it chooses the way through.

    base: channels of the stem (64 in the paper; the growth rate is half of it). classes: outputs
    of the classifier that published checkpoints carry along; no matting network uses it.
    """

    def __init__(self, base: int = 64, classes: int = 1000) -> None:
        super().__init__()
        growth = base // 2
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, base, 7, 2, 3, bias=False),
            norm0=nn.BatchNorm2d(base),
            relu0=nn.ReLU(),
        )
        channels = base
        for stage, count in enumerate(_LAYERS, 1):
            block: OrderedDict[str, nn.Module] = OrderedDict()
            for index in range(1, count + 1):
                block[f"denselayer{index}"] = _Layer(channels, growth)
                channels += growth
            layers[f"denseblock{stage}"] = nn.Sequential(block)
            if stage < len(_LAYERS):
                layers[f"transition{stage}"] = _transition(channels)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, classes)

    def stem(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, base, H/2, W/2)."""
        for name in ("conv0", "norm0", "relu0"):
            x = self.features.get_submodule(name)(x)
        return x

    def stage(self, number: int, x: Tensor) -> Tensor:
        """Dense block 1..4 and, after the first three, the transition to half the size."""
        y: Tensor = self.features.get_submodule(f"denseblock{number}")(x)
        if number < len(_LAYERS):
            y = self.features.get_submodule(f"transition{number}")(y)
        return y
