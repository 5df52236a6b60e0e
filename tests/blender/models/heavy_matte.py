# SPDX-License-Identifier: Apache-2.0
"""A third party's model for the tests whose small weights must be fetched, under terms of its own."""

import hashlib

import numpy as np

from matte_nodes import Inputs, LoadContext, Memory, ModelCard, Prediction, Still
from matte_nodes.card import Weights

DATA = b"weights of a test"
FILE = "heavy-of-the-tests.bin"


class Heavy:
    def __init__(self, context: LoadContext) -> None:
        self.level = len(context.weights[FILE].read_bytes()) / 20

    def step(self, inputs: Inputs, memory: Memory, knobs):
        return Prediction(np.full(inputs.plate.shape[:2], self.level, np.float32)), {}


CARD = ModelCard(
    name="heavy",
    title="Heavy",
    summary="A plain grey, as its weights say.",
    load=Heavy,
    memory=Still(),
    weights=(
        Weights(FILE, hashlib.sha256(DATA).hexdigest(), len(DATA), (), "For tests alone", "no"),
    ),
    code_licence="MIT",
)
