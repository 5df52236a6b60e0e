# SPDX-License-Identifier: Apache-2.0
"""What every adapter of a torch network shares: loading, random weights, arrays in and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import Knob, LoadContext
from matte_nodes.errors import DeviceError, WeightsError
from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.card import Float

WIDTH = Knob(
    "width", "float", 1.0, low=0.0625, high=2.0, reload=True,
    help="Channel multiplier of an untrained network; a checkpoint knows its own.",
)  # fmt: skip


class TorchNetwork:
    """A network in evaluation mode on its device; arrays in, arrays out.

    name: the model id that the checkpoint must be of. make: builds it when it is untrained (its
    random weights come from a fixed seed). options: what the checkpoint's tensors cannot tell.
    """

    def __init__(
        self,
        context: LoadContext,
        name: str,
        make: Callable[[], nn.Module],
        **options: Any,
    ) -> None:
        import torch

        from matte_nodes import checkpoints

        if context.half and context.device.kind == "cpu":
            # Measured: MODNet at 512 pixels takes 0.3 s in full precision and minutes in half.
            raise DeviceError("Half precision is for cards: on the CPU it is slower, not faster.")
        self.threads = context.threads
        if context.checkpoint is None:
            torch.manual_seed(0)
            network = make()
        else:
            network, found = checkpoints.load(context.checkpoint, **options)
            if found.model != name:
                raise WeightsError(
                    f"{context.checkpoint.name} is a checkpoint of {found.model!r}, not {name!r}: "
                    f"use --model {found.model}."
                )
        self._torch = torch
        self.dtype = torch.float16 if context.half else torch.float32
        try:
            self.device = torch.device(context.device.torch)
            self.network = network.eval().to(self.device, self.dtype)
        except (RuntimeError, AssertionError) as error:
            raise DeviceError(f"torch cannot use {context.device}: {error}") from error

    def tensor(self, picture: Float) -> Tensor:
        """(H, W) or (H, W, C) float32 as (1, C, H, W) on the network's device."""
        planes = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
        source = self._torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]
        return source.to(self.device, self.dtype)

    def state(self, kept: Any) -> Tensor:
        """A state of an earlier step, on the network's device."""
        if isinstance(kept, np.ndarray):
            kept = self._torch.from_numpy(kept)
        found: Tensor = kept.to(self.device, self.dtype)
        return found

    def kept(self, state: Tensor) -> Any:
        """A state for the memory: it stays on a card, and is an array on the CPU."""
        return state if state.is_cuda else state.float().cpu().numpy()

    def __call__(self, *tensors: Tensor, **options: Any) -> Any:
        """The network's own answer, without gradients."""
        use_threads(self.threads)
        with self._torch.inference_mode():
            return self.network(*tensors, **options)


def trained_side(path: Path | None) -> int:
    """The side in pixels that a network of our own was trained at; 0 for other files."""
    from matte_nodes.checkpoints.files import provenance

    side = provenance(path).get("side", "") if path is not None else ""
    return int(side) if side.isdigit() else 0


def array(tensor: Tensor) -> Float:
    """(1, 1, H, W) as (H, W), (1, C, H, W) as (H, W, C); float32 on the host."""
    found = tensor[0].float().cpu().numpy()
    result = found[0] if len(found) == 1 else found.transpose(1, 2, 0)
    return np.ascontiguousarray(result, np.float32)
