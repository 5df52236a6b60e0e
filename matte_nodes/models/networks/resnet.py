# SPDX-License-Identifier: Apache-2.0
"""Residual networks: He, Zhang, Ren, Sun, CVPR 2016 (arXiv 1512.03385)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Depth = Literal["r34", "r50", "r101"]
DEPTHS: dict[Depth, tuple[int, int, int, int]] = {
    "r34": (3, 4, 6, 3),
    "r50": (3, 4, 6, 3),
    "r101": (3, 4, 23, 3),
}


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """1 x 1 convolution for the shortcut, where the shape changes."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _projection(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (which carries the stride) and 1 x 1 to four times the planes; a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Stem and up to four stages; `forward` returns the maps at 1/2, 1/4, 1/8, 1/16 and 1/32.

    inputs: channels of the picture. base: channels of the stem. stages: how many of the four are
    built. dilate_last: the fourth stage keeps 1/16 and is dilated instead (its first block is not,
    as the published DeepLab-like encoders have it). classes: outputs of the classifier that
    published checkpoints carry along (no matting network uses it); 0 for none.
    """

    def __init__(
        self,
        depth: Depth,
        inputs: int = 3,
        base: int = 64,
        stages: int = 4,
        dilate_last: bool = False,
        classes: int = 0,
    ) -> None:
        super().__init__()
        block = BasicBlock if depth == "r34" else Bottleneck
        self.conv1 = nn.Conv2d(inputs, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        channels, widths = base, [base]
        for stage, count in enumerate(DEPTHS[depth][:stages]):
            planes = base << stage
            dilated = dilate_last and stage == 3
            layers = nn.Sequential()
            for index in range(count):
                stride = 2 if index == 0 and stage > 0 and not dilated else 1
                layers.append(block(channels, planes, stride, 2 if dilated and index else 1))
                channels = planes * block.expansion
            self.add_module(f"layer{stage + 1}", layers)
            widths.append(channels)
        self.widths = tuple(widths)
        self.pool = nn.MaxPool2d(3, 2, 1)
        if classes:
            self.fc = nn.Linear(channels, classes)

    def stem(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, base, H/2, W/2)."""
        return torch.relu(self.bn1(self.conv1(x)))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        y: Tensor = self.pool(maps[0])
        for stage in range(1, len(self.widths)):
            y = self.get_submodule(f"layer{stage}")(y)
            maps.append(y)
        return maps
