# SPDX-License-Identifier: Apache-2.0
"""AdaMatting (Cai et al. 2019): alpha and an adapted trimap from a rough trimap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    ModelCard,
)
from matte_nodes.figures import Figure
from matte_nodes.models.shipped import ADAMATTING
from matte_nodes.models.torch_model import torch_model
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.adamatting import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="adamatting",
    title="AdaMatting",
    summary="Any subject from a rough trimap: it corrects the trimap, then solves alpha.",
    load=torch_model(architecture),
    architecture=architecture,
    needs=frozenset({"trimap"}),
    extras=("adapted_trimap",),
    multiple=16,
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    knobs=(WIDTH,),
    checkpoint=Checkpoint(
        "", "no weights of the paper's network were ever published", "unclear", own=ADAMATTING
    ),
    auto={"trimap": 40},
    figures=(
        Figure(
            "trimap",
            "SAD/1000",
            6.46,
            "15 photographs of alphamatting.com, trimap 1, unknown region",
        ),
    ),
    training_data="Ours: 1,536 procedural composites with exact alpha over procedural textures and free "
    "photographs (docs/people.md)",
    papers=("Cai et al.: Disentangled Image Matting, ICCV 2019",),
    limits="Nobody published weights. Our own are of an eighth of the width, with cue channels that the "
    "paper does not have (docs/people.md).",
)
