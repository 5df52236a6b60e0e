# SPDX-License-Identifier: Apache-2.0
"""Deep Image Matting: Xu, Price, Cohen, Huang, CVPR 2017 (arXiv 1703.03872)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from matte_nodes.models.networks.blocks import base_channels, pool_indexed, unpool

# Convolutions of each VGG-16 stage, and its channels in units of the first stage's.
_STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


class DeepImageMattingOutput(NamedTuple):
    """Alphas (N, 1, H, W), 0..1: of the encoder-decoder, and refined (None without stage 3)."""

    alpha_stage1: Tensor
    alpha_refined: Tensor | None

    @property
    def alpha(self) -> Tensor:
        """The best one: refined where the network refines."""
        return self.alpha_stage1 if self.alpha_refined is None else self.alpha_refined


class DeepImageMatting(nn.Module):
    """VGG-16 encoder over colour and trimap, unpooling decoder, refinement stage.

    width: channel multiplier, 1.0 is the paper. skip: each encoder map is added to the unpooled
    map of its size (a published variant; the paper has none). conv6_kernel: 1 or 3 (published
    checkpoints have either). refine: the second network of the paper (stages 2 and 3).
    """

    multiple = 32

    def __init__(
        self,
        width: float = 1.0,
        skip: bool = False,
        conv6_kernel: int = 1,
        refine: bool = True,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.refine = refine
        base = base_channels(width, step=1)
        channels = 4
        for stage, (count, factor) in enumerate(_STAGES, 1):
            for index in range(1, count + 1):
                conv = nn.Conv2d(channels, factor * base, 3, padding=1)
                self.add_module(f"conv{stage}_{index}", conv)
                channels = factor * base
        self.conv6_1 = nn.Conv2d(channels, channels, conv6_kernel, padding=conv6_kernel // 2)
        self.deconv6_1 = nn.Conv2d(channels, channels, 1)
        for stage, factor in ((5, 8), (4, 4), (3, 2), (2, 1), (1, 1)):
            conv = nn.Conv2d(channels, factor * base, 5, padding=2)
            self.add_module(f"deconv{stage}_1", conv)
            channels = factor * base
        self.deconv1 = nn.Conv2d(channels, 1, 5, padding=2)
        if refine:
            self.refine_conv1 = nn.Conv2d(4, base, 3, padding=1)
            self.refine_conv2 = nn.Conv2d(base, base, 3, padding=1)
            self.refine_conv3 = nn.Conv2d(base, base, 3, padding=1)
            self.refine_pred = nn.Conv2d(base, 1, 3, padding=1)

    def _relu(self, name: str, x: Tensor) -> Tensor:
        return torch.relu(self.get_submodule(name)(x))

    def forward(self, x: Tensor) -> DeepImageMattingOutput:
        """x: (N, 4, H, W): RGB, ImageNet-normalised, and the trimap with 0, 128/255 and 1."""
        maps: list[Tensor] = []
        indices: list[Tensor] = []
        y = x
        for stage, (count, _) in enumerate(_STAGES, 1):
            for index in range(1, count + 1):
                y = self._relu(f"conv{stage}_{index}", y)
            maps.append(y)
            y, where = pool_indexed(y)
            indices.append(where)
        y = self._relu("deconv6_1", self._relu("conv6_1", y))
        for stage in (5, 4, 3, 2, 1):
            y = unpool(y, indices[stage - 1], maps[stage - 1])
            if self.skip:
                y = y + maps[stage - 1]
            y = self._relu(f"deconv{stage}_1", y)
        logits: Tensor = self.deconv1(y)
        coarse = torch.sigmoid(logits)
        if not self.refine:
            return DeepImageMattingOutput(coarse, None)
        y = torch.cat((x[:, :3], coarse), 1)
        for index in (1, 2, 3):
            y = self._relu(f"refine_conv{index}", y)
        return DeepImageMattingOutput(coarse, torch.sigmoid(logits + self.refine_pred(y)))
