# SPDX-License-Identifier: Apache-2.0
"""U2-Net in full (Qin et al. 2020): whatever stands out in a picture, 176 MB."""

from __future__ import annotations

from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.models.onnx_checkpoint import onnx_model

FILE = "u2net.onnx"

CARD = ModelCard(
    name="u2net",
    title="U2-Net",
    summary="Anything that stands out, automatic; a coarse mask: refine it by a chain.",
    load=onnx_model("u2net", FILE),
    fixed_size=(320, 320),
    algorithm_version=2,
    weights=(
        Weights(
            file=FILE,
            sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
            size=175_997_641,
            sources=(
                Source("url", f"https://github.com/danielgatis/rembg/releases/download/v0.0.0/{FILE}"),
            ),
            licence="Apache-2.0",
            commercial="yes",
            publisher="https://github.com/xuebinqin/U-2-Net",
        ),
    ),
    auto={"anything": 40},
    coarse=True,
    training_data="DUTS-TR (salient object masks from ImageNet and SUN pictures)",
    papers=("Qin et al.: U2-Net: Going Deeper with Nested U-Structure for Salient Object "
            "Detection, Pattern Recognition 2020",),
    limits="Always finds something; which of two things it finds may change between frames.",
)  # fmt: skip
