# SPDX-License-Identifier: Apache-2.0
"""Half floats, made and read by OpenCV: the bits of numpy's in an eighth of the time.

720p in three channels: 0.8 ms, numpy takes 6. An OpenCV without half floats (4.x) leaves it to numpy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LARGEST = np.float32(65504)
"""The largest half float."""


@lru_cache(maxsize=1)
def _by_opencv() -> bool:
    """Whether this OpenCV converts and multiplies half floats (5.0 does)."""
    try:
        probe = cv2.subtract(np.array([[0.1, -0.0]], np.float32), 0.0, dtype=cv2.CV_16F)
        product = cv2.multiply(probe, probe)
        back = cv2.subtract(probe, 0.0, dtype=cv2.CV_32F)
    except cv2.error:
        return False
    return bool(probe.dtype == product.dtype == np.float16 and back.dtype == np.float32)


def to_half(pixels: NDArray[Any]) -> NDArray[np.float16]:
    """Return numbers of any type and shape as half floats; what is larger becomes infinite."""
    if pixels.dtype != np.float32 or not pixels.size or pixels.ndim < 2 or not _by_opencv():
        with np.errstate(over="ignore"):
            return np.asarray(pixels, np.float16)
    # Not `add`: it makes 0 of -0.
    found = cv2.subtract(_flat(pixels), 0.0, dtype=cv2.CV_16F)
    return np.asarray(found, np.float16).reshape(pixels.shape)


def to_float(pixels: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return half floats of any shape as float32."""
    if not pixels.size or pixels.ndim < 2 or not _by_opencv():
        return np.asarray(pixels, np.float32)
    found = cv2.subtract(_flat(pixels), 0.0, dtype=cv2.CV_32F)
    return np.asarray(found, np.float32).reshape(pixels.shape)


def bounded(pixels: NDArray[Any]) -> NDArray[np.float16]:
    """Return half floats; larger values become 65504, the largest half, and not infinity.

    An infinite pixel spreads in every blur. A light of 70000 in a 32-bit plate is rare, so it is
    looked for first (0.4 ms at 720p).
    """
    if pixels.dtype.kind == "f" and pixels.dtype != np.float16 and pixels.size:
        least, most = float(pixels.min()), float(pixels.max())
        if least < -LARGEST or most > LARGEST:
            pixels = np.clip(pixels, -LARGEST, LARGEST)
    return to_half(pixels)


def product(left: NDArray[np.float16], right: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return the product of two planes (H, W), worked out in float32 and rounded once."""
    if not left.size or not _by_opencv():
        return (left.astype(np.float32) * right.astype(np.float32)).astype(np.float16)
    return np.asarray(cv2.multiply(left, right), np.float16)


def is_finite(pixels: NDArray[np.float16]) -> bool:
    """Whether no number is infinite or NaN. numpy's own comparisons of halves take 20 times as long."""
    codes = np.ascontiguousarray(pixels).view(np.uint16) & np.uint16(0x7FFF)
    return not codes.size or int(codes.max()) < 0x7C00


def _flat(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers in one channel: OpenCV's scalars stand for four channels at most."""
    return np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
