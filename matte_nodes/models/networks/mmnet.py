# SPDX-License-Identifier: Apache-2.0
"""MMNet: Seo, Choi, Kim, Kim, "Towards Real-Time Automatic Portrait Matting on Mobile Devices",
2019 (arXiv 1904.03816)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.models.networks.blocks import same_padding

# name, inner and outer channels, dilation rates, stride
_ENCODER = (
    (16, 16, (1, 2, 4, 8), 2),
    (16, 24, (1, 2, 4, 8), 1),
    (24, 24, (1, 2, 4, 8), 1),
    (24, 24, (1, 2, 4, 8), 1),
    (32, 40, (1, 2, 4), 2),
    (64, 40, (1, 2, 4), 1),
    (64, 40, (1, 2, 4), 1),
    (64, 40, (1, 2, 4), 1),
    (80, 80, (1, 2), 2),
    (120, 80, (1, 2), 1),
)


class MMNetOutput(NamedTuple):
    """alpha: (N, 1, H, W) 0..1. logits: (N, 2, H, W), background and foreground. auxiliary:
    (N, 2, H/16, W/16), logits of the encoder's end, which are trained beside them."""

    alpha: Tensor
    logits: Tensor
    auxiliary: Tensor


def scaled(depth: int, multiplier: float) -> int:
    """Channels at a depth multiplier: to a multiple of eight, at least eight."""
    return max(8, (round(depth * multiplier) + 4) // 8 * 8)


def depths() -> dict[str, int]:
    """Depth at multiplier 1 of layers whose output channels are it, by tensor name."""
    known = {"init_block.conv.weight": 32, "dec_block4.pointwise_conv.weight": 16}
    for index, (inner, outer, rates, _) in enumerate(_ENCODER):
        block = f"enc_block{index}"
        known[f"{block}.merge.pointwise_conv.weight"] = outer
        for branch in range(len(rates)):
            known[f"{block}.branch{branch}.pointwise_conv.weight"] = inner
    for index, depth in enumerate((64, 40)):
        known[f"dec_block{index}.pointwise_conv.weight"] = depth
        known[f"dec_block{index}.shortcut.pointwise_conv.weight"] = depth
    return known


def double_legacy(x: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resize to twice the size, (N, C, H, W) to (N, C, 2H, 2W).

    Samples sit at i / 2 (no half-pixel offset): even ones are the input, odd ones the mean of two
    neighbours, the last one the last input.
    """
    height, width = x.shape[-2:]
    edge = F.pad(x, (0, 1, 0, 1), mode="replicate")
    size = (2 * height + 1, 2 * width + 1)
    return F.interpolate(edge, size=size, mode="bilinear", align_corners=True)[..., :-1, :-1]


class _Conv(nn.Conv2d):
    """Convolution with "SAME" padding, batch normalisation, and ReLU6 unless linear.

    Sizes are multiples of the stride (the network's multiple sees to it).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0, dilation, groups=groups, bias=False)
        self.BatchNorm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.linear = linear
        before, after = same_padding(16 * stride, kernel, stride, dilation)
        self.border = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.BatchNorm(super().forward(F.pad(x, self.border)))
        return y if self.linear else F.relu6(y)


class _Branch(nn.Module):
    def __init__(self, inputs: int, inner: int, rate: int, stride: int) -> None:
        super().__init__()
        self.pointwise_conv = _Conv(inputs, inner, 1)
        self.depthwise_conv_stride: _Conv | None = None
        if stride > 1:
            self.depthwise_conv_stride = _Conv(inner, inner, 3, stride, groups=inner)
        self.depthwise_conv_dilation = _Conv(inner, inner, 3, dilation=rate, groups=inner)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pointwise_conv(x)
        if self.depthwise_conv_stride is not None:
            x = self.depthwise_conv_stride(x)
        y: Tensor = self.depthwise_conv_dilation(x)
        return y


class _Multi(nn.Module):
    """Encoder block: one branch a dilation rate, merged by a 1 x 1 convolution."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        rates: tuple[int, ...],
        stride: int,
        linear: bool = True,
    ) -> None:
        super().__init__()
        self.branches = len(rates)
        for index, rate in enumerate(rates):
            self.add_module(f"branch{index}", _Branch(inputs, inner, rate, stride))
        merge = _Conv(inner * len(rates), outputs, 1, linear=linear)
        self.merge = nn.ModuleDict({"pointwise_conv": merge})

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.get_submodule(f"branch{index}")(x) for index in range(self.branches)]
        y: Tensor = self.merge["pointwise_conv"](torch.cat(parts, 1))
        return y


class _Shortcut(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise_conv = _Conv(inputs, inputs, 3, groups=inputs)
        self.pointwise_conv = _Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return y


class _Grow(nn.Module):
    """Decoder block: compress, twice the size (or `times` such), beside the encoder's map."""

    def __init__(self, inputs: int, outputs: int, beside: int = 0, times: int = 1) -> None:
        super().__init__()
        self.pointwise_conv = _Conv(inputs, outputs, 1)
        self.shortcut = _Shortcut(beside, outputs) if beside else None
        self.times = times

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        x = self.pointwise_conv(x)
        for _ in range(self.times):
            x = double_legacy(x)
        if self.shortcut is None:
            return x
        return torch.cat((x, self.shortcut(beside)), 1)


def _logits(inputs: int) -> nn.ModuleDict:
    return nn.ModuleDict({"pointwise_conv": nn.Conv2d(inputs, 2, 1)})


class MMNet(nn.Module):
    """Portrait matting without a hint, small enough for a telephone (0.19 M parameters).

    width: the paper's depth multiplier (1.0, 0.75, 0.5; 1.4 at 128 pixels).
    """

    multiple = 16

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()

        def ch(depth: int) -> int:
            return scaled(depth, width)

        self.init_block = nn.ModuleDict({"conv": _Conv(3, ch(32), 3, 2)})
        channels, maps = ch(32), []
        for index, (inner, outer, rates, stride) in enumerate(_ENCODER):
            linear = index < len(_ENCODER) - 1
            block = _Multi(channels, ch(inner), ch(outer), rates, stride, linear)
            self.add_module(f"enc_block{index}", block)
            channels = ch(outer)
            maps.append(channels)
        self.aux_block = _logits(channels)
        self.dec_block0 = _Grow(channels, ch(64), maps[4])
        self.dec_block1 = _Grow(2 * ch(64), ch(40), maps[0])
        self.dec_block2 = _Multi(2 * ch(40), ch(40), ch(40), (1, 2, 4), 1)
        self.dec_block3 = _Multi(ch(40), ch(40), ch(40), (1, 2, 4), 1)
        self.dec_block4 = _Grow(ch(40), ch(16), times=2)
        self.final_block = _logits(ch(16))

    def forward(self, rgb: Tensor) -> MMNetOutput:
        """rgb: (N, 3, H, W), display-encoded, 0..1; trained at 256 or 128 pixels a side."""
        x = self.init_block["conv"](rgb)
        maps: list[Tensor] = []
        for index in range(len(_ENCODER)):
            x = self.get_submodule(f"enc_block{index}")(x)
            maps.append(x)
        auxiliary = self.aux_block["pointwise_conv"](x)
        x = self.dec_block1(self.dec_block0(x, maps[4]), maps[0])
        x = self.dec_block4(self.dec_block3(self.dec_block2(x)))
        logits = self.final_block["pointwise_conv"](x)
        return MMNetOutput(torch.softmax(logits, 1)[:, 1:], logits, auxiliary)
