# SPDX-License-Identifier: Apache-2.0
"""How wide a trimap's band must be where an edge moves: a shutter smears it over pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from matte_nodes.node.hints import distance_to

if TYPE_CHECKING:
    from matte_nodes.card import Float

SHUTTER = 0.5
"""Pixels of band, to each side, for each pixel that the edge moves in a frame. A shutter that is
open for half of a frame smears an edge by a quarter of its way to each side."""

MOST = 3.0
"""The band is never wider than this many times its width at rest."""


def moving_band(alpha: Float, others: Sequence[Float], width: float) -> Float | float:
    """Return the band's width at each pixel, for `trimap_from_matte`.

    alpha: (H, W) float32 0..1. others: the alphas of the frames beside it, of the same size.
    width: pixels to each side where the edge rests. Returns (H, W) float32 pixels, or the width
    itself where nothing moves. The movement is that across the edge: how far an edge lies from that
    of the other frame. An object that is not in the other frame says nothing.
    """
    inside = alpha >= 0.5
    if not inside.any() or inside.all():
        return width
    edge = (distance_to(inside) <= 1) & (distance_to(~inside) <= 1)
    speed = np.zeros(alpha.shape, np.float32)
    for other in others:
        there = other >= 0.5
        if there.any() and not there.all():
            speed = np.maximum(speed, np.maximum(distance_to(there), distance_to(~there)) - 1)
    more = np.clip(SHUTTER * speed, 0, (MOST - 1) * width)
    more[~edge] = 0
    if not more.any():
        return width
    reach = 2 * int(np.ceil(MOST * width)) + 1
    spread = cv2.dilate(more.astype(np.float32), np.ones((reach, reach), np.uint8))
    return np.asarray(np.float32(width) + spread, np.float32)
