# SPDX-License-Identifier: Apache-2.0
"""Pictures at another size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float32]


def resized(picture: Float, size: tuple[int, int]) -> Float:
    """Return a picture (H, W) or (H, W, C) float32 at another (H, W).

    It is reduced by area and enlarged by linear interpolation.
    """
    import cv2

    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    down = size[0] * size[1] < height * width
    result = cv2.resize(
        picture, (size[1], size[0]), interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR
    )
    return np.asarray(result, np.float32).reshape((*size, *picture.shape[2:]))


def planes(picture: Float) -> Float:
    """Return (H, W) or (H, W, C) as contiguous (C, H, W) float32: half of numpy's time."""
    import cv2

    if picture.ndim == 2:
        return np.ascontiguousarray(picture, np.float32)[None]
    height, width, channels = picture.shape
    if channels == 1 or not picture.size:
        return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
    made = np.empty((channels, height, width), np.float32)
    cv2.split(np.ascontiguousarray(picture, np.float32), list(made))
    return made
