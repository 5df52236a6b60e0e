# SPDX-License-Identifier: Apache-2.0
"""Tables and matrices that apply OCIO transforms fast. This module knows no colour space.

Times are for 1280x720 on one thread. numpy works on slabs of rows, so that intermediate results
stay in the cache (5 ms, whole images take 13). cv2's own arithmetic would apply plain numbers to
one channel only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import ColorError

Float = NDArray[np.float32]
Pixels = NDArray[Any]

SLAB = 40_000  # pixels worked on at once: half a megabyte of float32 RGB
PLACES = 65536
CODE_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float16))


def as_float(pixels: Pixels) -> Float:
    """Return codes as numbers: (H, W, C) of uint8, uint16 (full range is 1.0), float16 or float32.

    A float32 array is returned itself, not a copy.
    """
    if pixels.dtype == np.float32:
        return pixels
    if pixels.dtype in CODE_TYPES:
        return look_up(pixels, all_codes(pixels.dtype))
    if pixels.dtype == np.float64:
        return pixels.astype(np.float32)
    raise ColorError(
        f"Pixels of type {pixels.dtype} are not known: give uint8, uint16, float16 or float32."
    )


@lru_cache(maxsize=3)
def all_codes(dtype: np.dtype[Any]) -> Float:
    """Return the number of each code of an 8 or 16 bit type: (256,) or (65536,)."""
    if dtype == np.float16:
        return np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    top = int(np.iinfo(dtype).max)
    return (np.arange(top + 1) / top).astype(np.float32)


def look_up(codes: Pixels, table: Float) -> Float:
    """Return table[codes] for 8 or 16 bit codes. table: (N,), or one column a channel (N, C). 1 to
    2 ms.
    """
    import cv2

    indices = np.ascontiguousarray(codes)
    if indices.dtype == np.float16:
        indices = indices.view(np.uint16)
    if table.ndim == 1:
        if indices.dtype == np.uint8 or _wide_lut():
            return np.asarray(cv2.LUT(indices, table), np.float32).reshape(indices.shape)
        return np.asarray(np.take(table, indices), np.float32)
    out = np.empty(indices.shape, np.float32)
    for channel in range(indices.shape[-1]):
        out[..., channel] = np.take(table[:, channel], indices[..., channel])
    return out


@lru_cache(maxsize=1)
def _wide_lut() -> bool:
    """Whether this OpenCV looks up 16 bit codes (5.0 does: 1.8 ms, numpy takes 4.5)."""
    import cv2

    try:
        probe = cv2.LUT(np.array([[65535]], np.uint16), np.arange(65536, dtype=np.float32))
    except cv2.error:
        return False
    return bool(probe[0, 0] == 65535)


def apply_matrix(pixels: Float, matrix: Float) -> Float:
    """Return matrix @ colour for each pixel of (H, W, 3). 0.4 ms."""
    import cv2

    source = np.ascontiguousarray(pixels)
    return np.asarray(cv2.transform(source, matrix), np.float32).reshape(pixels.shape)


def by_slabs(work: Callable[[Float], Float], pixels: Float) -> Float:
    """Apply `work` to a few rows at a time of (H, W, 3). It takes and returns float32 of one shape."""
    out = np.empty(pixels.shape, np.float32)
    rows = max(1, SLAB // max(1, pixels.shape[1]))
    for row in range(0, pixels.shape[0], rows):
        out[row : row + rows] = work(pixels[row : row + rows])
    return out


class Curve:
    """A curve on 0..1, sampled at 65536 points.

    root: samples are even in the square root of the value, because curves from linear light bend
    near 0; else even in the value. table: (65536,) the curve at `Curve.places(root)`.
    """

    def __init__(self, table: Float, *, root: bool) -> None:
        self.table, self.root = np.ascontiguousarray(table, np.float32), root
        self._slope = np.append(np.diff(self.table), np.float32(0))

    @staticmethod
    def places(root: bool) -> Float:
        """Return the points of the table: (65536,) from 0 to 1."""
        even = np.arange(PLACES) / (PLACES - 1)
        return (even**2 if root else even).astype(np.float32)

    def _position(self, values: Float) -> Float:
        # fmax returns the other operand for NaN, so NaN becomes black.
        position = np.fmax(values, np.float32(0))
        np.fmin(position, np.float32(1), out=position)
        if self.root:
            np.sqrt(position, out=position)
        position *= np.float32(PLACES - 1)
        return position

    def nearest(self, values: Float) -> Float:
        """Return the curve at the nearest sample; values are clipped to 0..1, NaN becomes 0. 5 ms.

        For the sRGB encoding the error is at most 1.1e-5.
        """
        position = self._position(values)
        position += np.float32(0.5)
        return look_up(position.astype(np.uint16), self.table)

    def between(self, values: Float) -> Float:
        """Return the curve, linear between samples; values as for `nearest`. 9 ms."""
        position = self._position(values)
        below = position.astype(np.uint16)
        position -= below
        position *= look_up(below, self._slope)
        position += look_up(below, self.table)
        return position
