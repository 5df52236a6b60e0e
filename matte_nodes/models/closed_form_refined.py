# SPDX-License-Identifier: Apache-2.0
"""Closed-form matting, then the small trimap network that has learnt where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from . import closed_form
from .cue_network import CueNetwork, matted
from .deep_image_matting_small import PAPERS, TRAINING_DATA
from .shipped import TRIMAP


class ClosedFormRefined:
    """The closed-form alpha is one more channel of the network, and one of its offers."""

    def __init__(self, context: LoadContext) -> None:
        self._first = closed_form.ClosedForm(context)
        self._network = CueNetwork(context, TRIMAP.file, "trimap")

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the unknown part."""
        assert inputs.trimap is not None  # declared in `needs`; the node has seen to it
        coarse = self._first.step(inputs, memory, knobs)[0].alpha
        return Prediction(matted(self._network, inputs.plate, inputs.trimap, coarse)), {}


CARD = ModelCard(
    name="closed-form-refined",
    title="Closed form, refined",
    summary="Any subject from a trimap: closed-form matting corrected by a shipped network.",
    load=ClosedFormRefined,
    needs=frozenset({"trimap"}),
    packages=closed_form.CARD.packages,
    wants_scene=True,
    knobs=closed_form.CARD.knobs,
    weights=(TRIMAP,),
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    training_data=TRAINING_DATA,
    papers=(*closed_form.CARD.papers, *PAPERS),
    limits="Closed form's time and a third more; each frame is solved alone.",
)  # fmt: skip
