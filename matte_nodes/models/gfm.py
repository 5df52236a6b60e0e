# SPDX-License-Identifier: Apache-2.0
"""GFM, Glance and Focus Matting (Li et al. 2020): animals and people, automatic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
from matte_nodes.figures import Figure
from matte_nodes.media.resize import resized
from matte_nodes.models.shipped import GFM as GFM_WEIGHTS
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array, trained_side

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

LONGEST = 1600
# Shares of the plate at which the two decoders look, as the authors report their results.
GLANCE, FOCUS = 1 / 3, 1 / 2


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.gfm import ARCHITECTURE

    return ARCHITECTURE


class GFM:
    """Glance says where background, foreground and transition are; focus solves the transition."""

    def __init__(self, context: LoadContext) -> None:
        self._network = TorchNetwork(context, architecture())
        self._trained = trained_side(context.checkpoint)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha by the hybrid-resolution strategy, or by one pass at half size."""
        plate = inputs.plate
        part = str(self._network.network.rosta)
        if part == "RIM":
            alpha = self._whole(plate, GLANCE)
        elif knobs["resolution"] == "half":
            alpha = self._whole(plate, FOCUS)
        else:
            alpha = self._hybrid(plate, part)
        return Prediction(np.clip(alpha, 0, 1, dtype=np.float32)), {}

    def _answer(self, plate: Float, share: float) -> Any:
        height, width = plate.shape[:2]
        if self._trained:
            # Our own weights saw small squares: a subject must not be larger than it was there.
            share = min(1.0, self._trained / min(height, width) * share / GLANCE)
        longest = max(height, width) * share
        share = share * min(1.0, LONGEST / longest)
        size = (_side(height * share), _side(width * share))
        return self._network.answer(self._network.pixels(resized(plate, size)))

    def _whole(self, plate: Float, share: float) -> Float:
        return resized(array(self._answer(plate, share).fusion), _size(plate))

    def _hybrid(self, plate: Float, part: str) -> Float:
        """The glance of a small copy decides, the focus of a larger one fills the transition."""
        size = _size(plate)
        glance = resized(array(self._answer(plate, GLANCE).answers[part].glance), size)
        focus = resized(array(self._answer(plate, FOCUS).answers[part].focus), size)
        index = glance.argmax(axis=2)
        if part == "TT":
            return np.where(index == 1, focus, (index == 2).astype(np.float32))
        if part == "BT":
            return np.asarray(np.maximum(index - focus, 0), np.float32)
        return np.asarray(np.minimum(1, index + focus), np.float32)


def _side(length: float) -> int:
    return max(32, int(length) // 32 * 32)


def _size(plate: Float) -> tuple[int, int]:
    return plate.shape[0], plate.shape[1]


CARD = ModelCard(
    name="gfm",
    title="GFM (Glance and Focus)",
    summary="Animals (and people), automatic: one decoder finds the subject, the other its fur.",
    load=GFM,
    architecture=architecture,
    subject="animals",
    knobs=(
        WIDTH,
        Knob(
            "backbone", "choice", "r34", choices=("r34", "r34_2b", "d121", "r101", "mobilenetv2"), reload=True,
            help="Encoder of an untrained network; a checkpoint knows its own.",
        ),
        Knob(
            "rosta", "choice", "TT", choices=("TT", "FT", "BT", "RIM"), reload=True,
            help="How the subject is represented; a checkpoint knows its own, FT against BT "
            "excepted.",
        ),
        Knob(
            "resolution", "choice", "hybrid", choices=("hybrid", "half"),
            help="hybrid: glance at a third, focus at half size (the authors' test); half: one "
            "pass.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/JizhiziLi/GFM", "MIT (repository; data agreements also titled MIT)",
        "unclear",
        ("GFM(d)-TT", "GFM(r)-TT", "GFM(r)-FT", "GFM(r)-BT", "GFM(r2b)-TT", "GFM(d)-RIM"),
        own=GFM_WEIGHTS,
    ),
    figures=(
        Figure("animals", "IoU", 0.947, "11 photographs of animals, `u2netp` as the truth"),
        Figure("people", "IoU", 0.839, "21 portraits and frames of videos, `rvm` as the truth"),
    ),
    training_data="published weights: AM-2k (2,000 animals) over BG-20k; research agreements. Ours: 250 rendered "
    "animals, 700 rendered people and 915 public-domain or CC0 photographs of people labelled by `selfie` and "
    "`closed-form-refined`, over free places; ImageNet for the encoder (docs/people.md)",
    papers=("Li, Zhang, Maybank, Tao: Bridging Composite and Real: Towards End-to-end Deep Image "
            "Matting, IJCV 2022",),
    limits="One subject that stands out; each frame alone. Our own weights (MobileNetV2, decoders of a quarter of "
    "the width, a short training) find animals and single people; they are weak on people who fill the picture "
    "in rows, and on audiences in the dark (docs/people.md).",
)  # fmt: skip
