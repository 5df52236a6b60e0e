# SPDX-License-Identifier: Apache-2.0
"""The pyramid of unknown pixels: at each level only those, and the ring of pixels around them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Index = NDArray[np.intp]
Mask = NDArray[np.uint8]

COARSEST = 8  # cells from side to side; 2 cost 3 % more time, and change no error
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Level:
    """One level: N cells, the unknown ones first (red, then black as on a chessboard), then ring.

    Cells are pixels at level 0; a level's cell (y, x) stands for the finer cells (2y..2y+1,
    2x..2x+1) and looks at the first of them, as in the paper. rows, columns: (N,) positions.
    step: how many pixels wide a cell is. lookup: (height * width,) cell number at a position; only
    cells of this level are defined. borders: whether an unknown cell lies at the left, right, upper
    and lower border.
    plate: (3, N); alpha: (N,). behind: (3, N) the clean plate, or None.
    """

    height: int
    width: int
    step: int
    rows: Index
    columns: Index
    red: int
    unknown: int
    lookup: Index
    borders: tuple[bool, bool, bool, bool]
    plate: Float
    alpha: Float
    behind: Float | None = None

    def at(self, rows: Index, columns: Index) -> Index:
        """Return the cell numbers at positions of this level."""
        found: Index = np.take(self.lookup, rows * self.width + columns, mode="clip")
        return found

    def neighbours(self, cells: slice) -> Index:
        """Return (4, n) the cells left, right, above and below; a cell is its own at the border."""
        rows, columns = self.rows[cells], self.columns[cells]
        here = rows * self.width + columns
        found = np.empty((4, len(rows)), np.intp)
        sides = (
            (-1, columns, 0),
            (1, columns, self.width - 1),
            (-self.width, rows, 0),
            (self.width, rows, self.height - 1),
        )
        there = np.empty_like(here)
        for side, (step, along, last) in enumerate(sides):
            np.add(here, step, out=there)
            if self.borders[side]:
                np.copyto(there, here, where=along == last)
            np.take(self.lookup, there, out=found[side], mode="clip")
        return found


def unknown_masks(alpha: Float) -> list[Mask]:
    """Return masks (1 = unknown) from the pixels to the coarsest level, COARSEST cells at most."""
    masks = [((alpha > 0) & (alpha < 1)).view(np.uint8)]
    while max(masks[-1].shape) > COARSEST:
        fine = masks[-1]
        height, width = fine.shape
        if height % 2 or width % 2:
            fine = np.pad(fine, ((0, height % 2), (0, width % 2)))
        rows = fine[0::2] | fine[1::2]
        masks.append(rows[:, 0::2] | rows[:, 1::2])
    return masks


def make_level(
    plate: Float, alpha: Float, mask: Mask, step: int, background: Float | None = None
) -> Level:
    """Return the level of a mask; step: how many pixels wide a cell is (1, 2, 4, ...).

    With a background the level's plate is what that does not explain: I - (1 - a) background.
    """
    height, width = mask.shape
    unknown = mask.view(np.bool_)
    black = unknown.copy()
    black[0::2, 0::2] = black[1::2, 1::2] = False
    ring = cv2.dilate(mask, _CROSS).view(np.bool_) ^ unknown
    parts = [np.flatnonzero(part) for part in (unknown ^ black, black, ring)]
    places = np.concatenate(parts)
    rows = places // width
    columns = places - rows * width
    lookup = np.empty(height * width, np.intp)
    lookup[places] = np.arange(len(places))
    pixels = rows * (step * plate.shape[1]) + columns * step
    colors = np.take(plate.reshape(-1, 3), pixels, axis=0)
    alphas = np.take(alpha.reshape(-1), pixels)
    behind = None
    if background is not None:
        clean = np.take(background.reshape(-1, 3), pixels, axis=0)
        behind = np.ascontiguousarray(clean.T)
        clean *= (1 - alphas)[:, None]
        colors -= clean
    return Level(
        height=height,
        width=width,
        step=step,
        rows=rows,
        columns=columns,
        red=len(parts[0]),
        unknown=len(parts[0]) + len(parts[1]),
        lookup=lookup,
        borders=(
            bool(mask[:, 0].any()),
            bool(mask[:, -1].any()),
            bool(mask[0].any()),
            bool(mask[-1].any()),
        ),
        plate=np.ascontiguousarray(colors.T),
        alpha=alphas,
        behind=behind,
    )
