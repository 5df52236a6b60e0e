# SPDX-License-Identifier: Apache-2.0
"""MODNet (Ke et al. 2022): portraits, automatic, permissively licensed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.card import (
    Checkpoint,
    Knob,
    ModelCard,
    Source,
    Variant,
    Weights,
)
from matte_nodes.figures import Figure
from matte_nodes.models.shipped import MODNET
from matte_nodes.models.torch_model import torch_model

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.modnet import ARCHITECTURE

    return ARCHITECTURE


CARD = ModelCard(
    name="modnet",
    title="MODNet",
    summary="Portraits, automatic, each frame alone; its published weights are Apache-2.0.",
    load=torch_model(architecture, onnx="modnet"),
    architecture=architecture,
    subject="people",
    knobs=(
        Knob(
            "reference_size", "int", 0, low=0, high=2048, unit="px",
            help="Shorter side of what the network sees, at least 64. 0: as its weights were "
            "trained, which is 512 for the published ones.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/ZHKKKe/MODNet",
        "Apache-2.0, stated by the authors for code, models and demos",
        "yes",
        ("modnet_photographic_portrait_matting.ckpt", "modnet_webcam_portrait_matting.ckpt"),
        own=MODNET,
        variants=(
            Variant(
                "photographic",
                Weights(
                    file="modnet.photographic.onnx",
                    sha256="07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9",
                    size=25_888_640,
                    sources=(
                        Source(
                            "hub", "Xenova/modnet@fa2fa546052fba4c08921230a26cc69a333fca12",
                            "onnx/model.onnx",
                        ),
                        Source(
                            "url",
                            "https://github.com/Zeyi-Lin/HivisionIDPhotos/releases/download/"
                            "pretrained-model/modnet_photographic_portrait_matting.onnx",
                        ),
                    ),
                    licence="Apache-2.0, stated by the authors for code, models and demos",
                    commercial="yes",
                    publisher="https://github.com/ZHKKKe/MODNet",
                ),
                "portraits, the published weights as ONNX",
            ),
        ),
    ),
    auto={"people": 20},
    figures=(
        Figure("product", "IoU", 0.76, "15 photographs of things, alphamatting.com, no trimap"),
        Figure("people", "IoU", 0.853, "21 portraits and frames of videos, `rvm` as the truth"),
        Figure("live", "seconds", 0.27, "21 pictures of at most 512 pixels, one busy core"),
    ),
    training_data="published weights: PPM-100-like portraits and a private set; the authors do not list "
    "terms. Ours: 700 rendered people and 915 public-domain or CC0 photographs of people labelled "
    "by `selfie` and `closed-form-refined`, over free places; the encoder of our GFM to begin with, "
    "so ImageNet and rendered animals, too (docs/people.md)",
    papers=("Ke, Sun, Li, Yan, Lau: MODNet: Real-Time Trimap-Free Portrait Matting via Objective "
            "Decomposition, AAAI 2022",),
    limits="People only; flickers in video (each frame is solved alone). Our own weights work "
    "at 256 pixels: hair is a smooth outline, groups are found in part (docs/people.md).",
)  # fmt: skip
