# SPDX-License-Identifier: Apache-2.0
"""The classical colour-difference keyer (Vlahos): the control every model is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from matte_nodes.card import Inputs, Knob, KnobValue, LoadContext, Memory, ModelCard, Prediction


class GreenScreen:
    """Alpha from how far the screen's channel stands above the other two."""

    def __init__(self, context: LoadContext) -> None:
        del context

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """alpha = 1 - (key - max(other two)) / gain, between the clip points."""
        plate = inputs.plate
        key = 1 if knobs["screen"] == "green" else 2
        others = np.maximum(plate[..., 0], plate[..., 2 if key == 1 else 1])
        difference = plate[..., key] - others
        full = float(knobs["screen_level"])
        alpha = 1 - difference / np.float32(full)
        low, high = float(knobs["clip_black"]), float(knobs["clip_white"])
        alpha = (alpha - np.float32(low)) / np.float32(max(high - low, 1e-3))
        return Prediction(np.clip(alpha, 0, 1).astype(np.float32)), {}


CARD = ModelCard(
    name="green-screen",
    title="Green screen (colour difference)",
    summary="A plain keyer for green or blue screens, fast, no network.",
    load=GreenScreen,
    knobs=(
        Knob("screen", "choice", "green", choices=("green", "blue"), help="Colour of the screen."),
        Knob(
            "screen_level", "float", 0.3, low=0.02, high=1.0,
            help="Colour difference of the clean screen: at and above it alpha is 0.",
        ),
        Knob(
            "clip_black", "float", 0.0, low=0.0, high=0.95,
            help="Alpha at and below this becomes 0: cleans an uneven screen.",
        ),
        Knob(
            "clip_white", "float", 1.0, low=0.05, high=1.0,
            help="Alpha at and above this becomes 1: fills a subject that reflects the screen.",
        ),
    ),
    tileable=True,
    tile_side=4096,
    subject="screen",
    papers=("Vlahos: Comprehensive Electronic Compositing System, US patent 4100569, 1978",),
    limits="Needs an evenly lit screen; anything of the screen's colour becomes a hole.",
)  # fmt: skip
