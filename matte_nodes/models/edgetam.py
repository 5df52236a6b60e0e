# SPDX-License-Identifier: Apache-2.0
"""EdgeTAM (Zhou et al. 2025): a subject selected by clicks, and followed by a memory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import Bank, Checkpoint, Knob, LoadContext, Model, ModelCard
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture

SIDE = Knob(
    "side", "choice", "1024", choices=("1024", "768", "512", "256"), unit="px", reload=True,
    help="Side of the square picture that the network sees. The published weights were trained at "
    "1024; less is faster and coarser.",
)  # fmt: skip


def architecture() -> Architecture:
    """The declaration of its network; this imports torch."""
    from matte_nodes.models.networks.video_segmenters import EDGETAM

    return EDGETAM


def _load(context: LoadContext) -> Model:
    from matte_nodes.models.segmenter import VideoSegmenterModel

    return VideoSegmenterModel(context, architecture())


CARD = ModelCard(
    name="edgetam",
    title="EdgeTAM",
    summary="Selects a subject by clicks or a box and follows it by a small video network.",
    load=_load,
    architecture=architecture,
    needs=frozenset({"points"}),
    takes=frozenset({"segmentation", "trimap"}),
    memory=Bank(),
    algorithm_version=2,
    knobs=(WIDTH, SIDE),
    packages=("transformers",),
    auto={"points": 5},
    coarse=True,
    checkpoint=Checkpoint(
        "https://huggingface.co/yonigozlan/EdgeTAM-hf",
        "Apache-2.0",
        "yes",
        ("model.safetensors",),
    ),
    training_data="SA-1B (Meta's research licence) and SA-V (CC BY 4.0)",
    papers=("Zhou, Zhu, Xiong, Suri, Xiao, Wu, Krishnamoorthi, Dai, Loy, Chandra, Soran: EdgeTAM: "
            "On-Device Track Anything Model, CVPR 2025",),
    limits="A coarse mask at a quarter of 1024 pixels: refine its edge by a trimap model.",
)  # fmt: skip
