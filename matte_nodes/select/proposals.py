# SPDX-License-Identifier: Apache-2.0
"""Which thing a click means: what stands out in parts of the picture round it, and the best of these.

A salience network sees two people who touch as one thing, and a dark room as a part of who sits in
it. In a smaller part of the picture it sees less; in every part it sees something. So several
parts are looked at. The answer that another part agrees with, that the click is in the middle of,
and that its part does not cut off is the thing that was meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

    StandsOut: TypeAlias = Callable[[Float], Float]
    Box: TypeAlias = tuple[int, int, int, int]

SIZES = 0.42, 0.6, 0.8
"""Parts round a click: roots of their areas, of the longer side of the picture."""

SHAPES = 1.0, 1.8
"""Their heights over their widths."""

AGREE, MIDDLE, CUT, WHOLE = 0.5, 0.4, 0.1, 0.3
"""Weights of the second best agreement with another part's answer (intersection over union), of the
click's distance from the middle (of the root of the answer's area), of the length that the part's
border cuts (of the same), and what the whole picture's answer has ahead. Fitted to made pictures of
rendered people, leaves and large things (docs/decisions/select.md)."""

LEAST = 0.0
"""Score below which nothing is meant: an answer that no other agrees with, or that is cut off."""


@dataclass(frozen=True)
class Proposal:
    """What stands out in a part of the picture, (H, W) float32 0..1, and the piece of it that was
    clicked on, (H, W) bool. cut: pixels of the piece along the part's border.
    is_whole: whether the part is the whole picture."""

    found: Float
    piece: NDArray[np.bool_]
    cut: int
    is_whole: bool


def parts(shape: tuple[int, ...], click: tuple[float, float]) -> list[Box]:
    """Return the whole picture and parts of it round a click, as x0, y0, x1, y1."""
    height, width = shape[:2]
    found = [(0, 0, width, height)]
    for size in SIZES:
        for tall in SHAPES:
            wide, high = (size * max(height, width) * tall**p / 2 for p in (-0.5, 0.5))
            x0, y0 = int(max(0, click[0] - wide)), int(max(0, click[1] - high))
            x1, y1 = int(min(width, click[0] + wide + 1)), int(min(height, click[1] + high + 1))
            if (x0, y0, x1, y1) not in found:
                found.append((x0, y0, x1, y1))
    return found


def meant(plate: Float, click: tuple[float, float], stands_out: StandsOut) -> Float | None:
    """Return what stands out and is meant by a click, or None where nothing stands out there.

    plate: (H, W, 3) float32, display-encoded, 0..1. click: x and y inside of it. stands_out:
    (h, w, 3) to (h, w) 0..1. Returns (H, W) float32 0..1.
    """
    proposals = [
        proposal
        for box in parts(plate.shape, click)
        if (proposal := _proposal(plate, click, box, stands_out)) is not None
    ]
    if not proposals:
        return None
    if len(proposals) == 1 and proposals[0].is_whole:
        return proposals[0].found
    scores = [_score(n, proposals, click) for n in range(len(proposals))]
    best = int(np.argmax(scores))
    return proposals[best].found if scores[best] > LEAST else None


def _proposal(
    plate: Float, click: tuple[float, float], box: Box, stands_out: StandsOut
) -> Proposal | None:
    """What stands out in one part, or None where the click is on nothing."""
    x0, y0, x1, y1 = box
    height, width = plate.shape[:2]
    found = seen_in(plate, box, stands_out)
    inside = found > 0.5
    _, labels = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
    label = int(value_at(labels, click))
    if not label:
        return None
    piece = np.asarray(labels == label, bool)
    cut = 0
    for is_inner, line in (
        (x0 > 0, piece[:, x0]), (x1 < width, piece[:, x1 - 1]),
        (y0 > 0, piece[y0]), (y1 < height, piece[y1 - 1]),
    ):  # fmt: skip
        cut += int(line.sum()) if is_inner else 0
    return Proposal(found, piece, cut, box == (0, 0, width, height))


def _score(index: int, proposals: list[Proposal], click: tuple[float, float]) -> float:
    """How likely a proposal is meant; the higher the better."""
    own = proposals[index]
    agreed = sorted(
        float((own.piece & other.piece).sum() / (own.piece | other.piece).sum())
        for n, other in enumerate(proposals)
        if n != index
    )
    rows, columns = np.nonzero(own.piece)
    size = float(np.sqrt(len(rows)))
    away = float(np.hypot(columns.mean() - click[0], rows.mean() - click[1])) / size
    second = agreed[-2] if len(agreed) > 1 else 0.0
    score = AGREE * second - MIDDLE * away - CUT * own.cut / size
    return score + (WHOLE if own.is_whole else 0.0)


def seen_in(plate: Float, box: Box, stands_out: StandsOut) -> Float:
    """Return what stands out in a part of a picture, (H, W) float32 0..1; 0 outside of the part."""
    x0, y0, x1, y1 = box
    found = np.zeros(plate.shape[:2], np.float32)
    found[y0:y1, x0:x1] = stands_out(np.ascontiguousarray(plate[y0:y1, x0:x1]))
    return found


def value_at(picture: NDArray[Any], point: tuple[float, float]) -> float:
    """Return the value of (H, W) at a point x, y; of the nearest pixel for one outside."""
    height, width = picture.shape
    x, y = min(max(int(point[0]), 0), width - 1), min(max(int(point[1]), 0), height - 1)
    return float(picture[y, x])
