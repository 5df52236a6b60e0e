# SPDX-License-Identifier: Apache-2.0
"""What a trimap tells before any network looks: likely colours of both sides, distances, errors.

The small trimap network sees these planes beside the plate. The same code makes them in training
and in use.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.runtime import cores

if TYPE_CHECKING:
    from matte_nodes.card import Float

COLOURS = 5  # plate, nearest foreground and background, best pair of foreground and background
PLANES = 3 * COLOURS + 4  # and trimap, distances to both sides, how badly the best pair explains
_FAR = np.log1p(np.float32(400))
# Where candidates are looked for round a pixel: angle, and radius over the distance to that side.
_LOOKS = (
    (0.0, 0.0),
    *((a, 0.7) for a in (0.3, 1.9, 3.4, 5.0)),
    *((a, 1.8) for a in (1.1, 2.6, 4.2, 5.8)),
)
_BLOCK = 4096


def planes(plate: Float, trimap: Float, threads: int = 1) -> Float:
    """(H, W, PLANES) float32, 0..1: see COLOURS and PLANES for the order.

    plate: (H, W, 3) display-encoded 0..1. trimap: (H, W) with 0, 0.5 and 1.
    The nearest colours come from a push-pull pyramid; the best pair is the one, of candidates on
    both sides in nine directions, whose mixture explains the pixel best (robust matting, Wang and
    Cohen 2007; shared matting, Gastal and Oliveira 2010).
    """
    import cv2

    plate = np.ascontiguousarray(plate.clip(0, 1), np.float32)
    front, back = trimap == 1, trimap == 0
    near_front, near_back = push_pull(plate, front), push_pull(plate, back)
    best_front, best_back, error = _best_pairs(plate, trimap, near_front, near_back, threads)
    # One plane after the other: that is how a network wants them.
    found = np.empty((PLANES, *trimap.shape), np.float32)
    for index, picture in enumerate((plate, near_front, near_back, best_front, best_back)):
        for channel in range(3):
            cv2.extractChannel(picture, channel, found[3 * index + channel])
    found[-4] = trimap
    found[-3] = _closeness(front)
    found[-2] = _closeness(back)
    np.sqrt(error, out=found[-1])
    np.clip(found[-1], 0, 1, out=found[-1])
    return found.transpose(1, 2, 0)


def push_pull(picture: Float, known: np.ndarray) -> Float:
    """Fill unknown pixels with colours of the known ones, by a pyramid of weighted means.

    picture: (H, W, 3). known: bool (H, W). Returns (H, W, 3); the picture's mean when no pixel is
    known. Gortler et al. 1996.
    """
    import cv2

    if not known.any():
        return np.broadcast_to(picture.mean((0, 1)), picture.shape).astype(np.float32)
    inside = known.astype(np.uint8)
    first = (cv2.copyTo(picture, inside).reshape(picture.shape), known.astype(np.float32))
    levels = [first]
    while min(levels[-1][1].shape) > 1:
        height, width = levels[-1][1].shape
        size = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
        sums, weight = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in levels[-1])
        levels.append((sums.reshape(*size[::-1], 3), weight.reshape(size[::-1])))
    sums, weight = levels.pop()
    filled = sums / np.maximum(weight, np.float32(1e-8))[..., None]
    if not (weight > 0).all():
        total = first[0].sum((0, 1)) / first[1].sum()
        filled = np.where(weight[..., None] > 0, filled, total).astype(np.float32)
    for sums, weight in reversed(levels[1:]):
        size = (sums.shape[1], sums.shape[0])
        above = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR).reshape(*size[::-1], 3)
        filled = sums + (1 - weight[..., None]) * above
    size = (picture.shape[1], picture.shape[0])
    if levels:
        filled = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR).reshape(*size[::-1], 3)
    filled = np.asarray(filled, np.float32)
    cv2.copyTo(picture, inside, filled)
    return filled


def _closeness(known: np.ndarray) -> Float:
    """Logarithm of the distance to a side, over that of 400 pixels; 1 when there is no such side."""
    import cv2

    if not known.any():
        return np.ones(known.shape, np.float32)
    away = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    found: Float = np.minimum(np.log1p(away) / _FAR, 1).astype(np.float32)
    return found


def _best_pairs(
    plate: Float, trimap: Float, near_front: Float, near_back: Float, threads: int
) -> tuple[Float, Float, Float]:
    """Colours of both sides that explain each unknown pixel best, and the squared error left."""
    import cv2

    height, width = trimap.shape
    half = (max(1, width // 2), max(1, height // 2))
    small = cv2.resize(plate, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 3)
    sides = []
    for side in (1, 0):
        whole = cv2.resize((trimap == side).astype(np.float32), half, interpolation=cv2.INTER_AREA)
        sides.append(whole > 0.99)
    unknown = ~(sides[0] | sides[1])
    if not unknown.any() or not sides[0].any() or not sides[1].any():
        return near_front, near_back, np.zeros(trimap.shape, np.float32)
    rows, columns = np.nonzero(unknown)
    candidates = [_candidates(small, known, rows, columns) for known in sides]
    front, back, error = _choose(small[rows, columns], candidates[0], candidates[1], threads)
    answers = []
    weight = np.zeros(unknown.shape, np.float32)
    weight[rows, columns] = np.exp(-error / np.float32(0.003)) + np.float32(1e-3)
    total = cv2.blur(weight, (5, 5))
    for colours, near in ((front, near_front), (back, near_back)):
        picture = cv2.resize(near, half, interpolation=cv2.INTER_AREA).reshape(small.shape)
        picture[rows, columns] = 0
        picture[rows, columns] = colours * weight[rows, columns, None]
        smooth = cv2.blur(np.where(unknown[..., None], picture, np.float32(0)), (5, 5))
        smooth = smooth / np.maximum(total, np.float32(1e-8))[..., None]
        own = cv2.resize(near, half, interpolation=cv2.INTER_AREA).reshape(small.shape)
        own[rows, columns] = smooth[rows, columns]
        answers.append(cv2.resize(own, (width, height), interpolation=cv2.INTER_LINEAR))
    left = np.zeros(unknown.shape, np.float32)
    left[rows, columns] = error
    return answers[0], answers[1], cv2.resize(left, (width, height)).reshape(height, width)


def _candidates(small: Float, known: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Float:
    """(N, looks, 3): known colours nearest to places round each pixel."""
    import cv2

    away, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros((int(labels.max()) + 1, 3), np.float32)
    by_label[labels[known]] = small[known]
    height, width = known.shape
    reach = away[rows, columns]
    found = np.empty((len(rows), len(_LOOKS), 3), np.float32)
    for index, (angle, factor) in enumerate(_LOOKS):
        y = (rows + reach * np.float32(factor * np.sin(angle))).astype(np.int32).clip(0, height - 1)
        x = (
            (columns + reach * np.float32(factor * np.cos(angle)))
            .astype(np.int32)
            .clip(0, width - 1)
        )
        found[:, index] = by_label[labels[y, x]]
    return found


def _choose(pixels: Float, fronts: Float, backs: Float, threads: int) -> tuple[Float, Float, Float]:
    """Of all pairs the one with the least error of its mixture; pairs far apart are preferred."""
    front, back = np.empty_like(pixels), np.empty_like(pixels)
    error = np.empty(len(pixels), np.float32)

    def choose(start: int) -> None:
        part = slice(start, start + _BLOCK)
        f, b = fronts[part], backs[part]
        from_back = pixels[part, None] - b
        apart = (
            np.square(f).sum(2)[:, :, None]
            + np.square(b).sum(2)[:, None]
            - 2 * np.matmul(f, b.transpose(0, 2, 1))
        )
        along = np.matmul(f, from_back.transpose(0, 2, 1)) - (from_back * b).sum(2)[:, None]
        alpha = (along / (apart + np.float32(1e-4))).clip(0, 1)
        left = np.square(from_back).sum(2)[:, None] - alpha * (2 * along - alpha * apart)
        cost = left + np.float32(2e-4) / (apart + np.float32(0.02))
        best = cost.reshape(len(f), -1).argmin(1)
        index = np.arange(len(f))
        front[part] = f[index, best // b.shape[1]]
        back[part] = b[index, best % b.shape[1]]
        error[part] = left.reshape(len(f), -1)[index, best]

    # numpy lets go of the interpreter: two threads take 0.6 of one's time.
    with ThreadPoolExecutor(threads or cores()) as pool:
        list(pool.map(choose, range(0, len(pixels), _BLOCK)))
    return front, back, np.maximum(error, 0)
