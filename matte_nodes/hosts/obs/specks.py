# SPDX-License-Identifier: Apache-2.0
"""Removes faint, small parts of a live matte that touch nothing: things of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float

SEEN = 0.02  # alpha from which on a pixel belongs to a part
FAINT, FIRM = 0.8, 0.95  # the highest alpha of a part: none of it is shown, all of it is
SMALL, LARGE = 0.01, 0.03  # its share of the largest part's pixels: the same


def without_specks(alpha: Float) -> Float:
    """Return alpha (H, W) without parts that are solid nowhere and small beside the largest part.

    Between the limits a part fades: it must not blink. A part that is solid somewhere stays, whatever
    its size. The largest part stays as it is. Returns the array itself where nothing is removed.
    """
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(
        (alpha > SEEN).view(np.uint8), connectivity=8
    )
    if count < 3:  # the rest, and one part
        return alpha
    largest = 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))
    out = alpha
    for part in range(1, count):
        left, top, width, height, pixels = (int(value) for value in sizes[part])
        large = (pixels / int(sizes[largest, cv2.CC_STAT_AREA]) - SMALL) / (LARGE - SMALL)
        if part == largest or large >= 1:
            continue
        box = slice(top, top + height), slice(left, left + width)
        mine = labels[box] == part
        firm = (float(alpha[box][mine].max()) - FAINT) / (FIRM - FAINT)
        if max(firm, large) >= 1 - 1e-4:
            continue
        if out is alpha:
            out = alpha.copy()
        out[box][mine] *= np.float32(max(firm, large, 0))
    return out
