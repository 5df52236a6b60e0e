# SPDX-License-Identifier: Apache-2.0
"""Background Matting V2 (Lin et al. 2021): a clean plate, HD and 4K, refined where needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    Knob,
    ModelCard,
)
from matte_nodes.models.torch_model import torch_model

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.background_matting_v2 import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="background-matting-v2",
    title="Background Matting V2",
    summary="A subject before a clean plate of the same place: sharp at HD and 4K, MIT.",
    load=torch_model(architecture, onnx="background-matting-v2"),
    architecture=architecture,
    needs=frozenset({"background"}),
    predicts_foreground=True,
    subject="people",
    # Four times 1 / 0.25: sides must divide by 4 at the reduced size too.
    multiple=16,
    knobs=(
        Knob(
            "backbone", "choice", "mobilenetv2", choices=("mobilenetv2", "resnet50", "resnet101"),
            reload=True, help="Encoder of an untrained network; a checkpoint knows its own.",
        ),
        Knob(
            "backbone_scale", "float", 0.25, low=0.0625, high=1.0,
            help="Size of the first pass as a share of the plate: 0.25 for HD, 0.125 for 4K.",
        ),
        Knob(
            "refine_mode", "choice", "sampling", choices=("sampling", "full", "thresholding"),
            help="Which patches are done at full size: a number of the worst, all, or all whose "
            "error is high.",
        ),
        Knob(
            "refine_pixels", "int", 80_000, low=0, high=10_000_000, unit="px",
            help="With sampling: how many pixels are refined (80,000 for HD, 320,000 for 4K).",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/PeterL1n/BackgroundMattingV2/releases",
        "MIT; its author says commercial use is fine",
        "yes",
        ("pytorch_mobilenetv2.pth", "pytorch_resnet50.pth", "pytorch_resnet101.pth"),
    ),
    auto={"background": 10},
    training_data="VideoMatte240K, PhotoMatte13K (private), Distinctions-646, Adobe set",
    papers=("Lin et al.: Real-Time High-Resolution Background Matting, CVPR 2021",),
    limits="The clean plate must match: same camera place, same light, little shake.",
)  # fmt: skip
