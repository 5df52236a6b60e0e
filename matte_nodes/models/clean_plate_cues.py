# SPDX-License-Identifier: Apache-2.0
"""Clean-plate cues: a small network of this project on plate and clean plate; shipped.

It is not the network of a paper. It weighs the differences between the two pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.figures import Figure
from matte_nodes.models.cue_network import CueNetwork
from matte_nodes.models.shipped import PLATE

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.cue_matting import CLEAN_PLATE_ARCHITECTURE

    return CLEAN_PLATE_ARCHITECTURE


class CleanPlateCues:
    """Plate and clean plate, and a rough segmentation where there is one, to alpha."""

    def __init__(self, context: LoadContext) -> None:
        self._network = CueNetwork(context, architecture(), PLATE.file)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of the whole picture."""
        assert inputs.background is not None  # declared in `needs`; the node has seen to it
        rough = inputs.segmentation
        given = np.full(inputs.plate.shape[:2], -1, np.float32) if rough is None else rough
        planes = np.dstack((inputs.plate, inputs.background, given)).astype(np.float32)
        return Prediction(self._network(planes)), {}


CARD = ModelCard(
    name="clean-plate-cues",
    old_names=("background-matting-small",),
    title="Clean-plate cues",
    summary="Any subject before a known place, from a clean plate: a small network of this project, "
    "shipped.",
    load=CleanPlateCues,
    architecture=architecture,
    needs=frozenset({"background"}),
    takes=frozenset({"segmentation"}),
    weights=(PLATE,),
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    auto={"background": 30, "finetune": 20},
    figures=(
        Figure("clean-plate", "SAD/1000", 7.9, "15 cut-outs over photographs, imperfect plates"),
    ),
    training_data="2,936 composites of procedural foregrounds and 700 rendered people over procedural and free "
    "pictures, each with an imperfect clean plate: gain, gamma, noise, a shift, a shadow (docs/train.md)",
    papers=(
        "Sengupta, Jayaram, Curless, Seitz, Kemelmacher-Shlizerman: Background Matting: The "
        "World is Your Green Screen, CVPR 2020",
    ),
    limits="Not the network of Background Matting's paper, as its old name said. A clean plate from the same place (align_background helps a hand-held camera); where "
    "subject and background have one colour only the segmentation and the surroundings tell.",
)
