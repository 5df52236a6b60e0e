# SPDX-License-Identifier: Apache-2.0
"""BEN2 (Prama 2025): objects and people, automatic, at 1024 pixels."""

from __future__ import annotations

from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.figures import Figure
from matte_nodes.models.onnx_checkpoint import onnx_model

FILE = "BEN2_Base.onnx"

CARD = ModelCard(
    name="ben2",
    title="BEN2 (base)",
    summary="Objects and people, automatic, at 1024 pixels; edges with some softness, MIT.",
    load=onnx_model("ben2", FILE),
    fixed_size=(1024, 1024),
    algorithm_version=2,
    weights=(
        Weights(
            file=FILE,
            sha256="22cea62108ff53b7ccc20f7a008bf30494228d84b1687f29ecbe76936a998101",
            size=222_932_053,
            sources=(
                Source("hub", "PramaLLC/BEN2@e48a20765fb421d19dcdb0bf3cc61e802ca5ec8f", FILE),
            ),
            licence="MIT",
            commercial="yes",
            publisher="https://huggingface.co/PramaLLC/BEN2",
        ),
    ),
    auto={"anything": 20},
    figures=(
        Figure("product", "maxF", 0.919, "DIS-VD", "the authors of BEN"),
    ),
    training_data="DIS5K (its own terms: research and education) and 22,000 private pictures",
    papers=("Meyer, Spruyt: BEN: Using Confidence-Guided Matting for Dichotomous Image "
            "Segmentation, 2025",),
    limits="It stretches its answer: a picture without a subject gives a matte of noise. Each frame "
    "is solved alone. Slow without a card.",
)  # fmt: skip
