# SPDX-License-Identifier: Apache-2.0
"""Deep Image Matting (Xu, Price, Cohen, Huang 2017): a trimap network with refinement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    Knob,
    ModelCard,
)
from matte_nodes.figures import Figure
from matte_nodes.models.shipped import DEEP_IMAGE_MATTING
from matte_nodes.models.torch_model import torch_model
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.deep_image_matting import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="deep-image-matting",
    title="Deep Image Matting",
    summary="Any subject from a trimap: VGG-16 encoder, unpooling decoder, refinement stage.",
    load=torch_model(architecture),
    architecture=architecture,
    needs=frozenset({"trimap"}),
    multiple=32,
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    knobs=(
        WIDTH,
        Knob(
            "skip", "choice", "auto", choices=("auto", "yes", "no"), reload=True,
            help="Whether encoder maps are added in the decoder: some published weights were "
            "trained so, and their tensors do not tell; auto goes by the file's name.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/huochaitiantang/pytorch-deep-image-matting/releases (also mmagic's "
        "model zoo)",
        "trained on the Adobe Composition-1k set: non-commercial research only",
        "no",
        ("stage1_skip_sad_52.9.pth", "stage1_sad_54.4.pth"),
        own=DEEP_IMAGE_MATTING,
    ),
    auto={"trimap": 30},
    figures=(
        Figure(
            "trimap", "SAD/1000", 5.92,
            "15 photographs of alphamatting.com, trimap 1, unknown region",
        ),
    ),
    training_data="published weights: Adobe Composition-1k (431 foregrounds; non-commercial research "
    "terms). Ours: 1,536 procedural composites with exact alpha over procedural textures and free "
    "photographs (docs/people.md)",
    papers=("Xu, Price, Cohen, Huang: Deep Image Matting, CVPR 2017",),
    limits="Follows its trimap: wide unknown bands over busy backgrounds come out grey. Our own weights "
    "are of an eighth of the width, with cue channels that the paper does not have (docs/people.md).",
)  # fmt: skip
