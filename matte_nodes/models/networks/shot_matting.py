# SPDX-License-Identifier: Apache-2.0
"""A network for one shot that carries its key mattes with it: a first guess, then its correction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cue_matting import CueMatting

LOOK = (18, 32)  # rows and columns of the thumbnail that finds the nearest key


class ShotMatting(nn.Module):
    """Plate to alpha. Keys that look like the plate give a first matte, which the network corrects.

    keys: how many key frames it carries. size: rows and columns of the mattes it keeps of them.
    width: channel multiplier. The keys are buffers (`remember` fills them), so the weights file
    is all there is.
    """

    multiple = 32

    def __init__(self, keys: int, size: tuple[int, int], width: float = 0.5) -> None:
        super().__init__()
        self.width = width
        self.net = CueMatting(features=7, candidates=1, width=width)
        # Unlike the cue networks it has to learn its own answer from nothing: that comes first.
        assert self.net.answer.bias is not None
        self.net.answer.bias.data[1] = 0.0
        self.register_buffer("looks", torch.zeros(keys, 3, *LOOK))
        self.register_buffer("mattes", torch.zeros(keys, 1, *size))
        self.register_buffer("settings", torch.tensor([width]))

    def remember(self, plates: Tensor, mattes: Tensor) -> None:
        """Keep these keys. plates: (K, 3, H, W) 0..1; mattes: (K, 1, H, W) 0..1."""
        self.looks.copy_(look(plates))  # type: ignore[operator]
        size = self.mattes.shape[-2:]  # type: ignore[union-attr]
        self.mattes.copy_(functional.interpolate(mattes, size=size, mode="area"))  # type: ignore[operator]

    def recall(self, plate: Tensor) -> Tensor:
        """The first matte of a plate (1, 3, H, W), at the size it was kept in: (1, 1, h, w).

        Keys are weighed by how like the plate they are, so that the guess does not jump between
        two of them.
        """
        looks: Tensor = self.looks.float()  # type: ignore[operator, union-attr, assignment]
        mattes: Tensor = self.mattes.float()  # type: ignore[operator, union-attr, assignment]
        away = (look(plate.float()) - looks).square().mean((1, 2, 3))
        shares = torch.softmax(-away / (0.25 * away.min() + 0.1 * away.mean() + 1e-6), 0)
        return (shares[:, None, None, None] * mattes).sum(0, keepdim=True).to(plate)

    def forward(self, plate: Tensor, first: Tensor) -> Tensor:
        """Alpha (N, 1, H, W). plate: (N, 3, H, W), 0..1. first: (N, 1, H, W), a first matte."""
        small = functional.avg_pool2d(first, 16, 16)
        wide = functional.interpolate(
            functional.avg_pool2d(small, 3, 1, 1, count_include_pad=False), size=first.shape[-2:],
            mode="bilinear", align_corners=False,
        )  # fmt: skip
        doubt = 1 - (2 * wide - 1).abs()
        features = torch.cat((plate * 2 - 1, first, wide, doubt, (first - wide).abs()), 1)
        answer: Tensor = self.net(features, first)
        return answer


def look(plates: Tensor) -> Tensor:
    """Thumbnails (N, 3, 18, 32) of plates."""
    return functional.interpolate(plates, size=LOOK, mode="area")
