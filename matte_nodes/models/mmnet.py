# SPDX-License-Identifier: Apache-2.0
"""MMNet (Seo et al. 2018): portraits on a phone, 0.19 million parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    Knob,
    ModelCard,
)
from matte_nodes.figures import Figure
from matte_nodes.models.shipped import MMNET
from matte_nodes.models.torch_model import torch_model
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.mmnet import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="mmnet",
    title="MMNet",
    summary="Portraits, automatic, on the slowest of machines: 256 or 128 pixels square.",
    load=torch_model(architecture),
    architecture=architecture,
    subject="people",
    knobs=(
        WIDTH,
        Knob(
            "network_size", "choice", "256", choices=("256", "128"), unit="px",
            help="Side of the square that the network sees.",
        ),
    ),
    checkpoint=Checkpoint(
        "", "no weights were published (code: hyperconnect/MMNet, Apache-2.0)", "unclear", own=MMNET
    ),
    figures=(
        Figure("people", "IoU", 0.691, "21 portraits and frames of videos, `rvm` as the truth"),
    ),
    training_data="ours: 700 rendered people and 915 public-domain or CC0 photographs of people labelled by "
    "`selfie` and `closed-form-refined`, over free places (docs/people.md)",
    papers=("Seo et al.: Towards Real-Time Automatic Portrait Matting on Mobile Devices, 2019",),
    limits="Portraits that fill the frame; edges are as fine as 256 pixels allow. Our weights saw 122,000 "
    "pictures: outlines are right on plain portraits, things behind people come along on busy ones, groups are "
    "found in part; `selfie` and `modnet` are better (docs/people.md).",
)  # fmt: skip
