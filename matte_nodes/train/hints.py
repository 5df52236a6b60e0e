# SPDX-License-Identifier: Apache-2.0
"""Hints as an artist would give them, made from a true alpha: trimaps, rough masks, clean plates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.train.strands import fill, outline
from matte_nodes.train.textures import Rng, noise

if TYPE_CHECKING:
    from matte_nodes.card import Float

GREY = np.array([0.299, 0.587, 0.114], np.float32)


def trimap(
    rng: Rng, alpha: Float, *, narrow: float = 1.0, wide: float = 45.0, whole: float = 0.0
) -> Float:
    """Return a trimap by random dilation: (H, W) float32 with 0, 0.5 and 1.

    Pixels of soft alpha are unknown, grown by a radius drawn log-uniformly from narrow..wide
    pixels (for each side on its own in half of all cases), sometimes with generous brush strokes.
    whole: how often a whole part of the picture is unknown as well, solid things in it included.
    """
    soft = (alpha > 0.004) & (alpha < 0.996)
    soft |= _edges(alpha > 0.5)
    radius = np.exp(rng.uniform(np.log(narrow), np.log(wide), 2))
    if rng.random() < 0.5:
        radius[1] = radius[0]
    away = _distance(soft)
    limit = np.where(alpha > 0.5, radius[0], radius[1]).astype(np.float32)
    if rng.random() < 0.4:
        # A hand-drawn border wanders.
        limit = limit * (0.3 + 1.4 * noise(rng, len(alpha), coarsest=0.2, octaves=3))
    unknown = away <= limit
    if rng.random() < 0.3 and unknown.any():
        unknown |= _stroke(rng, unknown)
    if whole and rng.random() < whole and unknown.any():
        unknown |= _part(rng, unknown)
    found = (alpha > 0.5).astype(np.float32)
    found[unknown] = 0.5
    return found


def usable(trimap: Float) -> bool:
    """Whether a trimap has all three parts, and a fair share of unknown pixels."""
    unknown = float((trimap == 0.5).mean())
    return 0.02 < unknown < 0.8 and (trimap == 0).mean() > 0.02 and (trimap == 1).mean() > 0.02


def soft_segmentation(rng: Rng, alpha: Float) -> Float:
    """Return a rough mask of the subject, eroded, dilated and blurred by random amounts.

    It has holes and extra blobs.

    Background Matting's prior (Sengupta et al. 2020, 3.1) at any size. (H, W) float32 0..1.
    """
    import cv2

    size = len(alpha)
    mask = (alpha > rng.uniform(0.2, 0.7)).astype(np.float32)
    small = max(1, round(size * rng.uniform(0.0, 0.04)))
    large = max(1, round(size * rng.uniform(0.0, 0.05)))
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * small + 1,) * 2))
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * large + 1,) * 2))
    if rng.random() < 0.3:
        mask *= noise(rng, size, coarsest=0.3, octaves=2) > 0.25
    if rng.random() < 0.2:
        mask = np.maximum(mask, noise(rng, size, coarsest=0.4, octaves=2) > 0.9)
    found: Float = cv2.GaussianBlur(
        mask.astype(np.float32), (0, 0), size * rng.uniform(0.005, 0.04)
    )
    return found


def imperfect_clean_plate(rng: Rng, background: Float, alpha: Float) -> tuple[Float, Float]:
    """Return the background behind the subject now, and the clean plate shot before: never the same.

    Between the two lie a gamma and a gain, each one's noise, a shift of a pixel or two with a
    slight homography, and the subject's soft shadow in the first. Both (H, W, 3) float32,
    display-encoded. (Sengupta et al. 2020, 4: gamma 0.7..1.3 about 1, noise 3..., small motion.)
    """
    import cv2

    size = len(alpha)
    now = background
    if rng.random() < 0.5:
        shade = cv2.GaussianBlur(alpha, (0, 0), size * rng.uniform(0.02, 0.12))
        move = np.array([[1, 0, rng.normal(0, 0.08) * size], [0, 1, rng.uniform(0, 0.1) * size]])
        shade = cv2.warpAffine(shade, move, (size, size))
        now = now * (1 - np.float32(rng.uniform(0.1, 0.5)) * shade[..., None])
    shift = rng.normal(0, rng.choice([0.0, 0.5, 1.5]), (4, 2))
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    moved = (corners + shift + rng.normal(0, 0.7, 2)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners, moved)
    plate = cv2.warpPerspective(background, warp, (size, size), borderMode=cv2.BORDER_REFLECT)
    gain = np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.02, 3)).astype(np.float32)
    plate = np.power(plate.clip(0, 1), np.float32(np.exp(rng.normal(0, 0.1)))) * gain
    return now.clip(0, 1).astype(np.float32), plate.clip(0, 1).astype(np.float32)


def motion_stack(rng: Rng, front: Float, alpha: Float, back: Float) -> Float:
    """Two grey frames before and two after, the subject moved by a small affine each time.

    Background Matting's motion prior as its synthetic training has it (Sengupta et al. 2020, 4:
    random affine motion of the foreground over the still background). (H, W, 4) float32,
    display-encoded, in the order of time.
    """
    import cv2

    size = len(alpha)
    turn, grow = rng.normal(0, 2), rng.normal(0, 0.02)
    shift = rng.normal(0, 0.02, 2) * size
    frames = []
    for time in (-2, -1, 1, 2):
        move = cv2.getRotationMatrix2D(
            (size / 2, size / 2), turn * time, float(np.exp(grow * time))
        )
        move[:, 2] += shift * time
        cover = cv2.warpAffine(alpha, move, (size, size))[..., None]
        there = cv2.warpAffine(front, move, (size, size), borderMode=cv2.BORDER_REFLECT)
        frames.append((cover * there + (1 - cover) * back) @ GREY)
    return np.dstack(frames).clip(0, 1).astype(np.float32)


def _stroke(rng: Rng, unknown: np.ndarray) -> np.ndarray:
    import cv2

    canvas = np.zeros(unknown.shape, np.uint8)
    rows, columns = np.nonzero(unknown)
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.integers(0, len(rows), 2)
        first, last = ((int(columns[i]), int(rows[i])) for i in ends)
        cv2.line(canvas, first, last, 1, int(rng.integers(4, 30)))
    return canvas > 0


def _part(rng: Rng, unknown: np.ndarray) -> np.ndarray:
    side = len(unknown)
    rows, columns = np.nonzero(unknown)
    index = int(rng.integers(len(rows)))
    shape = (outline(rng, side) - 0.5 * side) * rng.uniform(0.4, 1.2)
    place = np.array([columns[index], rows[index]]) - shape.mean(0)
    return fill(side, (shape + place).astype(np.float32)) > 0.5


def _edges(inside: np.ndarray) -> np.ndarray:
    import cv2

    mask = inside.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    found: np.ndarray = cv2.dilate(mask, cross) != cv2.erode(mask, cross)
    return found


def _distance(mask: np.ndarray) -> Float:
    import cv2

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    found: Float = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return found
