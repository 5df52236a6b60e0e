# SPDX-License-Identifier: Apache-2.0
"""The smallest cut through a picture for given odds, distances along its edges, colour odds.

OpenCV's GrabCut (Rother et al. 2004) learns its own colours, and they are all that it weighs. Here
its solver is given models that are frozen, so that it cuts by our odds: clicks, colours, what
stands out, and the frame before. A picture of (odds, lightness, redness) and two Gaussians that
look at the odds alone have exactly these odds; neighbours are weighed by all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

LIMIT = 12.0
"""Odds (natural logarithm, subject over rest) are clipped here.

A click is surer than all of them.
"""

BINS = 24


def cut(lab: Float, odds: Float, sure: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return the subject: the labels with the least cost for odds and for neighbours that differ.

    lab: (H, W, 3) float32, L 0..100, a and b. odds: (H, W) float32, log of subject over rest.
    sure: (H, W) int8, 1 subject, -1 not subject, 0 undecided. Returns (H, W) bool. The result
    depends on nothing else: no random number is drawn.
    """
    if odds.size < 4 or min(odds.shape) < 2:
        return np.asarray(np.where(sure == 0, odds > 0, sure > 0))
    codes = np.clip(odds * (127.5 / LIMIT) + 127.5, 0, 255)
    picture = np.dstack([codes, lab[..., 0] * 2.55, lab[..., 1] + lab[..., 2] * 0.5 + 128])
    labels = np.where(odds > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[sure > 0], labels[sure < 0] = cv2.GC_FGD, cv2.GC_BGD
    # Two Gaussians at 0 and 255 with this variance differ by the odds: x (255 / s^2) = odds.
    variance = 255.0 * 127.5 / LIMIT
    pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    cv2.grabCut(
        pixels, labels, None, _frozen(0.0, variance), _frozen(255.0, variance), 1,
        cv2.GC_EVAL_FREEZE_MODEL,
    )  # fmt: skip
    return np.asarray(labels & 1, bool)


def _frozen(mean: float, variance: float) -> NDArray[np.float64]:
    """Return a mixture as grabCut stores it: 5 weights, 5 means, 5 covariances.

    One component is used.
    """
    model = np.zeros((1, 65))
    model[0, 0] = 1
    model[0, 5:8] = mean, 128, 128
    model[0, 20:29] = np.diag([variance, 1e8, 1e8]).ravel()
    return model


def geodesic(steps_down: Float, steps_right: Float, seeds: Float, rounds: int = 3) -> Float:
    """Distances from seeds, where a step costs more across an edge.

    steps_down: (H - 1, W) float32 cost between a pixel and the one below. steps_right: (H, W - 1)
    likewise. seeds: (H, W) float32, 0 on seeds and large elsewhere. Returns (H, W) float32.
    Criminisi, Sharp, Blake 2008 sweep like this; along rows and columns a sweep is exact.
    """
    found = seeds.astype(np.float64)
    along_row = np.concatenate(
        [np.zeros((found.shape[0], 1)), np.cumsum(steps_right, axis=1, dtype=np.float64)], axis=1
    )
    along_column = np.concatenate(
        [np.zeros((1, found.shape[1])), np.cumsum(steps_down, axis=0, dtype=np.float64)], axis=0
    )
    for _ in range(rounds):
        before = found
        found = _swept(found, along_row, 1)
        found = _swept(found, along_column, 0)
        if np.array_equal(before, found):
            break
    return found.astype(np.float32)


def _swept(
    found: NDArray[np.float64], along: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Return the best distance along one axis, both ways.

    Min over x' of found(x') + |along(x) - along(x')|.
    """
    forth = np.minimum.accumulate(found - along, axis=axis) + along
    back = np.flip(np.minimum.accumulate(np.flip(found + along, axis), axis=axis), axis) - along
    return np.minimum(forth, back)


def edge_steps(lab: Float, edge: float) -> tuple[Float, Float]:
    """Costs of a step down and of a step right: 1 in flat parts, more across colours that differ.

    edge: what a difference adds that is as large as the mean one round about. Differences are
    compared with their surroundings, so that hair and leaves are no walls.
    """
    found = []
    for axis in (0, 1):
        change = np.linalg.norm(np.diff(lab, axis=axis), axis=2).astype(np.float32)
        usual = cv2.GaussianBlur(change, (0, 0), max(2.0, max(lab.shape) / 50))
        found.append(1 + np.float32(edge) * change / (usual + change.mean() + 1))
    return found[0].astype(np.float32), found[1].astype(np.float32)


def colour_odds(lab: Float, subject: Float, rest: Float) -> Float:
    """Return how much likelier each pixel's colour is among the subject's pixels than among the rest.

    subject, rest: (H, W) float32 weights, 0 or more. Returns (H, W) float32, log odds. Colours are
    counted in a smoothed histogram of Lab, so that a colour seen in neither has odds 0.
    """
    size = np.array([100.0, 160.0, 160.0], np.float32)
    place = (lab + np.array([0, 80, 80], np.float32)) / size
    bins = np.clip(place * BINS, 0, BINS - 1).astype(np.int64)
    flat = ((bins[..., 0] * BINS + bins[..., 1]) * BINS + bins[..., 2]).ravel()
    counts = []
    for weights in (subject, rest):
        count = np.bincount(flat, weights.ravel().astype(np.float64), BINS**3)
        total = count.sum()
        smooth = _smoothed(count.reshape((BINS, BINS, BINS)).astype(np.float64))
        counts.append(smooth / total if total > 0 else np.zeros_like(smooth))
    floor = 2e-4
    odds = np.log((counts[0] + floor) / (counts[1] + floor))
    return np.asarray(odds.ravel()[flat].reshape(lab.shape[:2]), np.float32)


def _smoothed(cube: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each bin shared with its neighbours, 1-2-1 along each axis."""
    for axis in range(3):
        padded = np.pad(cube, [(1, 1) if n == axis else (0, 0) for n in range(3)])
        low, mid, high = (
            np.take(padded, range(n, n + cube.shape[axis]), axis=axis) for n in range(3)
        )
        cube = 0.25 * low + 0.5 * mid + 0.25 * high
    return cube
