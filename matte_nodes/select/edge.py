# SPDX-License-Identifier: Apache-2.0
"""A small mask to a full-size one whose edge follows the plate (He, Sun, Tang 2010.

He, Sun 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float

RADIUS = 0.012
"""Of the longer side: the window that the edge is found in."""

EPSILON = 1e-4
"""Variance of colours (0..1) below which a window counts as flat."""


def bounded(plate: Float, side: int) -> Float:
    """Return the plate at most `side` pixels long, by area.

    The same array when it is small enough.
    """
    height, width = plate.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return plate
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(plate, size, interpolation=cv2.INTER_AREA), np.float32)


def full_size(mask: Float, small: Float, plate: Float) -> Float:
    """Return the mask at the plate's size.

    mask: (h, w) float32 0..1. small: (h, w, 3) float32, the plate at the mask's size. plate:
    (H, W, 3) float32, display-encoded, 0..1. In each window the mask is a linear function of the
    colours; the functions are found at the small size and used at the full one. Returns (H, W)
    float32 0..1, exactly 0 and 1 away from edges.
    """
    height, width = plate.shape[:2]
    radius = max(1, round(RADIUS * max(mask.shape)))
    gain, offset = _fitted(mask, small, radius)
    size = (width, height)
    gain = cv2.resize(gain, size, interpolation=cv2.INTER_LINEAR)
    offset = cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
    soft = (gain * plate).sum(axis=2) + offset
    # Where the whole window is inside or outside, so is the pixel: rounding leaves no grey there.
    box = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    low, high = (
        cv2.resize(change(mask, box), size, interpolation=cv2.INTER_LINEAR)
        for change in (cv2.erode, cv2.dilate)
    )
    return np.asarray(np.clip(np.clip(soft, low, high), 0, 1), np.float32)


def _fitted(mask: Float, guide: Float, radius: int) -> tuple[Float, Float]:
    """Return (h, w, 3) factors and (h, w) offsets of the linear functions, smoothed over their
    windows.
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(array: Float) -> Float:
        return np.asarray(cv2.blur(array, side, borderType=cv2.BORDER_REFLECT), np.float32)

    of_guide, of_mask = mean(guide), mean(mask)
    shared = mean(guide * mask[..., None]) - of_guide * of_mask[..., None]
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9))
    variance = products.reshape(*mask.shape, 3, 3) - of_guide[..., :, None] * of_guide[..., None, :]
    variance = variance + np.float32(EPSILON) * np.eye(3, dtype=np.float32)
    factors = np.linalg.solve(variance, shared[..., None])[..., 0].astype(np.float32)
    offsets = of_mask - (factors * of_guide).sum(axis=2)
    return mean(factors), mean(offsets)
