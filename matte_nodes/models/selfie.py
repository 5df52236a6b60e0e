# SPDX-License-Identifier: Apache-2.0
"""MediaPipe selfie segmentation (Google 2021): people near a camera, 0.1 million parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from matte_nodes.card import (
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
    Source,
    Weights,
)
from matte_nodes.models.torch_network import TorchNetwork, array

FILE = "selfie_segmentation.tflite"
SIDE = 256


class Selfie:
    """Our own network with the tensors of the published file."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.selfie import Selfie as Network

        path = context.weights.get(FILE)
        self._network = TorchNetwork(replace(context, checkpoint=path), "selfie", Network)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """A soft mask of the people, 256 pixels fine."""
        return Prediction(array(self._network(self._network.tensor(inputs.plate))).clip(0, 1)), {}


CARD = ModelCard(
    name="selfie",
    title="MediaPipe selfie",
    summary="People near a camera, automatic and very fast; a coarse mask: refine it by a chain.",
    load=Selfie,
    subject="people",
    # Stretched, not letterboxed: letterboxing costs 2 % of IoU (0.956 to 0.933 on 14 portraits).
    fixed_size=(SIDE, SIDE),
    weights=(
        Weights(
            file=FILE,
            sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
            size=249_505,
            sources=(
                Source("wheel", "mediapipe==0.10.21",
                       "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"),
            ),
            licence="Apache-2.0 (Google's model card of 16 February 2021)",
            commercial="yes",
            publisher="https://ai.google.dev/edge/mediapipe",
        ),
    ),
    training_data="Google's own pictures of consenting people (model card)",
    papers=("Howard et al.: Searching for MobileNetV3, ICCV 2019",
            "Google: MediaPipe Selfie Segmentation model card, 2021"),
    limits="A mask, not a matte: hair is blurred. For mattes: selfie, then a trimap model.",
)  # fmt: skip
