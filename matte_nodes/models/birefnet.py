# SPDX-License-Identifier: Apache-2.0
"""BiRefNet (Zheng et al. 2024): whatever the picture is of, automatic, MIT weights."""

from __future__ import annotations

from collections.abc import Mapping

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

# Round a segmentation: a fifth of the subject's side, as context; and what the node leaves of
# alpha outside a segmentation by default (24 pixels and their fade).
_CONTEXT = 0.2
_LEAST = 40
# sides that the dynamic weights were trained at
_SMALLEST, _LARGEST = 256, 2304


class BiRefNet:
    """The network on the plate, or on the square round a segmentation, at the size it knows."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.birefnet import BiRefNet as Network

        width = float(context.knobs["width"])
        self._network = TorchNetwork(context, "birefnet", lambda: Network.narrow(width))

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of what stands out; 0 outside the square round the segmentation, if there is one."""
        if inputs.segmentation is None:
            return Prediction(self._alpha(inputs, knobs)), {}
        alpha = np.zeros(inputs.plate.shape[:2], np.float32)
        box = subject_box(inputs.segmentation, _CONTEXT, _LEAST)
        if box is not None:
            plate = np.ascontiguousarray(inputs.plate[box])
            alpha[box] = self._alpha(Inputs(plate), knobs)
        return Prediction(alpha), {}

    def _alpha(self, inputs: Inputs, knobs: Mapping[str, KnobValue]) -> np.ndarray:
        from matte_nodes.models.networks.blocks import imagenet

        height, width = inputs.plate.shape[:2]
        small = resized(inputs.plate, self._size(str(knobs["size"]), height, width))
        logits = self._network(imagenet(self._network.tensor(small)))
        return resized(array(logits.float().sigmoid()), (height, width)).clip(0, 1)

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
