# SPDX-License-Identifier: Apache-2.0
"""MMNet: Seo, Choi, Kim, Kim, "Towards Real-Time Automatic Portrait Matting on Mobile Devices",
2019 (arXiv 1904.03816)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import (
    Answer,
    Architecture,
    Parity,
    Published,
    Size,
    Training,
    run_by_name,
)
from matte_nodes.models.networks.blocks import same_padding
from matte_nodes.recognition import Recognition, Shapes, number, present

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


# TensorFlow's kernels: height, width, inputs, outputs (depthwise: height, width, channels, 1)
_CONV = (3, 2, 0, 1)
_DEPTHWISE = (2, 3, 0, 1)
_OPTIMISER = re.compile(r"/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1)$|^(beta\d_power|global_step)$")
_LEAVES = {
    "weights": "weight",
    "depthwise_weights": "weight",
    "biases": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _depth_multiplier(shapes: Shapes) -> float:
    """Return the simplest multiplier under which most layers have their channels."""
    known = [(shapes[name][0], depth) for name, depth in depths().items() if shapes.get(name)]

    def fitting(percent: int) -> tuple[int, int, int]:
        fits = sum(scaled(depth, percent / 100) == channels for channels, depth in known)
        plain = next(
            rank for rank, step in enumerate((100, 50, 25, 10, 5, 1)) if not percent % step
        )
        return -fits, plain, abs(percent - 100)

    return min(range(5, 401), key=fitting) / 100


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """TensorFlow's variable names (`MMNet/...`, from an npz) or ours; any depth multiplier."""
    marks = (
        "init_block.conv.weight",
        "enc_block9.merge.pointwise_conv.weight",
        "dec_block0.pointwise_conv.weight",
    )
    names: dict[str, str] = {}
    dropped: set[str] = set()
    permutations: dict[str, tuple[int, ...]] = {}
    ours: dict[str, tuple[int, ...]] = {}
    foreign = any(name.startswith("MMNet/") for name in shapes)
    for name, shape in shapes.items():
        target = name
        if foreign:
            plain = name.removesuffix(":0")
            if _OPTIMISER.search(plain):
                dropped.add(name)
                continue
            scope, _, leaf = plain.removeprefix("MMNet/").rpartition("/")
            target = f"{scope.replace('/', '.')}.{_LEAVES.get(leaf, leaf)}"
            if len(shape) == 4:
                axes = _DEPTHWISE if leaf == "depthwise_weights" else _CONV
                permutations[target] = axes
                shape = tuple(shape[axis] for axis in axes)
        names[name] = target
        ours[target] = shape
    if not present(ours, marks):
        return None
    width = _depth_multiplier(ours)
    return Recognition(
        options={"width": width},
        layout="MMNet (TensorFlow)" if foreign else "matte-nodes",
        names=names,
        found=f"MMNet, depth multiplier {number(width)}.",
        permutations=permutations,
        dropped=frozenset(dropped),
        optional=lambda name: name.endswith("num_batches_tracked") or name.startswith("aux_block."),
    )


def _answer(answer: MMNetOutput, decoded: Mapping[str, Tensor]) -> Answer:
    scores, auxiliary = (torch.log_softmax(x, 1) for x in (answer.logits, answer.auxiliary))
    return Answer(decoded["alpha"], scores=scores, auxiliary=auxiliary)


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the outputs under TensorFlow's names and axes beside ours."""
    found = run_by_name(network, inputs, options)
    logits = found["logits"].permute(0, 2, 3, 1)
    return {"L": logits, "P": logits.softmax(-1), **found}


ARCHITECTURE = Architecture(
    id="mmnet",
    build=MMNet,
    detect=detect,
    options={"width": 1.0},
    multiple=16,
    size=Size(square=256, knob="network_size"),
    export_size=(256, 256),
    training=Training(
        _answer,
        {"l1": 1.0, "gradient": 1.0, "fidelity": 1.0, "auxiliary": 1.0},
        trial_width=1.0,
        # Measured: its depthwise layers take half the time so; MODNet's take an eighth more.
        channels_last=True,
    ),
    parity=Parity(_parity),
    small={"width": 0.5, "network_size": "128"},
    variants=({"width": 0.5}, {"width": 0.75}, {"width": 1.4}),
    layouts=("MMNet (TensorFlow)",),
    published=(
        Published({"width": 1.0}, 190_652),
        Published({"width": 0.75}, 120_428),
        Published({"width": 0.5}, 64_260),
        Published({"width": 1.4}, 356_588),
    ),
)
