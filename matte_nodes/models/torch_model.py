# SPDX-License-Identifier: Apache-2.0
"""A model whose whole step follows from its architecture: most torch networks need no other code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, Model, Prediction
from matte_nodes.media.resize import resized
from matte_nodes.models.onnx_checkpoint import is_onnx, open_family
from matte_nodes.models.torch_network import TorchNetwork, array, trained_side

if TYPE_CHECKING:
    from torch import Tensor

    from matte_nodes.architecture import Architecture, Role
    from matte_nodes.card import Float

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in the grey of a neighbouring plate."""


def torch_model(
    architecture: Callable[[], Architecture], file: str = "", *, onnx: str = ""
) -> Callable[[LoadContext], Model]:
    """Return the `load` of a card: it runs the network as its architecture declares.

    architecture: as in `ModelCard.architecture`. file: which of the card's weights files is the
    network's. "": the checkpoint that the user imported. onnx: the name of the card, when ONNX
    files of its family are published; such a checkpoint runs in onnxruntime.
    """

    def load(context: LoadContext) -> Model:
        if onnx and context.checkpoint is not None and is_onnx(context.checkpoint):
            return open_family(context, context.checkpoint, onnx)
        return TorchModel(context, architecture(), file)

    return load


class TorchModel:
    """A network without memory: pictures at its size, encoded, called, decoded, at the plate's size."""

    def __init__(self, context: LoadContext, architecture: Architecture, file: str = "") -> None:
        self.network = TorchNetwork(context, architecture, context.weights.get(file))
        self._side = trained_side(context.checkpoint)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha 0..1, and the foreground and the extras that the architecture decodes."""
        declared = self.network.architecture
        height, width = inputs.plate.shape[:2]
        knob = declared.size.knob
        if knob and self._side and not int(knobs[knob]):
            knobs = {**knobs, knob: self._side}
        size = declared.size.of(height, width, knobs, declared.multiple)
        pictures = [self._tensor(role, inputs, size) for role in declared.inputs]
        answer = self.network.decoded(*pictures, **declared.call(knobs))
        found = {
            name: resized(array(tensor[..., : size[0], : size[1]]), (height, width))
            for name, tensor in answer.items()
        }
        alpha, foreground = found.pop("alpha").clip(0, 1), found.pop("foreground", None)
        if foreground is not None:
            foreground = foreground.clip(0, 1)
        return Prediction(alpha, foreground, found), {}

    def _tensor(self, role: Role, inputs: Inputs, size: tuple[int, int]) -> Tensor:
        """Return a picture at the network's size, padded to its multiple."""
        sized = resized(picture(role, inputs), size)
        if role == "trimap" and sized.shape != inputs.plate.shape[:2]:
            # Mixed values are of unknown pixels too.
            sized = np.where((sized > 0) & (sized < 1), np.float32(0.5), sized)
        multiple = self.network.architecture.multiple
        pad = [(0, -side % multiple) for side in size]
        if any(after for _, after in pad):
            sized = np.pad(sized, [*pad, (0, 0)][: sized.ndim], mode="edge")
        return self.network.pixels(sized)


def picture(role: Role, inputs: Inputs) -> Float:
    """Return one input of a step, (H, W) or (H, W, C). role: "plate", "trimap" and so on."""
    if role == "motion":
        grey = [neighbour @ GREY for neighbour in inputs.neighbours]
        return np.stack(grey, axis=2)
    found: Float | None = getattr(inputs, role)
    assert found is not None, f"the card does not declare {role!r} in `needs`"
    return found
