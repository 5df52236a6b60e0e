# SPDX-License-Identifier: Apache-2.0
"""Background Matting: Sengupta, Jayaram, Curless, Seitz, Kemelmacher-Shlizerman, CVPR 2020
(arXiv 2004.00626)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Parity, Published, Training
from matte_nodes.models.networks.blocks import base_channels
from matte_nodes.models.networks.cue_matting import difference_keys
from matte_nodes.recognition import Recognition, Shapes, number, present, vote

Wiring = Literal["published", "paper"]
CUES = 5
"""Channels of `difference_cues`."""


class BackgroundMattingOutput(NamedTuple):
    """alpha: (N, 1, H, W), -1..1. foreground: (N, 3, H, W), straight, about -1..1, unbounded."""

    alpha: Tensor
    foreground: Tensor


def _first(inputs: int, base: int) -> list[nn.Module]:
    """7 x 7 at full size, then 3 x 3 of stride 2."""
    return [
        nn.ReflectionPad2d(3),
        nn.Conv2d(inputs, base, 7),
        nn.BatchNorm2d(base),
        nn.ReLU(inplace=True),
        *_halve(base, 2 * base),
    ]


def _halve(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _squeeze(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _grow(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class _Residual(nn.Module):
    """Two reflected 3 x 3 convolutions added to the input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out


class BackgroundMatting(nn.Module):
    """Image, clean plate, soft segmentation and motion stack to alpha and foreground.

    width: channel multiplier, 1.0 is the paper. part_channels: channels that each prior keeps
    after context switching (64 x width when None). blocks: residual blocks of the shared decoder
    and of each head. wiring: "published" feeds the motion branch the clean plate's features, as
    the published weights were trained (the motion stack then has no effect at all); "paper" feeds
    it the motion features. cues: the image's encoder also sees `difference_cues`, which the paper
    does not have.
    """

    def __init__(
        self,
        width: float = 1.0,
        wiring: Wiring = "published",
        blocks: tuple[int, int] = (7, 3),
        part_channels: int | None = None,
        cues: bool = False,
    ) -> None:
        super().__init__()
        self.wiring = wiring
        self.cues = cues
        base = base_channels(width, step=1)
        part = part_channels or base
        deep = 4 * base
        self.model_enc1 = nn.Sequential(*_first(3 + (CUES if cues else 0), base))
        self.model_enc2 = nn.Sequential(*_halve(2 * base, deep))
        self.model_enc_back = nn.Sequential(*_first(3, base), *_halve(2 * base, deep))
        self.model_enc_seg = nn.Sequential(*_first(1, base), *_halve(2 * base, deep))
        self.model_enc_multi = nn.Sequential(*_first(4, base), *_halve(2 * base, deep))
        self.comb_back = nn.Sequential(*_squeeze(2 * deep, part))
        self.comb_seg = nn.Sequential(*_squeeze(2 * deep, part))
        self.comb_multi = nn.Sequential(*_squeeze(2 * deep, part))
        shared, head = blocks
        self.model_res_dec = nn.Sequential(
            *_squeeze(deep + 3 * part, deep), *(_Residual(deep) for _ in range(shared))
        )
        self.model_res_dec_al = nn.Sequential(*(_Residual(deep) for _ in range(head)))
        self.model_res_dec_fg = nn.Sequential(*(_Residual(deep) for _ in range(head)))
        self.model_al_out = nn.Sequential(
            *_grow(deep, 2 * base),
            *_grow(2 * base, base),
            nn.ReflectionPad2d(3),
            nn.Conv2d(base, 1, 7),
            nn.Tanh(),
        )
        self.model_dec_fg1 = nn.Sequential(*_grow(deep, 2 * base))
        self.model_fg_out = nn.Sequential(
            *_grow(4 * base, base), nn.ReflectionPad2d(3), nn.Conv2d(base, 3, 7)
        )

    def forward(
        self, image: Tensor, background: Tensor, segmentation: Tensor, motion: Tensor
    ) -> BackgroundMattingOutput:
        """Everything is in -1..1 (`2 * x - 1` of display-encoded 0..1).

        image, background: (N, 3, H, W). segmentation: (N, 1, H, W). motion: (N, 4, H, W), the
        grey neighbours at -2T, -T, +T, +2T; for a still, the frame's own grey four times.
        """
        seen = torch.cat((image, difference_cues(image, background)), 1) if self.cues else image
        half = self.model_enc1(seen)
        quarter = self.model_enc2(half)
        plate = self.model_enc_back(background)
        subject = self.model_enc_seg(segmentation)
        moving = plate if self.wiring == "published" else self.model_enc_multi(motion)
        fused = torch.cat(
            (
                quarter,
                self.comb_back(torch.cat((quarter, plate), 1)),
                self.comb_seg(torch.cat((quarter, subject), 1)),
                self.comb_multi(torch.cat((quarter, moving), 1)),
            ),
            1,
        )
        shared = self.model_res_dec(fused)
        alpha = self.model_al_out(self.model_res_dec_al(shared))
        colour = self.model_dec_fg1(self.model_res_dec_fg(shared))
        foreground = self.model_fg_out(torch.cat((colour, half), 1))
        return BackgroundMattingOutput(alpha, foreground)


