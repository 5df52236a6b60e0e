# SPDX-License-Identifier: Apache-2.0
"""Where the object of a key frame is now, as far as it can be seen: by points that look the same.

Flow follows an object from frame to frame, and loses what goes behind something. Points of the key
frame (Lowe, IJCV 2004) that are found again with one shift, turn and scale say where all of it must
be, also the parts that come out on the other side. A part counts as seen where its pixels agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from matte_nodes.select.flow import codes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

POINTS, SHARE = 8, 0.3
"""Points, and their share of all that were matched, that must agree on one movement."""

SURE_POINTS, SURE_SHARE = 20, 0.5
"""The same, for a movement that is also believed about where the object is not."""

SCALES = 0.4, 2.5
"""Sizes of the object, as shares of that in the key frame, that are believed."""

RATIO = 0.8
"""A match counts when its next best is this much worse (Lowe's test)."""

WITHIN = 3.0
"""Pixels by which a point may miss."""

DIFFERENCE, BLUR = 0.12, 2.0
"""Root mean square difference (0..1) of pixels that agree, after a blur of so many pixels."""


@dataclass(frozen=True)
class Again:
    """An object that was found again. whole: (H, W) bool, where all of it is, seen or hidden. seen:
    (H, W) bool, the part in sight. sure: whether nothing of it is elsewhere."""

    whole: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    sure: bool


def again(plate: Float, key: tuple[Float, Float]) -> Again | None:
    """Return where the object of a key frame is, or None where too few points agree.

    plate: (H, W, 3) float32 0..1. key: plate (H, W, 3) and mask (H, W) of the key frame.
    """
    mask = (key[1] > 0.5).astype(np.uint8)
    found = _movement(_grey(key[0]), mask, _grey(plate))
    if found is None:
        return None
    move, sure = found
    size = plate.shape[1], plate.shape[0]
    whole = cv2.warpAffine(mask, move, size, flags=cv2.INTER_NEAREST) > 0
    there = cv2.warpAffine(key[0].astype(np.float32), move, size, borderMode=cv2.BORDER_REPLICATE)
    apart = cv2.GaussianBlur(plate.astype(np.float32) - there, (0, 0), BLUR)
    alike = np.sqrt(np.square(apart).mean(axis=2)) < DIFFERENCE
    seen = cv2.medianBlur((whole & alike).astype(np.uint8), 5) > 0
    return Again(whole, seen & whole, sure)


def _grey(plate: Float) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(codes_of(plate), cv2.COLOR_RGB2GRAY), np.uint8)


def _movement(
    then: NDArray[np.uint8], mask: NDArray[np.uint8], now: NDArray[np.uint8]
) -> tuple[NDArray[Any], bool] | None:
    """The shift, turn and scale that most points agree on, (2, 3), and whether it is sure."""
    points, words = _points(then.tobytes(), mask.tobytes(), then.shape)
    others, other_words = _points(now.tobytes(), b"", now.shape)
    if words is None or other_words is None or min(len(points), len(others)) < POINTS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, other_words, k=2)
    close = [p[0] for p in pairs if len(p) == 2 and p[0].distance < RATIO * p[1].distance]
    if len(close) < POINTS:
        return None
    one = points[[m.queryIdx for m in close]]
    two = others[[m.trainIdx for m in close]]
    move, agreeing = cv2.estimateAffinePartial2D(
        one, two, method=cv2.RANSAC, ransacReprojThreshold=WITHIN, maxIters=2000
    )
    if move is None:
        return None
    count, scale = int(agreeing.sum()), float(np.hypot(move[0, 0], move[1, 0]))
    if count < POINTS or count < SHARE * len(close) or not SCALES[0] < scale < SCALES[1]:
        return None
    return move, count >= SURE_POINTS and count >= SURE_SHARE * len(close)


@lru_cache(maxsize=8)
def _points(picture: bytes, mask: bytes, size: tuple[int, ...]) -> tuple[Any, Any]:
    """Places (N, 2) and descriptors (N, 128) of a picture's points; None where it has none.

    They are a function of the arguments alone: a key frame's are found once for many frames.
    """
    grey = np.frombuffer(picture, np.uint8).reshape(size)
    inside = np.frombuffer(mask, np.uint8).reshape(size) if mask else None
    finder = cv2.SIFT.create(nfeatures=600, contrastThreshold=0.02)
    points, words = finder.detectAndCompute(grey, inside)
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2), words
