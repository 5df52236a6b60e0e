# SPDX-License-Identifier: Apache-2.0
"""ViTMatte (Yao et al. 2024): any subject from a trimap, with a plain vision transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import (
    Checkpoint,
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
)
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array

if TYPE_CHECKING:
    from torch import Tensor


class ViTMatte:
    """The network on the whole picture; it pads to its own multiple of 32."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.vitmatte import ViTMatte as Network

        width = float(context.knobs["width"])
        self._network = TorchNetwork(context, "vitmatte", lambda: Network.narrow(width))

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha; where the trimap knows the answer, the node forces it."""
        return Prediction(array(self._network(self._picture(inputs, knobs)))), {}

    def _picture(self, inputs: Inputs, knobs: Mapping[str, KnobValue]) -> Tensor:
        """(1, 4, H, W): normalised RGB, and the trimap as 0, 0.5 and 1."""
        import torch

        from matte_nodes.models.networks.blocks import imagenet

        assert inputs.trimap is not None  # declared in `needs`; the node has seen to it
        known = (inputs.trimap == 0) | (inputs.trimap == 1)
        trimap = np.where(known, inputs.trimap, np.float32(0.5)).astype(np.float32)
        plate = self._network.tensor(inputs.plate)
        plate = imagenet(plate) if knobs["normalisation"] == "imagenet" else plate * 2 - 1
        return torch.cat((plate, self._network.tensor(trimap)), 1)


CARD = ModelCard(
    name="vitmatte",
    title="ViTMatte",
    summary="Any subject from a trimap: the strongest published edges and hair; weights unclear.",
    load=ViTMatte,
    needs=frozenset({"trimap"}),
    tileable=True,
    tile_overlap=256,
    tile_side=2048,
    knobs=(
        WIDTH,
        Knob(
            "normalisation", "choice", "imagenet", choices=("imagenet", "half"),
            help="How the plate is normalised: by ImageNet's mean and deviation as the authors "
            "do, or by 0.5 and 0.5 as the transformers library's preprocessor does. The weights "
            "are the same; compare both when edges look wrong.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://huggingface.co/hustvl (vitmatte-small-composition-1k, "
        "vitmatte-base-composition-1k, and -distinctions-646 of both); the authors' files: "
        "https://github.com/hustvl/ViTMatte",
        "unclear: the files are labelled MIT or Apache-2.0, but the weights were trained on a "
        "set for non-commercial research (Adobe Composition-1k), or on one without stated terms "
        "(Distinctions-646)",
        "unclear",
        ("model.safetensors", "ViTMatte_S_Com.pth", "ViTMatte_B_Com.pth"),
    ),
    training_data="Adobe Composition-1k (non-commercial research terms) or Distinctions-646 (no "
    "terms stated), composited over MS COCO; the encoder was first trained on ImageNet (DINO, MAE)",
    papers=("Yao, Wang, Yang, Wang: ViTMatte: Boosting Image Matting with Pre-trained Plain "
            "Vision Transformers, Information Fusion 2024",),
    limits="Follows its trimap. Large plates are worked in tiles, which see only their own part.",
)  # fmt: skip
