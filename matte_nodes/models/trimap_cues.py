# SPDX-License-Identifier: Apache-2.0
"""Trimap cues: a small network of this project on what a trimap already tells; shipped.

It is not the network of a paper. It weighs likely colours, distances and projected alphas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.figures import Figure
from matte_nodes.models.cue_network import CueNetwork, matted
from matte_nodes.models.shipped import TRIMAP

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture

TRAINING_DATA = (
    "5,248 procedural foregrounds with exact alpha (hair, fur, foliage, mesh, glass, smoke, holes, "
    "plain shaded things, things carried and behind mesh) over procedural textures and "
    "free pictures: samples of scikit-image and "
    "scikit-learn, wallpapers of Debian packages under CC0, CC-BY and CC-BY-SA (docs/train.md)"
)
PAPERS = (
    "Xu, Price, Cohen, Huang: Deep Image Matting, CVPR 2017",
    "Cai et al.: Disentangled Image Matting, ICCV 2019",
    "Gastal, Oliveira: Shared Sampling for Real-Time Alpha Matting, Eurographics 2010",
)


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.cue_matting import TRIMAP_ARCHITECTURE

    return TRIMAP_ARCHITECTURE


class TrimapCues:
    """Encoder, decoder and refinement on a trimap's cues, 1.8 million parameters."""

    def __init__(self, context: LoadContext) -> None:
        self._network = CueNetwork(context, architecture(), TRIMAP.file)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of the unknown part."""
        assert inputs.trimap is not None  # declared in `needs`; the node has seen to it
        return Prediction(matted(self._network, inputs.plate, inputs.trimap)), {}


CARD = ModelCard(
    name="trimap-cues",
    old_names=("deep-image-matting-small",),
    title="Trimap cues",
    summary="Any subject from a trimap, in a fraction of closed form's time: a small network of this "
    "project, shipped.",
    load=TrimapCues,
    architecture=architecture,
    needs=frozenset({"trimap"}),
    weights=(TRIMAP,),
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    auto={"trimap": 50, "refine": 30, "finetune": 10},
    algorithm_version=2,
    figures=(
        Figure(
            "trimap",
            "SAD/1000",
            5.11,
            "15 photographs of alphamatting.com, trimap 1, unknown region",
        ),
        Figure(
            "hair", "SAD/1000", 5.11, "15 photographs of alphamatting.com, trimap 1, unknown region"
        ),
    ),
    training_data=TRAINING_DATA,
    papers=PAPERS,
    limits="Not the network of Deep Image Matting's paper, as its old name said. Trained for four hours on made pictures: wide unknown bands over busy backgrounds, and "
    "subjects whose unknown part has colours that the known part has not, come out grey or torn. "
    "`closed-form-refined` is slower and better. Each frame is solved alone.",
)
