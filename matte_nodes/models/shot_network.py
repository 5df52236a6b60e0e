# SPDX-License-Identifier: Apache-2.0
"""The model that `matte finetune` makes from nothing but key frames.

It has no weights of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.models.finetuned import SHOT_FILE
from matte_nodes.models.torch_network import TorchNetwork

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.models.networks.shot_matting import ShotMatting

MULTIPLE = 32


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.shot_matting import ARCHITECTURE

    return ARCHITECTURE


class ShotNetwork:
    """A `ShotMatting` network from its file: the keys in it are its first guess."""

    def __init__(self, context: LoadContext) -> None:
        self.network = TorchNetwork(context, architecture(), context.weights[SHOT_FILE])

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of the whole picture.

        A segmentation, where there is one, is the first guess.
        """
        import torch
        from torch.nn import functional

        height, width = inputs.plate.shape[:2]
        pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        plate = self.network.tensor(inputs.plate)
        if inputs.segmentation is None:
            shot: ShotMatting = self.network.network  # type: ignore[assignment]
            with torch.inference_mode():
                first = functional.interpolate(
                    shot.recall(plate), size=(height, width), mode="bilinear", align_corners=False
                )
        else:
            first = self.network.tensor(inputs.segmentation)
        padded = (functional.pad(t, pad, mode="replicate") for t in (plate, first))
        alpha = self.network(*padded)[0, 0, :height, :width].float().cpu().numpy()
        return Prediction(np.ascontiguousarray(alpha.clip(0, 1), np.float32)), {}


BASE = ModelCard(
    name="shot",
    title="Shot network",
    summary="Made for one shot from a few key mattes; it knows nothing else.",
    load=ShotNetwork,
    architecture=architecture,
    takes=frozenset({"segmentation"}),
    multiple=1,
    papers=("Xu, Price, Cohen, Huang: Deep Image Matting, CVPR 2017",),
    limits="For the shot it was made for, and what looks like it.",
)
