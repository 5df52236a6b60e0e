# SPDX-License-Identifier: Apache-2.0
"""A third party's model for the tests: alpha is how far a pixel is from the clean plate."""

import numpy as np

from matte_nodes import Inputs, Knob, LoadContext, Memory, ModelCard, Prediction, Still


class Clean:
    def __init__(self, context: LoadContext) -> None:
        del context

    def step(self, inputs: Inputs, memory: Memory, knobs):
        away = np.abs(inputs.plate - inputs.background).max(-1)
        return Prediction(np.clip(away * np.float32(knobs["strength"]), 0, 1)), {}


CARD = ModelCard(
    name="clean",
    title="Clean plate",
    summary="Difference from a clean plate.",
    load=Clean,
    needs=frozenset({"background"}),
    memory=Still(),
    knobs=(
        Knob("strength", "float", 2.0, low=0.1, high=10.0, help="Difference that is solid.",
             aliases=("gain",)),
        Knob("passes", "int", 1, low=1, high=4, help="Not used."),
        Knob("invert", "bool", False, help="Not used."),
        Knob("mode", "choice", "plain", choices=("plain", "soft"), help="Not used."),
        Knob("words", "text", "", help="Not used."),
    ),
    code_licence="MIT",
)  # fmt: skip
