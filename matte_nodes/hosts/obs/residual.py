# SPDX-License-Identifier: Apache-2.0
"""Packs a Matte for the filter: alpha, and the foreground as its difference to the plate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.color.network import srgb_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float


def packed(plate: NDArray[np.uint8], alpha: Float, foreground: Float) -> NDArray[np.uint8]:
    """Return (H, W, 4) uint8: 127 x (foreground - plate) + 128 in sRGB codes, and 255 x alpha.

    plate: (H, W, 3) sRGB codes 0..1. foreground: straight, linear. The difference is 0 where alpha
    is 0 or 1. A ring of outer pixels takes its neighbours' value, so that upsampling does not thin
    it.
    """
    out = np.full((*alpha.shape, 4), 128, np.uint8)
    out[..., 3] = np.round(np.clip(alpha, 0, 1) * 255)
    soft = (alpha > 0) & (alpha < 1)
    if not soft.any():
        return out
    rows, columns = np.nonzero(soft)
    residual = np.zeros((alpha.shape[0] + 2, alpha.shape[1] + 2, 4), np.float32)
    codes = plate[rows, columns].astype(np.float32) / np.float32(255)
    colour = np.clip(foreground[rows, columns], 0, 1)
    residual[rows + 1, columns + 1, :3] = srgb_encoded(colour) - codes
    residual[rows + 1, columns + 1, 3] = 1
    ring_rows, ring_columns = _ring(soft, alpha == 0)
    around = np.zeros((len(ring_rows), 4), np.float32)
    for down in range(3):
        for right in range(3):
            around += residual[ring_rows + down, ring_columns + right]
    out[rows, columns, :3] = _bytes(residual[rows + 1, columns + 1, :3])
    if len(ring_rows):
        out[ring_rows, ring_columns, :3] = _bytes(around[:, :3] / around[:, 3:])
    return out


def _bytes(residual: Float) -> NDArray[np.uint8]:
    return np.clip(np.round(residual * 127 + 128), 0, 255).astype(np.uint8)


def _ring(soft: NDArray[np.bool_], outside: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return the pixels of `outside` that have a soft pixel among their eight neighbours."""
    wide = np.pad(soft, 1)
    height, width = soft.shape
    near = np.zeros_like(soft)
    for down in range(3):
        for right in range(3):
            near |= wide[down : down + height, right : right + width]
    return np.nonzero(near & outside)
