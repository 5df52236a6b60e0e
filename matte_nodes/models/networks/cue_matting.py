# SPDX-License-Identifier: Apache-2.0
"""A small network that weighs what hints already tell: the shipped variants are of this kind.

An encoder-decoder on half-size features and a refinement at full size, as Deep Image Matting
(Xu et al. 2017) has them, at a fraction of its width. It sees extra channels (projected alphas,
differences to likely colours), and its answer is a mixture of those alphas and of one of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import base_channels

CUES = 19  # planes of models.cues
PLATE_CUES = 7  # plate, clean plate, segmentation


class CueMatting(nn.Module):
    """Features at full size and candidate alphas to one alpha.

    features: channels given. candidates: how many alphas are offered. width: channel multiplier.
    """

    multiple = 32

    def __init__(self, features: int, candidates: int, width: float = 1.0) -> None:
        super().__init__()
        self.features, self.candidates = features, candidates
        c0, c1, c2, c3, c4 = (base_channels(width, full=b) for b in WIDTHS)
        self.stem = nn.Sequential(_unit(4 * features, c0, 1), _unit(c0, c0))
        self.down1 = nn.Sequential(_unit(c0, c1, stride=2), _unit(c1, c1))
        self.down2 = nn.Sequential(_unit(c1, c2, stride=2), _unit(c2, c2), _unit(c2, c2))
        self.down3 = nn.Sequential(_unit(c2, c3, stride=2), _unit(c3, c3), _unit(c3, c3))
        self.down4 = nn.Sequential(_unit(c3, c4, stride=2), _unit(c4, c4), _unit(c4, c4))
        self.up3 = _unit(c4 + c3, c3)
        self.up2 = _unit(c3 + c2, c2)
        self.up1 = _unit(c2 + c1, c1)
        self.up0 = _unit(c1 + c0, 32)
        seen = 8 + 3 + 2 + candidates
        self.refine = nn.Sequential(_unit(seen, 12), _unit(12, 12))
        self.answer = nn.Conv2d(12, candidates + 2, 1)
        nn.init.zeros_(self.answer.weight)
        assert self.answer.bias is not None
        nn.init.zeros_(self.answer.bias)
        # At first the network's own alpha has hardly a say.
        self.answer.bias.data[candidates] = -2

    def forward(self, features: Tensor, offers: Tensor) -> Tensor:
        """Alpha (N, 1, H, W), 0..1.

        features: (N, features, H, W), the plate in -1..1 and two hint planes first. offers:
        (N, candidates, H, W), 0..1. H and W are multiples of 32.
        """
        half = self.stem(functional.pixel_unshuffle(features, 2))
        d1 = self.down1(half)
        d2 = self.down2(d1)
        d3 = self.down3(d2)
        x = self.up3(_join(self.down4(d3), d3))
        x = self.up2(_join(x, d2))
        x = self.up1(_join(x, d1))
        x = functional.pixel_shuffle(self.up0(_join(x, half)), 2)
        told = self.answer(self.refine(torch.cat((x, features[:, :5], offers), 1))).float()
        shares = torch.softmax(told[:, :-1], 1)
        choices = torch.cat((offers.float(), torch.sigmoid(told[:, -1:])), 1)
        return (shares * choices).sum(1, keepdim=True)


WIDTHS = (24, 48, 80, 128, 160)


class TrimapCues(nn.Module):
    """The planes of `models.cues` to alpha; a coarse alpha (closed form's) helps where there is one."""

    multiple = 32

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.net = CueMatting(features=25, candidates=3, width=width)

    def forward(self, planes: Tensor, coarse: Tensor | None = None) -> Tensor:
        """Alpha (N, 1, H, W), the trimap's 0 and 1 kept.

        planes: (N, 19, H, W), 0..1. coarse: (N, 1, H, W), 0..1; below 0 in a picture without one.
        """
        plate, near_front, near_back, front, back = torch.split(planes[:, :15], 3, 1)
        trimap, rest = planes[:, 15:16], planes[:, 16:19]
        is_front, is_back = (trimap > 0.75).to(planes), (trimap < 0.25).to(planes)
        unknown = 1 - is_front - is_back
        near = projected(plate, near_front, near_back) * unknown + is_front
        best = projected(plate, front, back) * unknown + is_front
        given = torch.full_like(trimap, -1) if coarse is None else coarse
        there = (given >= 0).to(planes)
        third = torch.where(given >= 0, given, best) * unknown + is_front
        offers = torch.cat((near, best, third), 1)
        apart = (front - back).square().sum(1, keepdim=True).sqrt()
        features = torch.cat(
            (plate * 2 - 1, is_front, is_back, offers, there, rest, apart,
             plate - near_front, plate - near_back, plate - front, plate - back), 1,
        )  # fmt: skip
        answer: Tensor = self.net(features, offers)
        return answer * unknown + is_front


class PlateCues(nn.Module):
    """Plate, clean plate and a rough segmentation to alpha."""

    multiple = 32

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.net = CueMatting(features=14, candidates=2, width=width)

    def forward(self, planes: Tensor) -> Tensor:
        """Alpha (N, 1, H, W). planes: (N, 7, H, W): plate, clean plate, 0..1; segmentation 0..1,
        -1 everywhere when there is none."""
        plate, clean, rough = planes[:, :3], planes[:, 3:6], planes[:, 6:7]
        difference = plate - clean
        size = difference.abs().amax(1, keepdim=True)
        around = functional.avg_pool2d(size, 9, 1, 4)
        key = ((size - 0.03) / 0.15).clamp(0, 1)
        calm = ((around - 0.03) / 0.12).clamp(0, 1)
        features = torch.cat(
            (plate * 2 - 1, key, calm, difference * 4, clean * 2 - 1,
             (rough >= 0).to(planes), rough.clamp_min(0), around * 4), 1,
        )  # fmt: skip
        answer: Tensor = self.net(features, torch.cat((key, calm), 1))
        return answer


def projected(plate: Tensor, front: Tensor, back: Tensor) -> Tensor:
    """The alpha whose mixture of two colours is nearest to the plate's, (N, 1, H, W) 0..1."""
    apart = front - back
    along = ((plate - back) * apart).sum(1, keepdim=True)
    return (along / (apart.square().sum(1, keepdim=True) + 1e-3)).clamp(0, 1)


def _unit(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _join(small: Tensor, large: Tensor) -> Tensor:
    grown = functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.cat((grown, large), 1)
