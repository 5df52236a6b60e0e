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

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Level:
    """One level: N cells, the unknown ones first (red, then black as on a chessboard), then ring.

    Cells are pixels at level 0; a level's cell (y, x) stands for the finer cells (2y..2y+1,
    2x..2x+1) and looks at the first of them, as in the paper. rows, columns: (N,) positions.
    lookup: (height * width,) cell number at a position; only cells of this level are defined.
    plate: (3, N); alpha: (N,).
    """

    height: int
    width: int
    rows: Index
    columns: Index
    red: int
    unknown: int
    lookup: NDArray[np.int32]
    plate: Float
    alpha: Float

    def at(self, rows: Index, columns: Index) -> Index:
        """The cell numbers at positions of this level."""
        return self.lookup[rows * self.width + columns].astype(np.intp)

    def neighbours(self, cells: slice) -> Index:
        """(4, n) the cells left, right, above and below; a cell is its own at the border."""
        rows, columns = self.rows[cells], self.columns[cells]
        here = rows * self.width + columns
        found = np.empty((4, len(rows)), np.intp)
        found[0] = self.lookup[here - (columns > 0)]
        found[1] = self.lookup[here + (columns < self.width - 1)]
        found[2] = self.lookup[here - self.width * (rows > 0)]
        found[3] = self.lookup[here + self.width * (rows < self.height - 1)]
        return found


def unknown_masks(alpha: Float) -> list[Mask]:
    """Masks (1 = unknown) from the pixels to the coarsest level, which is 2 cells at most."""
    masks = [((alpha > 0) & (alpha < 1)).view(np.uint8)]
    while max(masks[-1].shape) > 2:
        fine = masks[-1]
        height, width = fine.shape
        if height % 2 or width % 2:
            fine = np.pad(fine, ((0, height % 2), (0, width % 2)))
        rows = fine[0::2] | fine[1::2]
        masks.append(rows[:, 0::2] | rows[:, 1::2])
    return masks


def make_level(plate: Float, alpha: Float, mask: Mask, step: int) -> Level:
    """The level of a mask; step: how many pixels wide a cell is (1, 2, 4, ...)."""
    height, width = mask.shape
    around = cv2.dilate(mask, _CROSS)
    places = np.flatnonzero(around)
    rows = places // width
    columns = places - rows * width
    kind = mask.reshape(-1)[places]  # 0 ring, 1 unknown
    black = ((rows ^ columns) & 1).astype(bool)
    order = np.concatenate(
        [
            np.flatnonzero((kind == 1) & ~black),
            np.flatnonzero((kind == 1) & black),
            np.flatnonzero(kind == 0),
        ]
    )
    red, unknown = int(((kind == 1) & ~black).sum()), int((kind == 1).sum())
    places, rows, columns = places[order], rows[order], columns[order]
    lookup = np.empty(height * width, np.int32)
    lookup[places] = np.arange(len(places), dtype=np.int32)
    pixels = rows * (step * plate.shape[1]) + columns * step
    colors = np.take(plate.reshape(-1, 3), pixels, axis=0)
    return Level(
        height=height,
        width=width,
        rows=rows,
        columns=columns,
        red=red,
        unknown=unknown,
        lookup=lookup,
        plate=np.ascontiguousarray(colors.T),
        alpha=np.take(alpha.reshape(-1), pixels),
    )
