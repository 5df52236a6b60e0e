# SPDX-License-Identifier: Apache-2.0
"""The planes of a trimap as arrays, for use and training (`networks.cue_planes` makes them)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from matte_nodes.card import Float

PLANES = 19
"""As `cue_planes.PLANES`, without importing torch."""


def planes(plate: Float, trimap: Float, threads: int = 1) -> Float:
    """Return (H, W, PLANES) float32, 0..1.

    plate: (H, W, 3) display-encoded 0..1. trimap: (H, W) with 0, 0.5 and 1. threads: 0 is all
    cores. The result is a view with one plane after the other: that is how a network takes them.
    """
    import torch

    from matte_nodes.models.networks.cue_tools import quick

    use_threads(1)
    pictures = (
        np.ascontiguousarray(plate.clip(0, 1), np.float32),
        np.ascontiguousarray(trimap, np.float32),
    )
    with torch.inference_mode():
        found = quick(threads)(*(torch.from_numpy(picture) for picture in pictures))
    made: Float = found[0].numpy().transpose(1, 2, 0)
    return made
