# SPDX-License-Identifier: Apache-2.0
"""Compares plates: does the picture stand still, and does the clean plate still fit?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 8
STILL = 2.0  # codes: a block's mean; sensor noise averages to under one over 64 pixels
LONGEST = 0.5
MOVED = 0.10  # of the codes' range, after the gain was taken out
SHARE = 0.30
PATIENCE = 2.0


def blocks(plate: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (h, w, 3) float32 means of blocks of 8 pixels. Incomplete blocks at the border are
    left out.
    """
    height, width = (max(BLOCK, side // BLOCK * BLOCK) for side in plate.shape[:2])
    if plate.shape[0] < BLOCK or plate.shape[1] < BLOCK:
        return plate.astype(np.float32)
    cut = plate[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    means: NDArray[np.float32] = cut.mean(axis=(1, 3), dtype=np.float32)
    return means


class Stillness:
    """Whether a plate equals the last *matted* plate, so that the model can rest.

    The block with the largest change decides, so that a moving hand in a still picture counts. The
    comparison with the last matted plate lets slow movement add up. A rest lasts at most half a
    second, so a silhouette cannot freeze.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: NDArray[np.float32] | None = None
        self._at = 0.0

    def forget(self) -> None:
        """Make sure that the next plate is matted."""
        self._last = None

    def still(self, plate: NDArray[np.uint8]) -> bool:
        """Whether the plate (H, W, 3) uint8 may be skipped. If not, it is remembered as matted."""
        seen, now = blocks(plate), self._clock()
        if (
            self._last is not None
            and self._last.shape == seen.shape
            and now - self._at < LONGEST
            and float(np.abs(seen - self._last).max()) < STILL
        ):
            return True
        self._last, self._at = seen, now
        return False


class Drift:
    """Whether camera or light have changed since the clean plate was taken.

    Where alpha is 0, the plate should equal the clean plate up to a gain in exposure. It has
    drifted when, for two seconds, more than 30 % of this area differs by more than 10 % of the
    range.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def drifted(
        self, plate: NDArray[np.uint8], clean: NDArray[np.uint8], alpha: NDArray[np.float32]
    ) -> bool:
        """Whether the clean plate has drifted. Plates (H, W, 3) uint8, alpha (H, W)."""
        outside = alpha == 0
        if plate.shape != clean.shape or outside.mean() < 0.05:
            return False
        seen = plate[outside][::7].astype(np.float32)
        was = clean[outside][::7].astype(np.float32)
        gain = np.median(seen.mean(axis=1) + 1) / np.median(was.mean(axis=1) + 1)
        apart = np.abs(seen - was * np.clip(gain, 0.67, 1.5)).max(axis=1) > MOVED * 255
        now = self._clock()
        if apart.mean() <= SHARE:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= PATIENCE
