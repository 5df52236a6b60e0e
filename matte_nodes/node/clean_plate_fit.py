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
    import cv2

    scale = min(1.0, LONGEST / max(plate.shape[:2]))
    seen, clean = (details(grey(picture, scale)) for picture in (plate, background))
    down, across = seen.shape[0] // TILE, seen.shape[1] // TILE
    if not down or not across:
        return Fit(0, 0, 0, 0.0)
    ours, theirs = _tiles(seen, down, across), _tiles(clean, down, across)
    theirs_power, ours_power = (tiles * tiles for tiles in (theirs, ours))
    has_details = theirs_power.mean(axis=1) >= DETAIL * DETAIL
    whole = len(has_details)
    if segmentation is not None:
        small = cv2.resize(segmentation, seen.shape[::-1], interpolation=cv2.INTER_AREA)
        is_free = _tiles(small, down, across).max(axis=1) < 0.1
        has_details &= is_free
        whole = int(is_free.sum())
    size = np.sqrt(ours_power.sum(axis=1) * theirs_power.sum(axis=1))
    alike = has_details & ((ours * theirs).sum(axis=1) >= ALIKE * size)
    moved = _moved(seen, clean, alike, (down, across)) / scale
    far = float(np.percentile(moved, 75)) if len(moved) else 0.0
    return Fit(int(has_details.sum()), int(alike.sum()), whole, far)


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


def _tiles(picture: Float, down: int, across: int) -> Float:
    """(number of tiles, pixels of a tile); what does not fill a tile is left out."""
    cut = picture[: down * TILE, : across * TILE].reshape(down, TILE, across, TILE)
    return cut.transpose(0, 2, 1, 3).reshape(down * across, TILE * TILE)


def _moved(seen: Float, clean: Float, chosen: NDArray[np.bool_], counts: tuple[int, int]) -> Float:
    """How far each chosen tile has moved, in pixels."""
    rows, columns = (np.asarray(part, np.float32) for part in np.gradient((seen + clean) / 2))
    right, below = _tiles(columns, *counts)[chosen], _tiles(rows, *counts)[chosen]
    apart = _tiles(seen - clean, *counts)[chosen]
    a, b, c = ((x * y).sum(axis=1) for x, y in ((right, right), (right, below), (below, below)))
    e, f = (right * apart).sum(axis=1), (below * apart).sum(axis=1)
    # Along an edge a tile cannot tell how far it moved: a little is added to the diagonal.
    firm = 0.02 * (a + c) + np.float32(1e-6)
    a, c = a + firm, c + firm
    whole = a * c - b * b
    found: Float = np.hypot((c * e - b * f) / whole, (a * f - b * e) / whole)
    return found
