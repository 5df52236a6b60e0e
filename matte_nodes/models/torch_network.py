# SPDX-License-Identifier: Apache-2.0
"""Loads a torch network for use: the one loader of every model that has one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import Knob, LoadContext
from matte_nodes.errors import DeviceError, ModelError, WeightsError
from matte_nodes.media.resize import planes
from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.architecture import Architecture, Knobs
    from matte_nodes.card import Float, ModelCard

WIDTH = Knob(
    "width", "float", 1.0, low=0.0625, high=2.0, reload=True,
    help="Channel multiplier of an untrained network; a checkpoint knows its own.",
)  # fmt: skip


def read_network(path: Path, architecture: Architecture, **options: Any) -> nn.Module:
    """Return the network in a file, filled, on the processor.

    options: those that the tensors cannot tell. Raises WeightsError when the file is of another
    network (it is named, when it is registered), or does not fit.
    """
    from matte_nodes import checkpoints, models

    try:
        return checkpoints.load(path, [architecture], **options)[0]
    except WeightsError as error:
        if isinstance(error, checkpoints.CheckpointError):
            raise
        # Only now: the detectors of all networks take their imports.
        found = checkpoints.inspect(path, [architecture, *models.architectures()]).recognition
        if found.model == architecture.id:
            raise
        raise WeightsError(
            f"{path.name} is a checkpoint of {found.model!r}, not {architecture.id!r}: "
            f"use --model {models.of_architecture(found.model).name}."
        ) from error


def network_of(
    card: ModelCard,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    untrained: bool = False,
    knobs: Knobs,
) -> nn.Module:
    """Return a model's network with its weights, on the processor: for exports and training.

    Raises ModelError for a model without a torch network, WeightsError when its weights are not
    here or do not fit.
    """
    import torch

    from matte_nodes import models, weights

    architecture = models.architecture(card)
    if architecture is None:
        raise ModelError(
            f"{card.name} has no torch network. Choose a model that has one (`matte models`)."
        )
    path = weights.checkpoint(card, checkpoint, untrained)
    if path is None and not untrained:
        path = next(iter(weights.require(card).values()), None)
    if path is None:
        torch.manual_seed(0)
        return architecture.build(**architecture.options_for(knobs)).eval()
    return read_network(path, architecture, **architecture.asked(knobs)).eval()


def network_to_export(
    card: ModelCard,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    untrained: bool = False,
    knobs: Knobs,
) -> nn.Module:
    """Return `network_of` the same arguments. Raises ModelError for one that no file can hold."""
    from matte_nodes import models

    network = network_of(card, checkpoint=checkpoint, untrained=untrained, knobs=knobs)
    architecture = models.architecture(card)
    reason = architecture.unexportable(network) if architecture else ""
    if reason:
        raise ModelError(f"{card.name} cannot be exported with these weights. {reason}")
    return network


class TorchNetwork:
    """A network in evaluation mode on its device. It takes and returns tensors.

    path: the weights. None: the context's checkpoint, and random weights when there is none (they
    come from a fixed seed). Raises WeightsError for a file of another network, DeviceError when
    the device cannot be used.
    """

    def __init__(
        self, context: LoadContext, architecture: Architecture, path: Path | None = None
    ) -> None:
        import torch

        if context.half and context.device.kind == "cpu":
            # Measured: MODNet at 512 pixels takes 0.3 s in full precision and minutes in half.
            raise DeviceError("Half precision is for cards: on the CPU it is slower, not faster.")
        self.architecture = architecture
        self.threads = context.threads
        path = path or context.checkpoint
        if path is None:
            torch.manual_seed(0)
            network = architecture.build(**architecture.options_for(context.knobs))
        else:
            network = read_network(path, architecture, **architecture.asked(context.knobs))
        self._torch = torch
        self.dtype = torch.float16 if context.half else torch.float32
        try:
            self.device = torch.device(context.device.torch)
            self.network = network.eval().to(self.device, self.dtype)
        except (RuntimeError, AssertionError) as error:
            raise DeviceError(f"torch cannot use {context.device}: {error}") from error

    def pixels(self, picture: Float) -> Tensor:
        """Return (H, W) or (H, W, C) float32 as (1, C, H, W) float32 on the network's device."""
        source = self._torch.from_numpy(planes(picture))[None]
        return source.to(self.device)

    def tensor(self, picture: Float) -> Tensor:
        """Return the same in the network's precision."""
        return self.pixels(picture).to(self.dtype)

    def state(self, kept: Any) -> Tensor:
        """Return a state of an earlier step, on the network's device."""
        if isinstance(kept, np.ndarray):
            kept = self._torch.from_numpy(kept)
        found: Tensor = kept.to(self.device, self.dtype)
        return found

    def kept(self, state: Tensor) -> Any:
        """Return a state for the memory: it stays on a card, and is an array on the CPU."""
        return state if state.is_cuda else state.float().cpu().numpy()

    def __call__(self, *tensors: Tensor, **options: Any) -> Any:
        """Call the network with its own inputs, without gradients, and return its own output."""
        use_threads(self.threads)
        with self._torch.inference_mode():
            return self.network(*tensors, **options)

    def answer(self, *pictures: Tensor, **options: Any) -> Any:
        """Return the network's own answer to pictures (N, C, H, W) float32, 0..1.

        They are encoded in full precision, then brought to the network's.
        """
        use_threads(self.threads)
        with self._torch.inference_mode():
            inputs = (t.to(self.dtype) for t in self.architecture.encoded(*pictures))
            return self.network(*inputs, **options)

    def decoded(self, *pictures: Tensor, **options: Any) -> dict[str, Tensor]:
        """Return the decoded answer to pictures: alpha, foreground and extras by name."""
        answer = self.answer(*pictures, **options)
        with self._torch.inference_mode():
            return dict(self.architecture.decode(answer))


def trained_side(path: Path | None) -> int:
    """Return the side in pixels that a network of our own was trained at; 0 for other files."""
    from matte_nodes.checkpoints.files import provenance

    side = provenance(path).get("side", "") if path is not None else ""
    return int(side) if side.isdigit() else 0


def array(tensor: Tensor) -> Float:
    """Return (1, 1, H, W) as (H, W), (1, C, H, W) as (H, W, C); float32 on the host."""
    found = tensor[0].float().cpu().numpy()
    result = found[0] if len(found) == 1 else found.transpose(1, 2, 0)
    return np.ascontiguousarray(result, np.float32)
