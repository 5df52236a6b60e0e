# SPDX-License-Identifier: Apache-2.0
"""Checks seams: can a viewer see where one chunk ends and the next begins?

Each chunk also mattes the first frames of the next chunk, into a separate folder. So two mattes
exist of one frame: one with a seam before it, and one without. They are compared in 8-bit codes of
alpha. Rounding to 8 bits alone makes a difference of one code, and a viewer does not see one pixel
in a moving picture. So a seam counts as visible where the mean difference over any square of 8 x 8
pixels exceeds LIMIT codes. Over black and white, the highest contrast, this is the smallest
difference that always survives on an 8-bit display.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.publish.picture import read_matte

if TYPE_CHECKING:
    from matte_nodes.card import Float

LIMIT = 2.0
SQUARE = 8


@dataclass(frozen=True)
class Seam:
    """The difference of two mattes of one frame, in 8-bit codes of alpha."""

    frame: int
    """The frame that both chunks matted."""
    before: int
    """The last frame before the seam."""
    square: float
    """The largest mean difference over 8 x 8 pixels."""
    place: tuple[int, int]
    """Middle (x, y) of that square, in pixels."""
    largest: float
    """The largest difference of one pixel."""
    band: float
    """99th percentile over the soft pixels of either matte; 0 without any."""

    def is_seen(self, limit: float = LIMIT) -> bool:
        """Whether the difference exceeds the limit."""
        return self.square > limit

    @property
    def sentence(self) -> str:
        """The numbers as a sentence for people."""
        x, y = self.place
        return (
            f"frame {self.frame}, begun anew after frame {self.before}: {self.square:.2f} of 255 "
            f"over {SQUARE} x {SQUARE} pixels round {x},{y}; one pixel {self.largest:.1f}; edges "
            f"(99 %) {self.band:.1f}"
        )


def compare(frame: int, before: int, shown: Path, expected: Path) -> Seam:
    """Compare two files of one frame. shown: by the next chunk. expected: by the chunk before it."""

    one, two = read_matte(shown).alpha, read_matte(expected).alpha
    if one.shape != two.shape:
        raise InputError(
            f"{shown} and {expected} have different sizes. Render both at the same size."
        )
    return measured(frame, before, one, two)


def measured(frame: int, before: int, shown: Float, expected: Float) -> Seam:
    """Return the difference of two alphas of one frame, (H, W) float32 0..1 each."""
    import cv2

    difference = np.abs(shown - expected) * np.float32(255)
    size = min(SQUARE, *difference.shape)
    # Only squares inside the picture, so that a corner pixel counts once.
    means = cv2.boxFilter(difference, -1, (size, size), anchor=(0, 0))
    means = means[: difference.shape[0] - size + 1, : difference.shape[1] - size + 1]
    row, column = np.unravel_index(int(means.argmax()), means.shape)
    soft = ((shown > 0) & (shown < 1)) | ((expected > 0) & (expected < 1))
    return Seam(
        frame=frame,
        before=before,
        square=float(means.max()),
        place=(int(column) + size // 2, int(row) + size // 2),
        largest=float(difference.max()),
        band=float(np.quantile(difference[soft], 0.99)) if soft.any() else 0.0,
    )
