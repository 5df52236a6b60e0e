# SPDX-License-Identifier: Apache-2.0
"""IS-Net (Qin et al. 2022): objects and products, automatic, at 1024 pixels."""

from __future__ import annotations

from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.figures import Figure
from matte_nodes.models.onnx_checkpoint import onnx_model

FILE = "isnet-general-use.onnx"

CARD = ModelCard(
    name="isnet",
    title="IS-Net (general use)",
    summary="Objects and products, automatic, at 1024 pixels; a sharp mask: refine soft edges.",
    load=onnx_model("isnet", FILE),
    fixed_size=(1024, 1024),
    algorithm_version=2,
    weights=(
        Weights(
            file=FILE,
            sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            size=178_648_008,
            sources=(
                Source("url", f"https://github.com/danielgatis/rembg/releases/download/v0.0.0/{FILE}"),
                Source(
                    "hub", "BritishWerewolf/IS-Net@9783722d9f964c0286a411e7e8e6fede947d5a53",
                    "onnx/model.onnx",
                ),
            ),
            licence="Apache-2.0",
            commercial="yes",
            publisher="https://github.com/xuebinqin/DIS",
        ),
    ),
    auto={"anything": 30},
    coarse=True,
    figures=(
        Figure("product", "maxF", 0.791, "DIS-VD", "the authors of BEN"),
    ),
    training_data="DIS5K (its own terms: research and education) and further pictures that its "
    "authors do not list",
    papers=("Qin, Dai, Hu, Fan, Shao, Van Gool: Highly Accurate Dichotomous Image Segmentation, "
            "ECCV 2022",),
    limits="Always finds something. Thin parts are kept, hair is cut hard. Each frame is solved alone.",
)  # fmt: skip
