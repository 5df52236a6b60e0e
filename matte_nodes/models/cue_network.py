# SPDX-License-Identifier: Apache-2.0
"""A shipped network of `networks.cue_matting` in use: loading, the window it works in, padding."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import LoadContext
from matte_nodes.models import cues
from matte_nodes.models.torch_network import TorchNetwork
from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

MARGIN = 64
MULTIPLE = 32


class CueNetwork:
    """Planes in, alpha out, (H, W, P) to (H, W), on the device of the context.

    A network with a trimap takes the planes of `cues`, and a coarse alpha or none.
    """

    def __init__(self, context: LoadContext, architecture: Architecture, file: str) -> None:
        import torch

        from matte_nodes.models.cue_pieces import in_pieces
        from matte_nodes.models.networks.cue_matting import folded

        loaded = TorchNetwork(context, architecture, context.weights[file])
        self.threads, self.device, self.dtype = loaded.threads, loaded.device, loaded.dtype
        placed: Any = folded(loaded.network)
        self.network: Any = placed.to(memory_format=torch.channels_last)
        pieces = "trimap" in architecture.inputs and self.device.type == "cpu"
        self._answer: Any = partial(in_pieces, self.network) if pieces else self.network

    def __call__(self, planes: Float, coarse: Float | None = None) -> Float:
        """Return alpha (H, W) float32 of planes of any size."""
        import torch

        use_threads(self.threads)
        height, width = planes.shape[:2]
        padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        tensors = []
        for picture in (planes, coarse):
            if picture is None:
                continue
            stack = picture if picture.ndim == 3 else picture[..., None]
            moved = torch.from_numpy(np.ascontiguousarray(stack.transpose(2, 0, 1), np.float32))
            tensor = moved[None].to(self.device, self.dtype)
            if any(padding):
                tensor = torch.nn.functional.pad(tensor, padding, mode="replicate")
            tensors.append(tensor)
        with torch.inference_mode():
            alpha = self._answer(*tensors)[0, 0, :height, :width].float().cpu().numpy()
        clipped: Float = np.ascontiguousarray(alpha.clip(0, 1), np.float32)
        return clipped


def matted(network: CueNetwork, plate: Float, trimap: Float, coarse: Float | None = None) -> Float:
    """Return alpha of the trimap's unknown part, worked in the window round it.

    The rest is the trimap's.

    plate: (H, W, 3) display-encoded 0..1. coarse: a first alpha (closed form's), or None.
    """
    unknown = (trimap > 0) & (trimap < 1)
    alpha = trimap.astype(np.float32).copy()
    if not unknown.any():
        return alpha
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    window = np.s_[
        max(0, rows[0] - MARGIN) : rows[-1] + 1 + MARGIN,
        max(0, columns[0] - MARGIN) : columns[-1] + 1 + MARGIN,
    ]
    inside = trimap[window]
    planes = cues.planes(plate[window], inside, network.threads)
    alpha[window] = network(planes, None if coarse is None else coarse[window])
    return np.where(unknown, alpha, trimap).astype(np.float32)
