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
    seen = alpha > SEEN
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(seen.view(np.uint8), connectivity=8)
    if count < 3:  # the rest, and one part
        return alpha
    pixels = sizes[:, cv2.CC_STAT_AREA]
    largest = 1 + int(np.argmax(pixels[1:]))
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, labels[seen], alpha[seen])
    large = (pixels / pixels[largest] - SMALL) / (LARGE - SMALL)
    firm = (highest - FAINT) / (FIRM - FAINT)
    kept = np.maximum(firm, large).clip(0, 1).astype(np.float32)
    kept[kept > 1 - 1e-4] = 1
    kept[[0, largest]] = 1
    return alpha if kept.min() == 1 else alpha * kept[labels]
