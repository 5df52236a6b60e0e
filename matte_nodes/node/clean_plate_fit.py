# SPDX-License-Identifier: Apache-2.0
"""How well a clean plate fits a plate: tile by tile, by the details that both show.

A tile fits when its details (light without its smooth part) correlate. Gain, gamma and smooth shadows
so count little. For the tiles that fit, one Lucas-Kanade step (Lucas, Kanade 1981) tells how far
the clean plate has moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

LONGEST = 1280
"""Pictures are compared at most at this size."""

TILE = 32
SMOOTH = 4.0  # sigma in pixels: what is smoother is no detail
DETAIL = 2.5  # least deviation of a tile's details, in 8-bit codes: twice the noise of a phone
ALIKE = 0.8  # least correlation of a tile that fits
LEAST_TILES = 12  # with fewer tiles with details nothing can be aligned
LEAST_PART = 0.2  # of all tiles: where fewer have details, a subject may hide them all
LEAST_SHARE = (
    0.1  # of the tiles with details; another place has 0, a subject hides no more than 90 %
)
STILL = 0.3  # pixels of the plate: what three of four tiles may have moved in a locked-off shot


@dataclass(frozen=True)
class Fit:
    """How a clean plate agrees with a plate."""

    tiles: int
    """Tiles of the clean plate with details, outside the subject if that is known."""

    alike: int
    """How many of them the plate shows too."""

    whole: int
    """How many tiles there are, outside the subject if that is known."""

    moved: float
    """How far three of four such tiles have moved at most, in pixels of the plate."""

    @property
    def share(self) -> float:
        """The part of the tiles that the plate shows too; 1 where nothing has details."""
        return self.alike / self.tiles if self.tiles else 1.0

    @property
    def is_bad(self) -> bool:
        """Whether the clean plate is surely not of this place, or lies elsewhere."""
        is_known = self.tiles >= max(LEAST_TILES, LEAST_PART * self.whole)
        return is_known and self.share < LEAST_SHARE

    @property
    def is_locked(self) -> bool:
        """Whether the clean plate lies on the plate as it is, or nothing can be told."""
        if self.tiles < LEAST_TILES:
            return True
        return self.share >= LEAST_SHARE and self.moved <= STILL


def fit(background: NDArray[Any], plate: NDArray[Any], segmentation: Float | None = None) -> Fit:
    """Compare a clean plate with a plate.

    background, plate: (H, W, 3) of one size, any pixel type and encoding. segmentation: (H, W)
    float32 0..1; tiles that touch the subject are left out.
    """
    found = Pair.of(background, plate, segmentation).tiles()
    moved = np.hypot(*found.shifts().T) / found.scale
    far = float(np.percentile(moved, 75)) if len(moved) else 0.0
    return Fit(int(found.has_details.sum()), int(found.is_alike.sum()), found.whole, far)


@dataclass(frozen=True)
class Tiles:
    """The tiles of two pictures, and the sums that Lucas-Kanade steps are made of.

    They are `down` x `across` tiles, row by row, of pictures that are `scale` times the plate.
    """

    scale: float
    counts: tuple[int, int]
    whole: int
    """How many tiles lie outside the subject."""

    has_details: NDArray[np.bool_]
    is_alike: NDArray[np.bool_]
    squares: Float
    """(alike tiles, 3): sums of the slopes' products: across x across, across x down, down x down."""

    apart: Float
    """(alike tiles, 2): sums of the slopes times the difference, across and down."""

    def centres(self) -> Float:
        """Return (alike tiles, 2): their centres x, y, in pixels of the reduced pictures."""
        down, across = np.divmod(np.flatnonzero(self.is_alike), max(1, self.counts[1]))
        return np.asarray(np.stack((across, down), 1) * TILE + (TILE - 1) / 2, np.float32)

    def shifts(self) -> Float:
        """Return (alike tiles, 2): how far each has moved by itself, in reduced pixels."""
        a, b, c = self.squares.T
        e, f = self.apart.T
        # Along an edge a tile cannot tell how far it moved: a little is added to the diagonal.
        firm = 0.02 * (a + c) + np.float32(1e-6)
        a, c = a + firm, c + firm
        found = np.stack((c * e - b * f, a * f - b * e), 1) / (a * c - b * b)[:, None]
        return np.asarray(found, np.float32)


