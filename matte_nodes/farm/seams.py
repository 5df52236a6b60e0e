# SPDX-License-Identifier: Apache-2.0
"""The seam check: would a viewer see where one chunk ends and the next begins?

Each chunk also mattes the first frames of the next one, into a folder aside. There two mattes of
one frame exist: what the film would have shown without the seam, and what it shows. They are
compared in 8-bit codes of alpha. A difference of up to one code is what rounding to 8 bits makes
of nothing; a lone pixel is not seen in a moving picture. So a seam counts as seen where the mean
difference over some square of 8 x 8 pixels is more than LIMIT codes: over black and white, the
highest contrast there is, that is the least that is certain to survive on an 8-bit display.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import InputError

if TYPE_CHECKING:
    from matte_nodes.card import Float

LIMIT = 2.0
SQUARE = 8


@dataclass(frozen=True)
class Seam:
    """How far two mattes of one frame are apart, in 8-bit codes.

    square: the largest mean over 8 x 8 pixels, with its middle (x, y). largest: of a pixel. band:
    the 99th percentile over the pixels that are neither 0 nor 1 in both, 0 without any.
    """

    frame: int
    before: int
    square: float
    place: tuple[int, int]
    largest: float
    band: float

    def is_seen(self, limit: float = LIMIT) -> bool:
        """Whether it is over the limit."""
        return self.square > limit

    @property
    def sentence(self) -> str:
        """The numbers, for people."""
        x, y = self.place
        return (
            f"frame {self.frame}, begun anew after frame {self.before}: {self.square:.2f} of 255 "
            f"over {SQUARE} x {SQUARE} pixels round {x},{y}; one pixel {self.largest:.1f}; edges "
            f"(99 %) {self.band:.1f}"
        )


def compare(frame: int, before: int, shown: Path, expected: Path) -> Seam:
    """Two files of one frame: as the next chunk made it, and as the one before goes on."""
    from matte_nodes.publish.picture import read_matte

    one, two = read_matte(shown).alpha, read_matte(expected).alpha
    if one.shape != two.shape:
        raise InputError(f"{shown} and {expected} are not of one size.")
    return measured(frame, before, one, two)


def measured(frame: int, before: int, shown: Float, expected: Float) -> Seam:
    """Two alphas (H, W) float32 0..1 of one frame."""
    import cv2

    difference = np.abs(shown - expected) * np.float32(255)
    size = min(SQUARE, *difference.shape)
    # Only squares that lie in the picture: a corner's pixel must not count more than once.
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
