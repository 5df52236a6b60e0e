# SPDX-License-Identifier: Apache-2.0
"""A third party's model in one file: alpha is how much brighter a pixel is than the frame before.

It is recurrent, takes a segmentation, has a knob and an extra: the worked example of
docs/adding-a-model.md, and the test double of the suite.
"""

import numpy as np

from matte_nodes import Inputs, Knob, LoadContext, Memory, ModelCard, Prediction, Recurrent


class Toy:
    def __init__(self, context: LoadContext) -> None:
        del context

    def step(self, inputs: Inputs, memory: Memory, knobs):
        luma = inputs.plate.mean(axis=2)
        before = memory.get("luma", luma)
        if before.shape != luma.shape:
            raise RuntimeError("memory of another size")
        kept = np.float32(knobs["hold"]) * before + np.float32(1 - knobs["hold"]) * luma
        alpha = np.clip(kept * 1.5, 0, 1).astype(np.float32)
        if inputs.segmentation is not None:
            alpha = alpha * inputs.segmentation
        return Prediction(alpha, extras={"motion": np.abs(luma - before)}), {"luma": kept}


CARD = ModelCard(
    name="toy",
    title="Toy",
    summary="Luma, held in time.",
    load=Toy,
    takes=frozenset({"segmentation"}),
    memory=Recurrent(),
    extras=("motion",),
    knobs=(
        Knob("hold", "float", 0.5, low=0.0, high=0.99, help="How much of the past is kept.",
             aliases=("keep",)),
    ),
    code_licence="MIT",
)  # fmt: skip
