# SPDX-License-Identifier: Apache-2.0
"""One matte of several objects, dealt out to them: their shares sum to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

STEPS = 2048
"""Steps of a half float from 0.5 to 1, and so many from 0 to 1 that all of them are halves."""

SOFT = 2.0
"""Pixels over which a share fades where two objects touch."""


def shares(alpha: Float, masks: Mapping[str, Float]) -> dict[str, Float]:
    """Return each object's part of an alpha.

    alpha: (H, W) float32 0..1, of all objects. masks: (H, W) float32 0..1 by object. A pixel
    belongs to the object whose mask is nearest; where two are about as near they share it. Returns
    (H, W) float32 by object, in the same order, as `dealt` makes them.
    """
    if not masks:
        return {}
    nearness = []
    for mask in masks.values():
        inside = mask > 0.5
        if not inside.any():
            nearness.append(np.full(alpha.shape, -1e4, np.float32))
            continue
        out = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
        deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        nearness.append(np.minimum(deep, 8 * SOFT) - out)
    claims = np.stack(nearness) / np.float32(SOFT)
    claims = np.exp(claims - claims.max(axis=0))
    return dict(zip(masks, dealt(alpha, claims), strict=True))


def dealt(alpha: Float, claims: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an alpha dealt out by claims: each part is a half float, and they sum to the alpha.

    alpha: (H, W) float32 0..1; it is rounded to half. claims: (N, H, W) float32, 0 or more. Returns
    (N, H, W) float32. Parts that were rounded each by itself would sum to more than 1.
    """
    whole = np.asarray(alpha, np.float16).astype(np.float32)
    total = np.maximum(claims.sum(axis=0), np.float32(1e-9))
    # Multiples of this step up to 1 are halves; what is left is one too: it has alpha's steps.
    parts = np.floor(claims / total * (whole * np.float32(STEPS))) / np.float32(STEPS)
    largest = claims.argmax(axis=0)[None]
    np.put_along_axis(parts, largest, np.float32(0), axis=0)
    np.put_along_axis(parts, largest, (whole - parts.sum(axis=0))[None], axis=0)
    return np.asarray(parts, np.float32)
