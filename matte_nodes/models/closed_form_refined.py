# SPDX-License-Identifier: Apache-2.0
"""Closed-form matting, then the small trimap network that has learnt where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.figures import Figure
from matte_nodes.models import closed_form
from matte_nodes.models.cue_network import CueNetwork, matted
from matte_nodes.models.shipped import TRIMAP
from matte_nodes.models.trimap_cues import PAPERS, TRAINING_DATA, architecture

if TYPE_CHECKING:
    from matte_nodes.card import Float

WHITE = 1.02
"""Light up to here is white: OCIO's tables make 1.00002 of an 8-bit 255."""
REACH = 24
"""Pixels round light above 1 in which the network, which sees that light clipped, is not asked."""


class ClosedFormRefined:
    """The closed-form alpha is one more channel of the network, and one of its offers."""

    def __init__(self, context: LoadContext) -> None:
        self._first = closed_form.ClosedForm(context)
        self._network = CueNetwork(context, architecture(), TRIMAP.file)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of the unknown part."""
        assert inputs.trimap is not None  # declared in `needs`; the node has seen to it
        coarse = self._first.step(inputs, memory, knobs)[0].alpha
        refined = matted(self._network, inputs.plate, inputs.trimap, coarse)
        blind = clipped(inputs.scene)
        if blind is not None:
            refined += blind * (coarse - refined)
        return Prediction(refined), {}


def clipped(scene: Float | None) -> Float | None:
    """Return (H, W) float32: 1 at and near light above 1, fading to 0 over REACH pixels;

    None without any.

    scene: (H, W, 3) scene-linear, unbounded. To the network 6.0 and 1.0 are one white: an edge
    between 6.0 and 0.2 is white to a seventh of its width, and its alpha came out too high by 0.09.
    Closed form sees that light as it is.
    """
    if scene is None or scene.size == 0 or not scene.max() > WHITE:
        return None
    import cv2

    dim = (scene.max(axis=2) <= WHITE).astype(np.uint8)
    distance = cv2.distanceTransform(dim, cv2.DIST_L2, 5)
    return np.asarray(np.clip(2 - distance / REACH, 0, 1), np.float32)


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
    auto={"trimap": 10, "refine": 10},
    figures=(
        Figure(
            "trimap",
            "SAD/1000",
            4.49,
            "15 photographs of alphamatting.com, trimap 1, unknown region",
        ),
        Figure(
            "hair", "SAD/1000", 4.49, "15 photographs of alphamatting.com, trimap 1, unknown region"
        ),
    ),
    training_data=TRAINING_DATA,
    papers=(*closed_form.CARD.papers, *PAPERS),
    limits="Closed form's time and a fifth more; each frame is solved alone. Near light above 1, "
    "which the network cannot see, it is closed form.",
    algorithm_version=3,
)
