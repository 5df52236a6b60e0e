# SPDX-License-Identifier: Apache-2.0
"""GFM, glance and focus matting: Li, Zhang, Maybank, Tao, IJCV 2022 (arXiv 2010.16188)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.models.networks.blocks import base_channels, conv_norm_relu, resize
from matte_nodes.models.networks.densenet import DenseNet121
from matte_nodes.models.networks.resnet import BasicBlock, ResNet

Backbone = Literal["r34", "r34_2b", "d121", "r101"]
Rosta = Literal["TT", "FT", "BT", "RIM"]
Part = Literal["TT", "FT", "BT"]
_PARTS: tuple[Part, ...] = ("TT", "FT", "BT")

# (two inner widths and output) of each decoder, deepest first, in units of the stem's channels.
# The decoder at full size comes apart: its output is the answer.
_PLANS: dict[Backbone, tuple[tuple[int, int, int], ...]] = {
    "r34": ((8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
    "d121": ((8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
    "r101": ((32, 16, 16), (16, 8, 8), (8, 4, 4), (4, 2, 1)),
    "r34_2b": ((8, 8, 8), (8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
}


def plan(backbone: Backbone, base: int) -> dict[str, tuple[int, int, int]]:
    """Two inner widths and the output of each decoder above full size, by module name."""
    rows = _PLANS[backbone]
    return {
        f"decoder{len(rows) - step}_{letter}": (base * first, base * second, base * last)
        for step, (first, second, last) in enumerate(rows)
        for letter in "gf"
    }


class Answer(NamedTuple):
    """One representation. glance: (N, 3 or 2, H, W) class scores 0..1 (TT: background, unknown,
    foreground). focus, fusion: (N, 1, H, W) alpha 0..1, inside the transition and whole."""

    glance: Tensor
    focus: Tensor
    fusion: Tensor


class GFMOutput(NamedTuple):
    """`fusion` is the matte, (N, 1, H, W), of the one representation, or of RIM's integration of
    the three in `answers` (RIM's is not bounded)."""

    answers: dict[Part, Answer]
    fusion: Tensor


def collaborate(part: Part, glance: Tensor, focus: Tensor) -> Tensor:
    """The paper's collaborative matting: the whole matte from what the two decoders answer.

    glance: (N, C, H, W) class scores; focus: (N, 1, H, W) alpha of the transition. Any two sizes
    that are alike, so that a glance from a smaller picture can be used (resize it first).
    """
    index = glance.argmax(1, keepdim=True)
    if part == "TT":
        return focus * (index == 1) + (index == 2).to(focus.dtype)
    chosen = index.to(focus.dtype)
    if part == "BT":
        return torch.relu(chosen - focus)
    return torch.clamp(chosen + focus, max=1.0)


def _decoder(
    inputs: int, inner: tuple[int, int], outputs: int, last_relu: bool = True, up: bool = True
) -> nn.Sequential:
    """Three 3 x 3 convolutions and, if asked for, twice the size."""
    last = conv_norm_relu(inner[1], outputs)
    layers = [*conv_norm_relu(inputs, inner[0]), *conv_norm_relu(inner[0], inner[1])]
    layers += last if last_relu else last[:1]
    if up:
        layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return nn.Sequential(*layers)


class _Pyramid(nn.Module):
    """Pooled context at 1, 3 and 5 bins a side, beside the map itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(channels, channels, 1, bias=False))
            for bins in (1, 3, 5)
        )
        self.bottleneck = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        priors = [resize(stage(x), x, align_corners=True) for stage in self.stages]
        return torch.relu(self.bottleneck(torch.cat((*priors, x), 1)))


class _Excite(nn.Module):
    """Squeeze and excitation (arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gates: Tensor = self.fc(x.mean((2, 3)))
        return x * gates[:, :, None, None]


class GFM(nn.Module):
    """A shared encoder, a glance decoder that sorts the picture, a focus decoder for its detail.

    backbone: r34, r34_2b (full-size stem and two more stages), d121, r101. rosta: which
    representation of the semantics and the transition (TT, FT, BT), or RIM for all three.
    width: channel multiplier, 1.0 is the paper. widths: inner widths and output of decoders that
    differ from `plan`, by module name (read from a checkpoint).
    """

    multiple = 32

    def __init__(
        self,
        backbone: Backbone = "r34",
        rosta: Rosta = "TT",
        width: float = 1.0,
        widths: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.backbone: Backbone = backbone
        self.rosta: Rosta = rosta
        self.base = base_channels(width)
        maps = self._build_encoder()
        rows: dict[str, tuple[int, ...]] = {**plan(backbone, self.base), **(widths or {})}
        self.depth = len(_PLANS[backbone])
        deep = maps[-1]
        self.psp_module = _Pyramid(deep)
        self.bridge_block = nn.Sequential(
            *(layer for _ in range(3) for layer in conv_norm_relu(deep, deep, dilation=2))
        )
        glance_in, focus_in = 2 * deep, 2 * deep
        for level in range(self.depth, 0, -1):
            # the full-size path of r34_2b has no size left to gain at its last decoder
            up = not (backbone == "r34_2b" and level == 1)
            glance, focus = rows[f"decoder{level}_g"], rows[f"decoder{level}_f"]
            for letter, inputs, row in (("g", glance_in, glance), ("f", focus_in, focus)):
                block = _decoder(inputs, (row[0], row[1]), row[2], up=up)
                self.add_module(f"decoder{level}_{letter}", block)
            # as wide as what it is put beside
            scale = 2 ** min(self.depth - level + 1, 5)
            layers = conv_norm_relu(deep, glance[2])
            layers.append(nn.Upsample(scale_factor=scale, mode="bilinear"))
            self.add_module(f"psp{level}", nn.Sequential(*layers))
            glance_in, focus_in = 2 * glance[2], focus[2] + maps[level - 1]
        if backbone == "r34_2b":
            glance_in, focus_in = glance_in // 2, focus_in - maps[0]
        self._build_heads(glance_in, focus_in)

    def _build_encoder(self) -> list[int]:
        """The backbone; answers the channels of its maps, from the shallowest on."""
        base = self.base
        if self.backbone == "d121":
            self.densenet = DenseNet121(base)
            deep = 8 * base
            self.encoder4 = nn.ModuleDict(
                {"1": nn.Conv2d(16 * base, deep, 3, padding=1), "2": nn.BatchNorm2d(deep)}
            )
            return [base, 2 * base, 4 * base, 8 * base, deep]
        depth: Literal["r34", "r101"] = "r101" if self.backbone == "r101" else "r34"
        self.resnet = ResNet(depth, base=base, classes=1000)
        maps = list(self.resnet.widths)
        if self.backbone == "r34_2b":
            self.encoder0 = nn.Sequential(*conv_norm_relu(3, base))
            for name in ("encoder5", "encoder6"):
                blocks = (BasicBlock(maps[-1], maps[-1]) for _ in range(3))
                self.add_module(name, nn.Sequential(nn.MaxPool2d(2, 2, ceil_mode=True), *blocks))
                maps.append(maps[-1])
        return maps

    def _build_heads(self, glance_in: int, focus_in: int) -> None:
        parts: tuple[Part, ...] = _PARTS if self.rosta == "RIM" else (self.rosta,)
        for part in parts:
            classes = 3 if part == "TT" else 2
            for letter, inputs, outputs in (("g", glance_in, classes), ("f", focus_in, 1)):
                name = self._head(part, letter)
                if self.backbone == "r34_2b":
                    head = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))
                else:
                    inner = (self.base, self.base)
                    head = _decoder(inputs, inner, outputs, last_relu=False)
                self.add_module(name, head)
        if self.rosta == "RIM":
            self.rim = nn.Sequential(nn.Conv2d(3, 16, 1), _Excite(16, 4), nn.Conv2d(16, 1, 1))

    def _head(self, part: Part, letter: str) -> str:
        suffix = f"_{part.lower()}" if self.rosta == "RIM" else ""
        return f"decoder0_{letter}{suffix}"

    def _encode(self, x: Tensor) -> list[Tensor]:
        """Maps from the shallowest to the deepest, one a decoder level and the deepest."""
        if self.backbone == "d121":
            maps = [self.densenet.stem(x)]
            for number in (1, 2, 3):
                maps.append(self.densenet.stage(number, maps[-1]))
            deep = self.densenet.stage(4, maps[-1])
            deep = torch.relu(self.encoder4["2"](self.encoder4["1"](deep)))
            return [*maps, F.max_pool2d(deep, 2, 2, ceil_mode=True)]
        if self.backbone != "r34_2b":
            return self.resnet(x)  # type: ignore[no-any-return]
        maps = [self.encoder0(x)]
        for number in (1, 2, 3, 4):
            maps.append(self.resnet.get_submodule(f"layer{number}")(maps[-1]))
        for name in ("encoder5", "encoder6"):
            maps.append(self.get_submodule(name)(maps[-1]))
        return maps

    def _call(self, name: str, *parts: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(name)(torch.cat(parts, 1))
        return y

    def forward(self, rgb: Tensor) -> GFMOutput:
        """rgb: (N, 3, H, W), display-encoded, 0..255 in use (the published networks' range)."""
        maps = self._encode(rgb)
        deep = maps[-1]
        context = self.psp_module(deep)
        # the glance decoder reads its context first: the pyramid's map, then what came from below
        beside, glance, focus = context, deep, self.bridge_block(deep)
        for level in range(self.depth, 0, -1):
            glance = self._call(f"decoder{level}_g", beside, glance)
            focus = self._call(f"decoder{level}_f", focus, maps[level])
            if level > 1 or self.backbone != "r34_2b":
                beside = self.get_submodule(f"psp{level}")(context)
        answers: dict[Part, Answer] = {}
        for part in _PARTS if self.rosta == "RIM" else (self.rosta,):
            if self.backbone == "r34_2b":
                sorted_, detail = (
                    self._call(self._head(part, "g"), glance),
                    self._call(self._head(part, "f"), focus),
                )
            else:
                sorted_ = self._call(self._head(part, "g"), beside, glance)
                detail = self._call(self._head(part, "f"), focus, maps[0])
            sorted_, detail = torch.sigmoid(sorted_), torch.sigmoid(detail)
            answers[part] = Answer(sorted_, detail, collaborate(part, sorted_, detail))
        if self.rosta != "RIM":
            return GFMOutput(answers, answers[self.rosta].fusion)
        whole: Tensor = self.rim(torch.cat([answers[part].fusion for part in _PARTS], 1))
        return GFMOutput(answers, whole)
