# SPDX-License-Identifier: Apache-2.0
"""The model that `matte finetune` makes from nothing but key frames. It has no weights of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.errors import DeviceError, WeightsError
from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from matte_nodes.models.networks.shot_matting import ShotMatting

FILE = "shot.safetensors"
MULTIPLE = 32


class ShotNetwork:
    """A `ShotMatting` network from its file: the keys in it are its first guess."""

    def __init__(self, context: LoadContext) -> None:
        import torch

        if context.half and context.device.kind == "cpu":
            raise DeviceError("Half precision is for cards: on the CPU it is slower, not faster.")
        self.threads = context.threads
        network = read(context.weights[FILE])
        self._torch = torch
        self._dtype = torch.float16 if context.half else torch.float32
        try:
            self._device = torch.device(context.device.torch)
            self._network = network.eval().to(self._device, self._dtype)
        except (RuntimeError, AssertionError) as error:
            raise DeviceError(f"torch cannot use {context.device}: {error}") from error

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the whole picture; a segmentation, where there is one, is the first guess."""
        torch = self._torch
        use_threads(self.threads)
        height, width = inputs.plate.shape[:2]
        plate = torch.from_numpy(np.ascontiguousarray(inputs.plate, np.float32))
        plate = plate.permute(2, 0, 1)[None].to(self._device, self._dtype)
        with torch.inference_mode():
            if inputs.segmentation is None:
                first = self._network.recall(plate)
                first = torch.nn.functional.interpolate(
                    first, size=(height, width), mode="bilinear", align_corners=False
                )
            else:
                first = torch.from_numpy(np.ascontiguousarray(inputs.segmentation, np.float32))
                first = first[None, None].to(plate)
            pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
            padded = (torch.nn.functional.pad(t, pad, mode="replicate") for t in (plate, first))
            alpha = self._network(*padded)[0, 0, :height, :width].float().cpu().numpy()
        return Prediction(np.ascontiguousarray(alpha.clip(0, 1), np.float32)), {}


def read(path: Path) -> ShotMatting:
    """The network in a file. Raises WeightsError when it is another kind of file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from matte_nodes.models.networks.shot_matting import ShotMatting

    try:
        tensors = load_file(path)
        mattes = tensors["mattes"]
        width = float(tensors["settings"][0])
        network = ShotMatting(len(mattes), (mattes.shape[2], mattes.shape[3]), width)
        network.load_state_dict(
            {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
        )
    except (SafetensorError, RuntimeError, KeyError, IndexError, OSError) as error:
        raise WeightsError(f"{path} is not a network of one shot: {error}") from error
    return network


BASE = ModelCard(
    name="shot",
    title="Shot network",
    summary="Made for one shot from a few key mattes; it knows nothing else.",
    load=ShotNetwork,
    takes=frozenset({"segmentation"}),
    multiple=1,
    papers=("Xu, Price, Cohen, Huang: Deep Image Matting, CVPR 2017",),
    limits="For the shot it was made for, and what looks like it.",
)
