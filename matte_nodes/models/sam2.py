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
    Variant,
    Weights,
)
from matte_nodes.models.edgetam import SIDE
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """The declaration of its network; this imports torch."""
    from matte_nodes.models.networks.video_segmenters import SAM2

    return SAM2


def _load(context: LoadContext) -> Model:
    from matte_nodes.models.segmenter import VideoSegmenterModel

    return VideoSegmenterModel(context, architecture())


CARD = ModelCard(
    name="sam2",
    title="SAM 2.1",
    summary="Selects a subject by clicks or a box and follows it by a large video network.",
    load=_load,
    architecture=architecture,
    needs=frozenset({"points"}),
    takes=frozenset({"segmentation", "trimap"}),
    memory=Bank(),
    algorithm_version=2,
    knobs=(WIDTH, SIDE),
    packages=("transformers",),
    auto={"points": 3},
    coarse=True,
    checkpoint=Checkpoint(
        "https://huggingface.co/facebook (sam2.1-hiera-tiny, -small, -base-plus, -large)",
        "Apache-2.0",
        "yes",
        ("model.safetensors",),
        variants=(
            Variant(
                "base-plus",
                Weights(
                    file="sam2.base-plus.safetensors",
                    sha256="2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780",
                    size=323_476_296,
                    sources=(
                        Source(
                            "hub",
                            "facebook/sam2.1-hiera-base-plus"
                            "@b7320756a13354e7530a63935656d35b2f91a290",
                            "model.safetensors",
                        ),
                    ),
                    licence="Apache-2.0",
                    commercial="yes",
                    publisher="https://huggingface.co/facebook/sam2.1-hiera-base-plus",
                ),
                "SAM 2.1 with 81 million parameters",
            ),
        ),
    ),
    training_data="SA-1B (Meta's research licence) and SA-V (CC BY 4.0)",
    papers=("Ravi, Gabeur, Hu, Hu, Ryali, Ma, Khedr, Rädle, Rolland, Gustafson, Mintun, Pan, "
            "Alwala, Carion, Wu, Girshick, Dollár, Feichtenhofer: SAM 2: Segment Anything in Images "
            "and Videos, ICLR 2025",),
    limits="A coarse mask at a quarter of 1024 pixels: refine its edge by a trimap model. Slow "
    "without a graphics card.",
)  # fmt: skip
