# SPDX-License-Identifier: Apache-2.0
"""One frame's clicks and box to a mask: odds from all that is known, cut, and the edge at full size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from matte_nodes.points import Marks
from matte_nodes.select.cut import LIMIT, colour_odds, cut, edge_steps, geodesic
from matte_nodes.select.proposals import meant, seen_in, value_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.select.proposals import StandsOut

SIDE = 400
"""Pixels of the longer side that masks are found at."""

FAR = 1e6

CLICK_RADIUS = 0.004
"""Of the longer side: so far round a click the label is sure."""

EDGE = 4.0
"""What a usual difference of colours costs on the way from a click, in pixels."""

VICINITY = 0.05
"""Share of the picture round each click whose colours are the subject's, where no map is known."""

REACH = 0.16
"""Of the longer side: how far a click reaches where there is no edge."""

DOUBT = 0.16
"""Of the longer side: how far a map is doubted round a click that it is wrong about."""

BESIDE = 60.0
"""Weight of the colours of clicks beside the subject, against those of clicks on it."""

ROUNDS = 3
"""Times that the picture is cut; colours are learnt anew from each cut."""

SALIENCE, COLOUR, NEAR, OUTSIDE, CARRIED = 3.0, 1.0, 8.0, 0.5, 4.0
"""Weights of the odds: what stands out, colours, nearness to clicks, the bias to the rest, and
the mask that was carried here."""


