# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381) and MobileNetV3-Large (Howard et al.,
ICCV 2019, arXiv 1905.02244) as encoders."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# expansion, channels, blocks, stride of the first
_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# kernel, inner channels, channels, squeeze-and-excitation, hard swish, stride
_V3 = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def _unit(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
    eps: float = 1e-5,
) -> list[nn.Module]:
    """Convolution, batch normalisation and, if there is one, the activation."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs, eps=eps),
    ]
    return layers if activation is None else [*layers, activation]


class _InvertedV2(nn.Module):
    """Expand, filter by channel, project linearly; added to the input where shapes allow.

    nested: the expanding and filtering units are modules of their own (one of the two published
    namings; the numbers are the same).
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, expand: int, dilation: int, nested: bool
    ) -> None:
        super().__init__()
        self.shortcut = stride == 1 and inputs == outputs
        inner = inputs * expand
        units = [_unit(inputs, inner, activation=nn.ReLU6())] if expand != 1 else []
        units.append(_unit(inner, inner, 3, stride, dilation, inner, nn.ReLU6()))
        project = _unit(inner, outputs)
        if nested:
            self.conv = nn.Sequential(*(nn.Sequential(*unit) for unit in units), *project)
        else:
            self.conv = nn.Sequential(*(layer for unit in units for layer in unit), *project)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """`features` 0 to `blocks`, and one more (1 x 1 to `last` channels) if `last` is given.

    blocks: 17 is all of them. dilate_last: from block 14 on the size stays 1/16 and the filters are dilated instead (the
    first of them is not, as published encoders have it). `forward` returns the maps after the
    blocks numbered in `taps`.
    """

    def __init__(
        self,
        taps: Sequence[int],
        inputs: int = 3,
        last: int = 0,
        dilate_last: bool = False,
        nested: bool = True,
        blocks: int = 17,
    ) -> None:
        super().__init__()
        self.taps = frozenset(taps)
        made: list[nn.Module] = [nn.Sequential(*_unit(inputs, 32, 3, 2, activation=nn.ReLU6()))]
        channels = 32
        for expand, outputs, count, first in _V2:
            for index in range(count):
                stride, dilation = (first if index == 0 else 1), 1
                if dilate_last and len(made) >= 14:
                    dilation = 1 if stride == 2 else 2
                    stride = 1
                if len(made) > blocks:
                    break
                made.append(_InvertedV2(channels, outputs, stride, expand, dilation, nested))
                channels = outputs
        if last:
            made.append(nn.Sequential(*_unit(channels, last, activation=nn.ReLU6())))
        self.features = nn.Sequential(*made)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for number, block in enumerate(self.features):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps


class _SqueezeV3(nn.Module):
    """Squeeze and excitation with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # a quarter of the channels, to a multiple of eight, never under nine tenths of it
        quarter = channels // 4
        inner = max(8, (quarter + 4) // 8 * 8)
        if inner < 0.9 * quarter:
            inner += 8
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.fc2 = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))
        return F.hardsigmoid(self.fc2(gate)) * x


class _InvertedV3(nn.Module):
    def __init__(
        self, inputs: int, row: tuple[int, int, int, bool, bool, int], dilation: int
    ) -> None:
        super().__init__()
        kernel, inner, outputs, excite, swish, stride = row
        stride = 1 if dilation > 1 else stride
        self.shortcut = stride == 1 and inputs == outputs
        activation = nn.Hardswish if swish else nn.ReLU
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(nn.Sequential(*_unit(inputs, inner, activation=activation(), eps=1e-3)))
        unit = _unit(inner, inner, kernel, stride, dilation, inner, activation(), 1e-3)
        layers.append(nn.Sequential(*unit))
        if excite:
            layers.append(_SqueezeV3(inner))
        layers.append(nn.Sequential(*_unit(inner, outputs, eps=1e-3)))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.shortcut else y


class MobileNetV3Large(nn.Module):
    """`features` 0 to 16, the last stage dilated (1/16 of the size).

    `forward` returns the maps after the blocks numbered in `taps`.
    """

    def __init__(self, taps: Sequence[int]) -> None:
        super().__init__()
        self.taps = frozenset(taps)
        first = _unit(3, 16, 3, 2, activation=nn.Hardswish(), eps=1e-3)
        blocks: list[nn.Module] = [nn.Sequential(*first)]
        channels = 16
        for number, row in enumerate(_V3, 1):
            blocks.append(_InvertedV3(channels, row, 2 if number >= 13 else 1))
            channels = row[2]
        last = _unit(channels, 6 * channels, activation=nn.Hardswish(), eps=1e-3)
        blocks.append(nn.Sequential(*last))
        self.features = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for number, block in enumerate(self.features):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps
