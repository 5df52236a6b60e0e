# SPDX-License-Identifier: Apache-2.0
"""Refines an alpha that was found on a reduced plate, at full size, by the plate's own colours.

A guided filter with a colour guide (He, Sun, Tang: Guided Image Filtering, PAMI 2013) in windows of
about one pixel of the reduced plate. Ours differs in one way: a window counts as far as the plate's
colours explain the alpha in it. Where they do not (two things of one colour), the
alpha stays, so a weak edge gets neither halo nor noise. It works on tiles along the edge alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

TILE = 128
SMOOTHNESS = 1e-4  # of encoded colours: variance below it is noise
FLAT = 1e-4  # of alpha: variance below it needs no explanation
UNEXPLAINED, EXPLAINED = 0.4, 0.85  # shares of the alpha's variance between which trust rises
EMPTY, SOLID = 0.01, 0.99  # what the network is sure of stays: texture must not leak into it
LEAST_RATIO = 0.25  # a plate that is reduced by less (2048 pixels and below) stays as it is


def refined(alpha: Float, plate: Float, ratio: float) -> Float:
    """The alpha with edges at the plate's own size.

    alpha: (H, W) float32 0..1. plate: (H, W, 3) float32, display-encoded, 0..1. ratio: the size at
    which alpha was found, as a share of the plate's; from 0.25 on the same array is returned. Alpha
    changes only where it is between 0.01 and 0.99. Returns (H, W) float32 0..1.
    """
    if ratio >= LEAST_RATIO:
        return alpha
    radius = max(1, round(1 / ratio))
    margin = 2 * radius
    height, width = alpha.shape
    result = alpha.copy()
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            part = alpha[top:bottom, left:right]
            if not ((part > EMPTY) & (part < SOLID)).any():
                continue
            rows = slice(max(0, top - margin), min(height, bottom + margin))
            columns = slice(max(0, left - margin), min(width, right + margin))
            found = _filtered(alpha[rows, columns], plate[rows, columns], radius)
            result[top:bottom, left:right] = found[
                top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
            ]
    return result


def _filtered(alpha: Float, plate: Float, radius: int) -> Float:
    """The filter on one tile with its margin."""
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: NDArray[Any]) -> Float:
        return np.asarray(
            cv2.boxFilter(picture, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT), np.float32
        )

    colours, level = mean(plate), mean(alpha)
    shared = mean(plate * alpha[..., None]) - colours * level[..., None]
    slope = _solved(_covariance(plate, colours, mean), shared)
    offset = level - (slope * colours).sum(axis=2)
    spread = np.maximum(mean(alpha * alpha) - level * level, 0)
    share = (slope * shared).sum(axis=2) / (spread + np.float32(FLAT))
    along = np.clip((share - UNEXPLAINED) / (EXPLAINED - UNEXPLAINED), 0, 1)
    trust: Float = along * along * (3 - 2 * along)
    total = mean(trust)
    offered = (mean(slope * trust[..., None]) * plate).sum(axis=2) + mean(offset * trust)
    # A sum weighted by trust: what windows without trust would say is the alpha itself.
    made = np.clip(offered + (1 - total) * alpha, 0, 1)
    return np.where((alpha > SOLID) | (alpha < EMPTY), alpha, made).astype(np.float32)


def _covariance(plate: Float, colours: Float, mean: Any) -> tuple[Float, ...]:
    """rr, rg, rb, gg, gb, bb of the windows, with the smoothness on the diagonal."""
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    return tuple(
        mean(plate[..., i] * plate[..., j])
        - colours[..., i] * colours[..., j]
        + np.float32(SMOOTHNESS if i == j else 0)
        for i, j in pairs
    )


def _solved(covariance: tuple[Float, ...], shared: Float) -> Float:
    """(H, W, 3): the slopes, by the inverse of a symmetric matrix of three."""
    rr, rg, rb, gg, gb, bb = (part.astype(np.float64) for part in covariance)
    a, b, c = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    whole = rr * a + rg * b + rb * c
    x, y, z = (shared[..., i] for i in range(3))
    slopes = (a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z)
    return np.stack([(one / whole).astype(np.float32) for one in slopes], axis=2)