def select(
    plate: Float, marks: Marks, stands_out: StandsOut | None = None, before: Float | None = None
) -> Float:
    """Return the mask of one object.

    plate: (H, W, 3) float32, display-encoded, 0..1, of a bounded size (SIDE). marks: clicks and a
    box in its pixels. stands_out: a salience network, (h, w, 3) to (h, w) 0..1, or None. before:
    (H, W) float32, the mask as it was carried here from other frames, or None. Returns (H, W)
    float32 with 0 and 1. The same arguments give the same pixels.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(plate, np.float32), cv2.COLOR_RGB2Lab)
    sure = sure_pixels(lab.shape[:2], marks)
    beside = sure_pixels(lab.shape[:2], Marks(marks.subject, marks.others)) < 0
    if min(sure.shape) < 2:
        return (sure > 0).astype(np.float32)
    steps = edge_steps(cv2.GaussianBlur(lab, (0, 0), 1.0), EDGE)
    near = _nearness(sure, marks, steps)
    fixed = np.float32(NEAR) * near - np.float32(OUTSIDE)
    if before is None:
        known = _standing_out(plate, marks, sure, stands_out)
        strength = SALIENCE
    else:
        known, strength = before, CARRIED
    if known is None:
        colours = _first_colours(lab, sure, beside, steps)
    else:
        known = _doubted(known, sure, steps)
        fixed = fixed + np.float32(strength) * (2 * known - 1)
        # What clicks are near to counts as theirs, or a wrong map would confirm itself.
        colours = _colours(lab, np.clip(known + near, 0, 1), sure, beside)
    for _ in range(ROUNDS):
        mask = cut(lab, np.clip(fixed + np.float32(COLOUR) * colours, -LIMIT, LIMIT), sure)
        colours = _colours(lab, mask.astype(np.float32), sure, beside)
    return _clicked_parts(mask, sure, before).astype(np.float32)


def sure_pixels(size: tuple[int, ...], marks: Marks) -> NDArray[np.int8]:
    """Return (H, W) int8: 1 round clicks on the subject, -1 round the others and outside of the box."""
    height, width = size[:2]
    sure = np.zeros((height, width), np.int8)
    if marks.box:
        x0, y0, x1, y1 = marks.box
        inside = np.zeros((height, width), bool)
        inside[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))] = True
        sure[~inside] = -1
    radius = max(1, round(CLICK_RADIUS * max(height, width)))
    discs = [(point, -1) for point in marks.others] + [(point, 1) for point in marks.subject]
    for (x, y), label in discs:
        cv2.circle(sure, (int(x), int(y)), radius, label, -1)
    for (x, y), label in discs:  # a click always holds in its own pixel
        sure[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)] = label
    return sure


def _nearness(sure: NDArray[np.int8], marks: Marks, steps: tuple[Float, Float]) -> Float:
    """-1..1: how near clicks on the subject are, less how near other clicks are, along edges."""
    reach = REACH * max(sure.shape)
    clicks = sure_pixels(sure.shape, Marks(marks.subject, marks.others))
    found = np.zeros(sure.shape, np.float32)
    for label in (1, -1):
        if (clicks == label).any():
            seeds = np.where(clicks == label, 0, FAR).astype(np.float32)
            found += np.float32(label) * np.exp(-geodesic(*steps, seeds) / np.float32(reach))
    return found


def _doubted(known: Float, sure: NDArray[np.int8], steps: tuple[Float, Float]) -> Float:
    """Return a map with less to say (0.5) round clicks that it is wrong about."""
    wrong = ((sure > 0) & (known < 0.5)) | ((sure < 0) & (known > 0.5))
    if not wrong.any():
        return known
    away = geodesic(*steps, np.where(wrong, 0, FAR).astype(np.float32))
    trust = 1 - np.exp(-away / np.float32(DOUBT * max(sure.shape)))
    return np.asarray(0.5 + (known - 0.5) * trust, np.float32)


def _standing_out(
    plate: Float, marks: Marks, sure: NDArray[np.int8], stands_out: StandsOut | None
) -> Float | None:
    """Return what stands out and fits the clicks and the box best, 0..1; None when nothing fits."""
    if stands_out is None:
        return None
    if marks.box is None and marks.subject:
        # Later clicks correct the map that was seen: they say little about which map is better.
        clicked = meant(plate, marks.subject[0], stands_out)
        if clicked is None:
            return None
        return clicked * _clicked_parts(clicked > 0.5, sure, None, soft=True)
    best: Float | None = None
    best_score = 0.5
    for part in _parts(plate.shape, marks):
        found = seen_in(plate, part, stands_out)
        if marks.box:
            found[sure_pixels(found.shape, Marks(box=marks.box)) < 0] = 0
        found = found * _clicked_parts(found > 0.5, sure, None, soft=True)
        score = _fits(found, marks)
        if score > best_score + 0.02:
            best, best_score = found, score
        if best_score > 0.9:
            break
    return best


def _parts(shape: tuple[int, ...], marks: Marks) -> list[tuple[int, int, int, int]]:
    """Parts of the picture to look for the subject in: the whole, or the box with more and less."""
    height, width = shape[:2]
    whole = (0, 0, width, height)
    if marks.box is None:
        return [whole]
    x0, y0, x1, y1 = marks.box
    grown = [
        _around(x0 - s * (x1 - x0), y0 - s * (y1 - y0), x1 + s * (x1 - x0), y1 + s * (y1 - y0),
                width, height)
        for s in (0.25, 0.1, 0.0)
    ]  # fmt: skip
    return [*grown, whole]


def _around(
    x0: float, y0: float, x1: float, y1: float, width: int, height: int
) -> tuple[int, int, int, int]:
    left, top = min(max(0, int(x0)), width - 1), min(max(0, int(y0)), height - 1)
    return (
        left,
        top,
        max(left + 1, min(width, int(np.ceil(x1)))),
        max(top + 1, min(height, int(np.ceil(y1)))),
    )


def _fits(found: Float, marks: Marks) -> float:
    """0..1: whether the first click is in the map, and how well the map fills its box."""
    height, width = found.shape
    # Later clicks correct the map that was seen: they say little about which map is better.
    clicks = float(not marks.subject or value_at(found, marks.subject[0]) > 0.5)
    if marks.box is None:
        return clicks
    inside = found > 0.5
    if not inside.any():
        return 0.0
    rows, columns = np.nonzero(inside.any(axis=1))[0], np.nonzero(inside.any(axis=0))[0]
    x0, y0, x1, y1 = np.clip(marks.box, 0, [width, height, width, height])
    wide = (columns[-1] + 1 - columns[0]) / max(1.0, x1 - x0)
    high = (rows[-1] + 1 - rows[0]) / max(1.0, y1 - y0)
    return float(clicks * min(1.0, wide) * min(1.0, high))


def _first_colours(
    lab: Float, sure: NDArray[np.int8], beside: NDArray[np.bool_], steps: tuple[Float, Float]
) -> Float:
    """Return colour odds where no map is known.

    Of the surroundings of each click, or of all of the box.
    """
    count, labels = cv2.connectedComponents((sure > 0).astype(np.uint8), connectivity=8)
    if count < 2:
        return _colours(lab, (sure == 0).astype(np.float32), sure, beside)
    found = np.full(sure.shape, -np.inf, np.float32)
    for label in range(1, count):
        away = geodesic(*steps, np.where(labels == label, 0, FAR).astype(np.float32))
        around = away <= np.quantile(away[sure >= 0], VICINITY)
        found = np.maximum(found, _colours(lab, around.astype(np.float32), sure, beside))
    return found


def _colours(lab: Float, weight: Float, sure: NDArray[np.int8], beside: NDArray[np.bool_]) -> Float:
    """Return colour odds of the mask against the rest; clicks count more.

    beside: (H, W) bool, round the clicks beside the subject. They count most: a wrong map has their
    colours among the subject's, and a texture of many edges lets their nearness reach nowhere.
    """
    more = np.float32(sure.size / 400)
    clicks = sure > 0
    trust = np.abs(2 * weight - 1)
    subject = np.where(sure < 0, 0, weight * trust)
    rest = np.where(clicks, 0, (1 - weight) * trust)
    if clicks.any():
        subject = subject + clicks * (more / clicks.sum())
    if beside.any():
        rest = rest + beside * (np.float32(BESIDE) * more / beside.sum())
    return np.clip(colour_odds(lab, subject.astype(np.float32), rest.astype(np.float32)), -4, 4)


def _clicked_parts(
    mask: NDArray[np.bool_],
    sure: NDArray[np.int8],
    before: Float | None = None,
    soft: bool = False,
) -> Float:
    """Return the parts of a mask that a click is on; all of it when there is no such part.

    before: a part that was mostly in the mask before stays too: something may stand between it and
    the part that was clicked on.
    """
    everything = np.ones(mask.shape, np.float32) if soft else mask.astype(np.float32)
    if not (sure > 0).any():
        return everything
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    chosen = {int(label) for label in np.unique(labels[(sure > 0) & mask])} - {0}
    if not chosen:
        return everything
    if before is not None:
        chosen |= {n for n in range(1, count) if before[labels == n].mean() > 0.5}
    keep = np.isin(labels, list(chosen))
    return (keep | ~mask).astype(np.float32) if soft else keep.astype(np.float32)
