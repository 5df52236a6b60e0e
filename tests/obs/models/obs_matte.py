# SPDX-License-Identifier: Apache-2.0
"""A model whose matte is known: everything red, the left half, or one value everywhere."""

import time

import numpy as np

from matte_nodes import Inputs, Knob, LoadContext, Memory, ModelCard, Prediction


class Known:
    def __init__(self, context: LoadContext) -> None:
        del context

    def step(self, inputs: Inputs, memory: Memory, knobs):
        time.sleep(knobs["sleep_ms"] / 1000)
        plate = inputs.plate
        if knobs["mode"] == "red":
            alpha = np.clip((plate[..., 0] - plate[..., 1]) * 2, 0, 1)
        elif knobs["mode"] == "left":
            alpha = np.zeros(plate.shape[:2])
            alpha[:, : plate.shape[1] // 2] = 1
        elif knobs["mode"] == "room":  # what differs from the clean plate
            room = plate if inputs.background is None else inputs.background
            alpha = np.clip(np.abs(plate - room).max(axis=2) * 4, 0, 1)
        else:
            alpha = np.full(plate.shape[:2], knobs["alpha"])
        return Prediction(alpha.astype(np.float32)), {}


CARD = ModelCard(
    name="obs-test",
    title="Known mattes",
    summary="For tests of the OBS filter.",
    load=Known,
    takes=frozenset({"background"}),
    knobs=(
        Knob("mode", "choice", "red", "What is matted.", choices=("red", "left", "value", "room")),
        Knob("alpha", "float", 0.5, "The value.", low=0.0, high=1.0),
        Knob("sleep_ms", "int", 0, "How slow it is.", low=0, high=10000, unit="ms"),
    ),
)
