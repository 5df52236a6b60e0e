# SPDX-License-Identifier: Apache-2.0
"""One matte of several objects, dealt out to them: their shares sum to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float

SOFT = 2.0
"""Pixels over which a share fades where two objects touch."""


def shares(alpha: Float, masks: Mapping[str, Float]) -> dict[str, Float]:
    """Return each object's part of an alpha.

    alpha: (H, W) float32 0..1, of all objects. masks: (H, W) float32 0..1 by object. A pixel
    belongs to the object whose mask is nearest; where two are about as near they share it. Returns
    (H, W) float32 by object, in the same order; their sum is the alpha, but for rounding.
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
    claims /= claims.sum(axis=0)
    return {
        name: np.asarray(alpha * claim, np.float32)
        for name, claim in zip(masks, claims, strict=True)
    }