@dataclass(frozen=True)
class Pair:
    """The details of a plate and of its clean plate, reduced to at most LONGEST pixels."""

    scale: float
    seen: Float
    clean: Float
    subject: Float | None
    """The segmentation at the same size."""

    @staticmethod
    def of(
        background: NDArray[Any], plate: NDArray[Any], segmentation: Float | None = None
    ) -> Pair:
        """Return the details; the arguments are those of `fit`."""
        import cv2

        scale = min(1.0, LONGEST / max(plate.shape[:2]))
        seen, clean = (details(grey(picture, scale)) for picture in (plate, background))
        if segmentation is None:
            return Pair(scale, seen, clean, None)
        small = cv2.resize(segmentation, seen.shape[::-1], interpolation=cv2.INTER_AREA)
        return Pair(scale, seen, clean, np.asarray(small, np.float32))

    def tiles(self, homography: NDArray[np.float64] | None = None) -> Tiles:
        """Return the tiles.

        homography: (3, 3), moves the clean plate's details first, in reduced pixels.
        """
        import cv2

        seen, clean = self.seen, self.clean
        if homography is not None:
            size = (clean.shape[1], clean.shape[0])
            clean = np.asarray(cv2.warpPerspective(clean, homography, size), np.float32)
        counts = seen.shape[0] // TILE, seen.shape[1] // TILE
        if not counts[0] * counts[1]:
            nothing = np.zeros(0, np.bool_)
            empty = np.zeros((0, 3), np.float32)
            return Tiles(self.scale, counts, 0, nothing, nothing, empty, empty[:, :2])
        ours, theirs = _tiles(seen, counts), _tiles(clean, counts)
        theirs_power, ours_power = (part * part for part in (theirs, ours))
        has_details = theirs_power.mean(axis=1) >= DETAIL * DETAIL
        whole = len(has_details)
        if self.subject is not None:
            is_free = _tiles(self.subject, counts).max(axis=1) < 0.1
            has_details &= is_free
            whole = int(is_free.sum())
        size_of_both = np.sqrt(ours_power.sum(axis=1) * theirs_power.sum(axis=1))
        alike = has_details & ((ours * theirs).sum(axis=1) >= ALIKE * size_of_both)
        rows, columns = (np.asarray(part, np.float32) for part in np.gradient((seen + clean) / 2))
        right, below = _tiles(columns, counts)[alike], _tiles(rows, counts)[alike]
        apart = ours[alike] - theirs[alike]
        pairs = ((right, right), (right, below), (below, below))
        squares = np.stack([(x * y).sum(axis=1) for x, y in pairs], 1)
        sums = np.stack([(slope * apart).sum(axis=1) for slope in (right, below)], 1)
        return Tiles(self.scale, counts, whole, has_details, alike, squares, sums)


def grey(picture: NDArray[Any], scale: float = 1.0) -> NDArray[np.uint8]:
    """An 8-bit grey copy whose contrast suits details: linear light is square-rooted."""
    import cv2

    values = picture.astype(np.float32)
    if scale < 1:
        values = cv2.resize(values, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    values = cv2.transform(values, np.full((1, 3), 1 / 3, np.float32))
    if picture.dtype.kind == "u":
        values /= np.float32(np.iinfo(picture.dtype).max)
    else:
        values = np.sqrt(np.clip(values, 0, 1))
    return np.asarray(np.round(values * 255), np.uint8)


def details(picture: NDArray[np.uint8]) -> Float:
    """What is left of an 8-bit picture without its smooth part: (H, W) float32, in codes."""
    import cv2

    values = picture.astype(np.float32)
    left: Float = values - cv2.GaussianBlur(values, (0, 0), SMOOTH)
    return left


def _tiles(picture: Float, counts: tuple[int, int]) -> Float:
    """(number of tiles, pixels of a tile); what does not fill a tile is left out."""
    down, across = counts
    cut = picture[: down * TILE, : across * TILE].reshape(down, TILE, across, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(down * across, TILE * TILE)
