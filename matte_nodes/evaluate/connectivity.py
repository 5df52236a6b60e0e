# SPDX-License-Identifier: Apache-2.0
"""The connectivity error of Rhemann et al., CVPR 2009: it counts floating pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

STEPS = 10
THETA = 0.15


def connectivity_error(pred: Float, true: Float) -> NDArray[np.float64]:
    """Return |phi(pred) - phi(true)| for every pixel, (H, W) float64.

    The source at a level is the largest 4-connected piece where both mattes reach that level (the
    first in reading order among equals). Levels rise in steps of 0.1. l is the highest level at
    which a pixel still belongs to the source, also at all lower levels (0 if it never does). phi =
    1 - d where d = alpha - l is at least 0.15, else 1. The distance weight of the paper is 1, as in
    the benchmark and in published tables.
    """
    connected = _connected_level(pred, true)
    difference: NDArray[np.float64] = _phi(pred, connected) - _phi(true, connected)
    return np.abs(difference)


def _connected_level(pred: Float, true: Float) -> NDArray[np.float64]:
    lower = np.minimum(pred, true)
    level = np.zeros(lower.shape, np.float64)
    holding = np.ones(lower.shape, np.bool_)
    for step in range(1, STEPS + 1):
        # Compare in float32, so that 153 / 255 of an 8-bit matte reaches the level 0.6.
        above = lower >= np.float32(step / STEPS)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            above.astype(np.uint8), connectivity=4
        )
        if count == 1:
            break
        holding &= labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        level[holding] = step / STEPS
    return level


def _phi(alpha: Float, connected: NDArray[np.float64]) -> NDArray[np.float64]:
    beyond = alpha.astype(np.float64) - connected
    phi: NDArray[np.float64] = 1 - beyond * (beyond >= THETA)
    return phi
