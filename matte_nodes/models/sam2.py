# SPDX-License-Identifier: Apache-2.0
"""SAM 2.1 (Ravi et al. 2024): a subject selected by clicks, and followed by a memory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Bank,
    Checkpoint,
    LoadContext,
    Model,
    ModelCard,
    Source,
    Weights,
)
from matte_nodes.models.edgetam import SIDE
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture

FILE = "sam2.1-hiera-base-plus.safetensors"
_REVISION = "b7320756a13354e7530a63935656d35b2f91a290"


def architecture() -> Architecture:
    """The declaration of its network; this imports torch."""
    from matte_nodes.models.networks.video_segmenters import SAM2

    return SAM2


def _load(context: LoadContext) -> Model:
    from matte_nodes.models.segmenter import VideoSegmenterModel

    return VideoSegmenterModel(context, architecture(), FILE)


CARD = ModelCard(
    name="sam2",
    title="SAM 2.1",
    summary="Selects a subject by clicks or a box and follows it by a large video network.",
    load=_load,
    architecture=architecture,
    needs=frozenset({"points"}),
    takes=frozenset({"segmentation", "trimap"}),
    memory=Bank(),
    knobs=(WIDTH, SIDE),
    packages=("transformers",),
    auto={"points": 3},
    coarse=True,
    weights=(
        Weights(
            FILE,
            "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
            323_476_296,
            (
                Source(
                    "url",
                    "https://huggingface.co/facebook/sam2.1-hiera-base-plus/resolve/"
                    f"{_REVISION}/model.safetensors",
                ),
            ),
            "Apache-2.0",
            "yes",
            "https://huggingface.co/facebook/sam2.1-hiera-base-plus",
        ),
    ),
    checkpoint=Checkpoint(
        "https://huggingface.co/facebook (sam2.1-hiera-tiny, -small, -base-plus, -large)",
        "Apache-2.0",
        "yes",
        ("model.safetensors",),
        optional=True,
    ),
    training_data="SA-1B (Meta's research licence) and SA-V (CC BY 4.0)",
    papers=("Ravi, Gabeur, Hu, Hu, Ryali, Ma, Khedr, Rädle, Rolland, Gustafson, Mintun, Pan, "
            "Alwala, Carion, Wu, Girshick, Dollár, Feichtenhofer: SAM 2: Segment Anything in Images "
            "and Videos, ICLR 2025",),
    limits="A coarse mask at a quarter of 1024 pixels: refine its edge by a trimap model. Slow "
    "without a graphics card.",
)  # fmt: skip