_MARKS = ("model_enc1.1.weight", "comb_back.0.weight", "model_al_out.1.weight")
_BASE = {
    "model_enc1.1.weight": 1,
    "model_enc1.4.weight": 2,
    "model_enc2.0.weight": 4,
    "model_enc_back.7.weight": 4,
    "model_res_dec.0.weight": 4,
    "model_al_out.1.weight": 2,
    "model_fg_out.1.weight": 1,
}


def difference_cues(image: Tensor, background: Tensor) -> Tensor:
    """Return (N, CUES, H, W): how each pixel differs from the clean plate.

    image, background: (N, 3, H, W), -1..1. The planes: a soft key of the largest difference, the
    same of its mean over 9 x 9 pixels, the signed difference of each channel.
    """
    difference = (image - background) / 2
    key, calm, _ = difference_keys(difference)
    return torch.cat((key * 2 - 1, calm * 2 - 1, difference * 4), 1)


def _children(shapes: Shapes, prefix: str, inner: str) -> int:
    """Return how many `prefix.N.inner...` blocks there are."""
    return len(
        {
            name[len(prefix) + 1 :].split(".")[0]
            for name in shapes
            if name.startswith(f"{prefix}.") and f".{inner}." in name
        }
    )


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The published netG, any `ngf`, `nf_part` and numbers of blocks."""
    if not present(shapes, _MARKS):
        return None
    base = vote(shapes, _BASE) or 64
    part = vote(shapes, dict.fromkeys(("comb_back.0.weight", "comb_seg.0.weight"), 1)) or base
    shared = _children(shapes, "model_res_dec", "conv_block")
    head = max(
        _children(shapes, name, "conv_block") for name in ("model_res_dec_al", "model_res_dec_fg")
    )
    options: dict[str, Any] = {"width": base / 64, "blocks": (shared, head)}
    if part != base:
        options["part_channels"] = part
    cues = shapes["model_enc1.1.weight"][1] == 3 + CUES
    if cues:
        options["cues"] = True
    wirings = ("published", "paper")
    if re.search(r"wiring[ =_-]paper|matting[ _-]paper", hint):
        wirings = ("paper", "published")
    options["wiring"] = wirings[0]
    return Recognition(
        options=options,
        layout="Background-Matting netG",
        names={name: name for name in shapes},
        found=f"Background Matting, width {number(base / 64)}, {shared} shared and {head} + {head} "
        f"residual blocks{', with difference cues' if cues else ''}.",
        open={"wiring": wirings},
    )


def encode(
    plate: Tensor, background: Tensor, segmentation: Tensor, motion: Tensor
) -> tuple[Tensor, ...]:
    """Return each picture, 0..1, as the network takes it: -1..1."""
    return tuple(picture * 2 - 1 for picture in (plate, background, segmentation, motion))


def decode(answer: BackgroundMattingOutput) -> dict[str, Tensor]:
    """Return alpha and foreground, 0..1."""
    return {"alpha": (answer.alpha + 1) / 2, "foreground": (answer.foreground + 1) / 2}


def _wiring(knobs: Mapping[str, Any]) -> dict[str, Any]:
    return {} if knobs["wiring"] == "auto" else {"wiring": knobs["wiring"]}


ARCHITECTURE = Architecture(
    id="background-matting",
    build=BackgroundMatting,
    detect=detect,
    inputs=("plate", "background", "segmentation", "motion"),
    encode=encode,
    decode=decode,
    options={"width": 1.0, "wiring": "paper"},
    from_knobs=lambda knobs: {"width": knobs["width"], **_wiring(knobs)},
    asked=_wiring,
    multiple=4,
    training=Training(
        losses={"l1": 1.0, "gradient": 1.0},
        options={"wiring": "paper"},
        side=512,
        channels_last=True,
    ),
    parity=Parity(relative=frozenset({"foreground"})),
    small={"width": 0.0625, "network_size": "256", "motion_step": 1},
    variants=(
        {"width": 0.125},
        {"width": 0.25, "wiring": "paper", "blocks": (2, 1), "part_channels": 8},
        {"width": 0.125, "wiring": "paper", "blocks": (2, 1), "cues": True},
    ),
    layouts=("Background-Matting netG",),
    published=(Published({}, 17_908_420, 322),),
)
