# SPDX-License-Identifier: Apache-2.0
"""Measurements of one delivered frame for checks and plots, in one pass over its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.media.clip import paste
from matte_nodes.media.image import Image
from matte_nodes.temporal.steady import carry, small_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.color import PlateColor
    from matte_nodes.media.clip import Clip
    from matte_nodes.publish.picture import DeliveredPicture
    from matte_nodes.shot.bind import BoundHint

TOLERANCE = 1e-3
"""Alpha may miss 0, 1 or a trimap by this: half floats step by 0.0005 below 1."""

BLACK = 0.02
"""A plate that is this dark, in its own encoding, may give a black foreground."""


@dataclass(frozen=True)
class Measured:
    """Measurements of one frame."""

    not_finite: tuple[str, ...]
    """Names of channels with NaN or Inf."""
    low: float
    """Least finite alpha."""
    high: float
    """Largest finite alpha."""
    coverage: float
    """Mean alpha, 0..1."""
    edge_width: float
    """Mean width of the soft band in pixels; 0 without an edge."""
    black: float
    """Share of pixels with alpha > 0.01 whose foreground is black where the plate is not."""
    unmultiplied: float | None
    """Share of soft pixels whose R, G, B differ from foreground x alpha; None if unknown."""
    off_trimap: int
    """Number of pixels that miss a 0 or a 1 of the trimap."""
    flicker: float | None = None
    """Mean change of alpha in the edge band against the frame before, after motion compensation.

    0..1. None at the first frame, after a gap, and beside frames without an edge.
    """


class Measurer:
    """Measures frames in order. Keeps the frame before, to compensate its motion."""

    def __init__(
        self, plate: Clip | None, trimap: BoundHint | None, color: Callable[[], PlateColor | None]
    ) -> None:
        self._plate, self._trimap, self._color = plate, trimap, color
        self._before: tuple[int, Float, NDArray[np.uint8]] | None = None

    def gap(self) -> None:
        """Note a missing frame: the next frame has no frame before it."""
        self._before = None

    def of(self, number: int, picture: DeliveredPicture, plate: Image | None) -> Measured:
        """Return the measurements of one frame. plate: the plate of this frame, or None."""
        picture = _whole(picture, plate)
        clean = np.nan_to_num(picture.alpha, nan=0.0, posinf=1.0, neginf=0.0)
        finite = picture.alpha[np.isfinite(picture.alpha)]
        inside = np.clip(clean, 0, 1)
        fits = _fits(picture, plate)
        even = float(inside.min()) == float(inside.max())  # `empty` and `solid` speak of those
        found = Measured(
            not_finite=_not_finite(picture),
            low=float(finite.min()) if finite.size else 0.0,
            high=float(finite.max()) if finite.size else 0.0,
            coverage=float(inside.mean(dtype=np.float64)),
            edge_width=edge_width(inside),
            black=0.0 if even else _black(picture, inside, plate if fits else None),
            unmultiplied=_unmultiplied(picture, inside),
            off_trimap=self._off_trimap(number, picture, inside) if fits and not even else 0,
        )
        return replace(found, flicker=self._flicker(number, picture, inside, plate, fits))

    def _off_trimap(self, number: int, picture: DeliveredPicture, alpha: Float) -> int:
        trimap, plate = self._trimap, self._plate
        if trimap is None or plate is None:
            return 0
        asked = trimap.pixels(number)
        if asked is None:
            return 0
        window = picture.data_window
        placed = paste(
            Image(asked[..., None], ("Y",), plate.canvas, plate.display_window), window, 0.5
        )[..., 0]
        misses = (placed == 0) & (alpha > TOLERANCE) | (placed == 1) & (alpha < 1 - TOLERANCE)
        return int(misses.sum())

    def _flicker(
        self, number: int, picture: DeliveredPicture, alpha: Float, plate: Image | None, fits: bool
    ) -> float | None:
        before, self._before = self._before, None
        has_edge = bool(((alpha > TOLERANCE) & (alpha < 1 - TOLERANCE)).any())
        if not has_edge or _not_finite(picture) or (plate is not None and not fits):
            return None
        seen = self._seen(picture, plate if fits else None)
        placed = _shown(picture, alpha)
        grey = small_codes(seen)
        self._before = number, placed, grey
        if before is None or before[0] != number - 1 or before[1].shape != placed.shape:
            return None
        return flicker(placed, grey, before[1], before[2])

    def _seen(self, picture: DeliveredPicture, plate: Image | None) -> Float:
        """Return the picture for motion estimation.

        The plate as shown, else the foreground over grey.
        """
        color = None if plate is None else self._color()
        if plate is not None and color is not None and {"R"} <= set(plate.channels):
            index = [plate.channels.index(name) for name in "RGB"]
            shown = paste(replace(plate, pixels=plate.pixels[..., index]), plate.display_window)
            return color.to_network(shown)
        alpha = np.clip(picture.alpha, 0, 1)[..., None]
        colour = picture.premultiplied if picture.foreground is None else picture.foreground * alpha
        mixed = alpha if colour is None else np.clip(colour, 0, 1) + 0.18 * (1 - alpha)
        shown = _shown(picture, mixed)
        return np.asarray(np.sqrt(np.broadcast_to(shown, (*_size(picture), 3))), np.float32)


def flicker(
    alpha: Float, grey: NDArray[np.uint8], before: Float, grey_before: NDArray[np.uint8]
) -> float | None:
    """Return how much the soft edge changes beyond its motion.

    A mean over the band, weighted by how well the motion-compensated frame fits (0..1 each). None
    where nothing fits.
    """
    carried, fit = carry(before, grey_before, grey)
    soft = (alpha > TOLERANCE) & (alpha < 1 - TOLERANCE)
    soft |= (carried > TOLERANCE) & (carried < 1 - TOLERANCE)
    weight = fit[soft]
    total = float(weight.sum(dtype=np.float64))
    if total < 16:
        return None
    return float((np.abs(alpha - carried)[soft] * weight).sum(dtype=np.float64) / total)


def edge_width(alpha: Float) -> float:
    """Return the mean width of the soft band in pixels: its area divided by the length of the 0.5
    contour.
    """
    solid = alpha >= 0.5
    # Steps along rows and columns over-count a slanted line: 4 / pi on average over all angles.
    steps = int((solid[1:] != solid[:-1]).sum()) + int((solid[:, 1:] != solid[:, :-1]).sum())
    soft = int(((alpha > TOLERANCE) & (alpha < 1 - TOLERANCE)).sum())
    return soft / (steps * np.pi / 4) if steps else 0.0


def _whole(picture: DeliveredPicture, plate: Image | None) -> DeliveredPicture:
    """Return the picture over the plate's data window, 0 outside its own; see layout `nuke`.

    Without a plate: over the display window. A window that reaches out of that stays as it is.
    """
    fits = plate is not None and plate.display_window == picture.display_window
    target = plate.data_window if plate is not None and fits else picture.display_window
    own = picture.data_window
    if own == target or not target.holds(own):
        return picture

    def over(plane: Float | None) -> Float | None:
        if plane is None:
            return None
        pixels = plane if plane.ndim == 3 else plane[..., None]
        names = ("Y",) * pixels.shape[2]
        placed = paste(Image(pixels, names, own, picture.display_window), target)
        return placed if plane.ndim == 3 else placed[..., 0]

    alpha = over(picture.alpha)
    assert alpha is not None
    return replace(
        picture, alpha=alpha, foreground=over(picture.foreground),
        premultiplied=over(picture.premultiplied), data_window=target,
    )  # fmt: skip


def _fits(picture: DeliveredPicture, plate: Image | None) -> bool:
    """Whether the sizes of a plate and a trimap match the picture."""
    if plate is None or plate.display_window != picture.display_window:
        return False
    return not picture.is_exr or plate.data_window == picture.data_window


def _not_finite(picture: DeliveredPicture) -> tuple[str, ...]:
    planes = {
        "alpha": picture.alpha,
        "foreground": picture.foreground,
        "premultiplied": picture.premultiplied,
    }
    return tuple(n for n, p in planes.items() if p is not None and not np.isfinite(p).all())


def _black(picture: DeliveredPicture, alpha: Float, plate: Image | None) -> float:
    colour = picture.foreground if picture.foreground is not None else picture.premultiplied
    covered = alpha > 0.01
    if colour is None or not covered.any():
        return 0.0
    black = covered & (colour == 0).all(axis=2)
    if plate is not None:
        pixels = paste(plate, picture.data_window)
        full = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        black &= pixels[..., :3].max(axis=2) > BLACK * full
    return float(black.sum() / covered.sum())


def _unmultiplied(picture: DeliveredPicture, alpha: Float) -> float | None:
    """Share of pixels in the soft band that differ by more than half-float rounding and TOLERANCE."""
    straight, product = picture.foreground, picture.premultiplied
    if straight is None or product is None:
        return None
    soft = (alpha > 0.02) & (alpha < 0.98)
    if not soft.any():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        expected = straight[soft] * alpha[soft][:, None]
        wrong = np.abs(product[soft] - expected) > 0.01 * np.abs(expected) + TOLERANCE
    return float(wrong.any(axis=1).mean())


def _size(picture: DeliveredPicture) -> tuple[int, int]:
    return picture.display_window.height, picture.display_window.width


def _shown(picture: DeliveredPicture, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the data window's pixels on the display window, 0 outside."""
    array = pixels if pixels.ndim == 3 else pixels[..., None]
    names = ("Y",) * array.shape[2]
    placed = paste(
        Image(array, names, picture.data_window, picture.display_window), picture.display_window
    )
    return placed if pixels.ndim == 3 else placed[..., 0]
