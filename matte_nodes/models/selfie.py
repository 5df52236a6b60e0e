# SPDX-License-Identifier: Apache-2.0
"""MediaPipe selfie segmentation (Google 2021): people near a camera, 0.1 million parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    ModelCard,
    Source,
    Weights,
)
from matte_nodes.figures import Figure
from matte_nodes.models.torch_model import torch_model

FILE = "selfie_segmentation.tflite"
SIDE = 256

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.selfie import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="selfie",
    title="MediaPipe selfie",
    summary="People near a camera, automatic and very fast; a coarse mask: refine it by a chain.",
    load=torch_model(architecture, FILE),
    architecture=architecture,
    subject="people",
    # Stretched, not letterboxed: letterboxing costs 2 % of IoU (0.956 to 0.933 on 14 portraits).
    fixed_size=(SIDE, SIDE),
    algorithm_version=2,
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
    auto={"people": 30},
    coarse=True,
    figures=(
        Figure("product", "IoU", 0.824, "15 photographs of things, alphamatting.com, no trimap"),
        Figure("video", "dtSSD", 3.57, "10 frames of a man before a green screen, the key as truth"),
        Figure("people", "IoU", 0.877, "21 portraits and frames of videos, `rvm` as the truth"),
        Figure("live", "seconds", 0.03, "21 pictures of at most 512 pixels, one busy core"),
    ),
    training_data="Google's own pictures of consenting people (model card)",
    papers=("Howard et al.: Searching for MobileNetV3, ICCV 2019",
            "Google: MediaPipe Selfie Segmentation model card, 2021"),
    limits="A mask, not a matte: hair is blurred. For mattes: selfie, then a trimap model.",
)  # fmt: skip
