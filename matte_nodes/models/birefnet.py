# SPDX-License-Identifier: Apache-2.0
"""BiRefNet (Zheng et al. 2024): whatever the picture is of, automatic, MIT weights."""

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
from matte_nodes.media.resize import resized
from matte_nodes.models.background_matting import subject_box
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

# Round a segmentation: a fifth of the subject's side, as context; and what the node leaves of
# alpha outside a segmentation by default (24 pixels and their fade).
_CONTEXT = 0.2
_LEAST = 40
# sides that the dynamic weights were trained at
_SMALLEST, _LARGEST = 256, 2304


def architecture() -> Architecture:
    """The declaration of its network; this imports torch."""
    from matte_nodes.models.networks.birefnet import ARCHITECTURE

    return ARCHITECTURE


class BiRefNet:
    """The network on the plate, or on the square round a segmentation, at the size it knows."""

    def __init__(self, context: LoadContext) -> None:
        self._network = TorchNetwork(context, architecture())

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of what stands out; 0 outside the square round the segmentation, if there is one."""
        if inputs.segmentation is None:
            return Prediction(self._alpha(inputs.plate, knobs)), {}
        alpha = np.zeros(inputs.plate.shape[:2], np.float32)
        box = subject_box(inputs.segmentation, _CONTEXT, _LEAST)
        if box is not None:
            alpha[box] = self._alpha(np.ascontiguousarray(inputs.plate[box]), knobs)
        return Prediction(alpha), {}

    def _alpha(self, plate: Float, knobs: Mapping[str, KnobValue]) -> Float:
        """(H, W) alpha of a plate (H, W, 3), at the plate's size."""
        height, width = plate.shape[:2]
        small = resized(plate, self._size(str(knobs["size"]), height, width))
        found = self._network.decoded(self._network.pixels(small))["alpha"]
        return resized(array(found), (height, width)).clip(0, 1)

    def _size(self, asked: str, height: int, width: int) -> tuple[int, int]:
        """What the network sees: a square, or the plate's own size in steps of 32."""
        trained = int(getattr(self._network.network, "size", 1024))
        side = {"auto": trained, "plate": 0}.get(asked)
        side = int(asked) if side is None else side
        if side:
            return side, side
        scale = min(max(1.0, _SMALLEST / min(height, width)), _LARGEST / max(height, width))
        return _sides(height * scale), _sides(width * scale)


def _sides(length: float) -> int:
    return max(_SMALLEST, round(length / 32) * 32)


CARD = ModelCard(
    name="birefnet",
    title="BiRefNet",
    summary="Anything that stands out, automatic, fine edges; the weights are MIT.",
    load=BiRefNet,
    architecture=architecture,
    takes=frozenset({"segmentation"}),
    knobs=(
        WIDTH,
        Knob(
            "size", "choice", "auto", choices=("auto", "plate", "256", "512", "1024", "2048"),
            help="What the network sees: the plate squeezed to a square of this side, or the plate "
            "at its own size. Auto is what the weights were trained for: 1024, 2048 for HR "
            "weights, the plate's size for dynamic weights.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://huggingface.co/ZhengPeng7 (BiRefNet, BiRefNet_lite, BiRefNet-matting, "
        "BiRefNet_lite-matting, BiRefNet_HR, BiRefNet_HR-matting, BiRefNet_dynamic, "
        "BiRefNet_dynamic-matting, BiRefNet-portrait)",
        "MIT, stated by the authors for code and weights",
        "yes",
        ("model.safetensors",),
    ),
    training_data="Matting weights: P3M-10k, TR-humans, AM-2k, AIM-500, Human-2k, "
    "Distinctions-646, HIM2K, PPM-100. General weights: DIS5K, DUTS, HRSOD, UHRSD, HRS10K, "
    "P3M-10k, TR-humans. Several of these sets are for research only or state no terms; the "
    "authors publish the weights under MIT all the same",
    papers=("Zheng, Gao, Fan, Liu, Laaksonen, Ouyang, Sebe: Bilateral Reference for "
            "High-Resolution Dichotomous Image Segmentation, CAAI Artificial Intelligence "
            "Research 2024",),
    limits="It chooses what stands out: give a segmentation where there are several things. In "
    "video each frame is solved alone and it flickers. Slow without a card.",
)  # fmt: skip
