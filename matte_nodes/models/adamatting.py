# SPDX-License-Identifier: Apache-2.0
"""AdaMatting (Cai et al. 2019): alpha and an adapted trimap from a rough trimap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    ModelCard,
)
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
    checkpoint=Checkpoint("", "no weights of the paper's network were ever published", "unclear"),
    auto={"trimap": 40},
    training_data="none: untrained until a recipe or a user trains it",
    papers=("Cai et al.: Disentangled Image Matting, ICCV 2019",),
    limits="The paper's network without weights: train it, or bring your own.",
)
