# SPDX-License-Identifier: Apache-2.0
"""Looking at staged plates: does the picture stand still, does the clean plate still fit?"""

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
    """(h, w, 3) float32 means of blocks of 8 pixels, borders that do not fill one left off."""
    height, width = (max(BLOCK, side // BLOCK * BLOCK) for side in plate.shape[:2])
    if plate.shape[0] < BLOCK or plate.shape[1] < BLOCK:
        return plate.astype(np.float32)
    cut = plate[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    means: NDArray[np.float32] = cut.mean(axis=(1, 3), dtype=np.float32)
    return means


class Stillness:
    """Whether a plate is like the one that was last *matted*: rest then.

    The worst block counts, not the mean, so that a hand in a still picture is seen. The
    comparison is with the last matted plate, so that slow movement adds up, and no rest is longer
    than half a second: a silhouette cannot freeze.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: NDArray[np.float32] | None = None
        self._at = 0.0

    def forget(self) -> None:
        """The next plate is matted whatever it is."""
        self._last = None

    def still(self, plate: NDArray[np.uint8]) -> bool:
        """(H, W, 3) uint8; False means that this plate must be matted, and is remembered."""
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

    Where alpha is 0 the plate should be the clean plate, but for a gain of the exposure. When for
    two seconds more than 30 % of there differs by more than 10 % of the range, it is not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def drifted(
        self, plate: NDArray[np.uint8], clean: NDArray[np.uint8], alpha: NDArray[np.float32]
    ) -> bool:
        """Plate and clean plate (H, W, 3) uint8, alpha (H, W)."""
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
