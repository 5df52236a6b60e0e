# SPDX-License-Identifier: Apache-2.0
"""ViTMatte (Yao et al. 2024): any subject from a trimap, with a plain vision transformer."""

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
from matte_nodes.models.torch_model import torch_model
from matte_nodes.models.torch_network import WIDTH

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.vitmatte import ARCHITECTURE

    return ARCHITECTURE


TERMS = (
    "unclear: the files are labelled MIT or Apache-2.0, but the weights were trained on a "
    "set for non-commercial research (Adobe Composition-1k), or on one without stated terms "
    "(Distinctions-646)"
)


CARD = ModelCard(
    name="vitmatte",
    title="ViTMatte",
    summary="Any subject from a trimap: the strongest published edges and hair; weights unclear.",
    load=torch_model(architecture, onnx="vitmatte"),
    architecture=architecture,
    needs=frozenset({"trimap"}),
    multiple=32,
    tileable=True,
    tile_overlap=256,
    tile_side=2048,
    knobs=(
        WIDTH,
        Knob(
            "normalisation", "choice", "auto", choices=("auto", "imagenet", "half"), reload=True,
            help="How the plate is normalised: by ImageNet's mean and deviation as the authors "
            "do, or by 0.5 and 0.5 as the transformers library's preprocessor does. The weights "
            "do not tell; compare both when edges look wrong. Auto: ImageNet, unless the import "
            "said otherwise.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://huggingface.co/hustvl (vitmatte-small-composition-1k, "
        "vitmatte-base-composition-1k, and -distinctions-646 of both); the authors' files: "
        "https://github.com/hustvl/ViTMatte",
        TERMS,
        "unclear",
        ("model.safetensors", "ViTMatte_S_Com.pth", "ViTMatte_B_Com.pth"),
        variants=(
            Variant(
                "small",
                Weights(
                    file="vitmatte.small.safetensors",
                    sha256="bda9289db1bb6762d978b42d1c62ae3f34daf7497171a347a1d09657efd788cb",
                    size=103_294_572,
                    sources=(
                        Source(
                            "hub",
                            "hustvl/vitmatte-small-composition-1k"
                            "@6a58ad7646403c1df626fbd746900aec7361ea1d",
                            "model.safetensors",
                        ),
                    ),
                    licence=TERMS,
                    commercial="unclear",
                    publisher="https://huggingface.co/hustvl/vitmatte-small-composition-1k",
                ),
                "ViTMatte-S, trained on Composition-1k",
            ),
        ),
    ),
    figures=(
        Figure("trimap", "SAD/1000", 21.46, "Composition-1k", "its authors", "small"),
        Figure("hair", "SAD/1000", 21.46, "Composition-1k", "its authors", "small"),
    ),
    training_data="Adobe Composition-1k (non-commercial research terms) or Distinctions-646 (no "
    "terms stated), composited over MS COCO; the encoder was first trained on ImageNet (DINO, MAE)",
    papers=("Yao, Wang, Yang, Wang: ViTMatte: Boosting Image Matting with Pre-trained Plain "
            "Vision Transformers, Information Fusion 2024",),
    limits="Follows its trimap. Large plates are worked in tiles, which see only their own part.",
)  # fmt: skip
