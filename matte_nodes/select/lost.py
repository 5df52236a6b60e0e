# SPDX-License-Identifier: Apache-2.0
"""A lost object that has come back is found by what it looked like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from matte_nodes.points import Marks
from matte_nodes.select.segment import select

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.select.proposals import StandsOut

AGAIN = 0.1
"""Root mean square difference (0..1) up to which a lost object counts as found again."""

AGAIN_PARTLY = 0.06
"""The same, where the border cuts it."""

OF_CONTRAST = 0.4
"""And that difference as a share of the part's own contrast: a flat part is found everywhere."""

PARTLY_SEEN = 0.06
"""Share of an object that must be in the picture to be found again."""

SAME = 0.6
"""Share of union that a salience map and a mask must have in common to mean the same object."""


def found_again(plate: Float, key: tuple[Float, Float], stands_out: StandsOut | None) -> Float:
    """Return the mask of a lost object that has come back, or an empty one.

    key: plate and mask of its key frame. It is looked for as it was there, by the pixels of its
    mask, also where the border cuts it; what is found must also have its outline.
    """
    empty = np.zeros(plate.shape[:2], np.float32)
    rows, columns = (
        np.nonzero((key[1] > 0.5).any(axis=1))[0],
        np.nonzero((key[1] > 0.5).any(axis=0))[0],
    )
    if not len(rows):
        return empty
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    like, mask = key[0][part].astype(np.float32), (key[1][part] > 0.5).astype(np.float32)
    if min(mask.shape) < 6:
        return empty
    corner = place(plate, like, mask)
    if corner is None:
        return empty
    x, y = corner
    height, width = mask.shape
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    before = cv2.warpAffine(mask, move, empty.shape[::-1], flags=cv2.INTER_NEAREST)
    box = (float(x), float(y), float(x + width), float(y + height))
    found = select(plate, Marks(box=box), stands_out, before)
    overlap = ((found > 0.5) & (before > 0.5)).sum() / max(
        1, ((found > 0.5) | (before > 0.5)).sum()
    )
    return found if overlap > SAME else empty


def place(plate: Float, like: Float, mask: Float) -> tuple[int, int] | None:
    """Where a thing lies in a picture: x and y of its corner, which may lie outside; None for nowhere.

    like: (h, w, 3) float32, its picture. mask: (h, w) float32 0 or 1, its pixels. Only pixels inside
    of the picture are compared. Where the border cuts it, they must agree better, and there must be
    enough of them.
    """
    high, wide = mask.shape
    up, left = (round((1 - PARTLY_SEEN) * side) for side in (high, wide))
    grown = cv2.copyMakeBorder(
        plate.astype(np.float32), up, up, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    there = np.zeros(grown.shape[:2], np.float32)
    there[up : up + plate.shape[0], left : left + plate.shape[1]] = 1
    if min(there.shape[0] - high, there.shape[1] - wide) < 0:
        return None

    def correlated(picture: Float, pattern: Float) -> Float:
        found = cv2.matchTemplate(
            np.ascontiguousarray(picture), np.ascontiguousarray(pattern), cv2.TM_CCORR
        )
        return np.asarray(found, np.float32)

    masked = like * mask[..., None]
    apart = correlated((grown * grown).sum(axis=2), mask)
    apart = apart - 2 * correlated(grown, masked)
    power = correlated(there, (masked * masked).sum(axis=2))
    apart = apart + power
    seen = np.maximum(correlated(there, mask), 1)
    means = [correlated(there, masked[..., channel]) / seen for channel in range(3)]
    contrast = np.sqrt(np.maximum(power / seen - sum(mean * mean for mean in means), 0) / 3)
    missed = np.sqrt(np.maximum(apart, 0) / (3 * seen))
    share = seen / mask.sum()
    partly = np.minimum(np.float32(AGAIN_PARTLY), contrast * np.float32(OF_CONTRAST))
    limit = np.where(share > 0.99, np.float32(AGAIN), partly)
    fits = (missed < limit) & (share > PARTLY_SEEN)
    if not fits.any():
        return None
    # More of it in sight is better evidence than the same difference of a sliver.
    y, x = np.unravel_index(
        int(np.where(fits, missed / np.sqrt(share), np.inf).argmin()), fits.shape
    )
    return int(x) - left, int(y) - up
