# SPDX-License-Identifier: Apache-2.0
"""Numbers of one delivered frame: all that the checks and the plots need, in one look at the pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.media.clip import paste
from matte_nodes.media.image import Image
from matte_nodes.temporal.steady import carry, small_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.publish.delivery import Delivery
    from matte_nodes.publish.picture import Picture

TOLERANCE = 1e-3
"""Alpha may miss 0, 1 or a trimap by this: half floats step by 0.0005 below 1."""

BLACK = 0.02
"""A plate that is this dark, in its own encoding, may give a black foreground."""


@dataclass(frozen=True)
class Measured:
    """One frame in numbers.

    not_finite: names of channels with NaN or Inf. low, high: least and largest finite alpha.
    coverage: mean alpha, 0..1. edge_width: mean width of the soft band in pixels, 0 without an
    edge. black: share of the covered pixels (alpha > 0.01) whose foreground is exactly black
    where the plate is not. unmultiplied: share of soft pixels whose R, G, B are not foreground
    x alpha, None where that cannot be told. off_trimap: pixels that miss a 0 or 1 of the trimap.
    flicker: mean difference of alpha over the edge band, 0..1, to the frame before, carried along
    the motion; None at the first frame, after a gap and next to frames without an edge.
    """

    not_finite: tuple[str, ...]
    low: float
    high: float
    coverage: float
    edge_width: float
    black: float
    unmultiplied: float | None
    off_trimap: int
    flicker: float | None = None


class Measurer:
    """Measures frames in order; keeps the one before, for motion."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._before: tuple[int, Float, NDArray[np.uint8]] | None = None

    def gap(self) -> None:
        """A frame is missing: the next one has none before it."""
        self._before = None

    def of(self, number: int, picture: Picture, plate: Image | None) -> Measured:
        """The numbers of one frame. plate: its frame of the plate, if there is one."""
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

    def _off_trimap(self, number: int, picture: Picture, alpha: Float) -> int:
        trimap, plate = self._delivery.trimap, self._delivery.plate
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
        self, number: int, picture: Picture, alpha: Float, plate: Image | None, fits: bool
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

    def _seen(self, picture: Picture, plate: Image | None) -> Float:
        """What motion is found on: the plate as it is shown, else the foreground over grey."""
        if plate is not None and self._delivery.color is not None and {"R"} <= set(plate.channels):
            index = [plate.channels.index(name) for name in "RGB"]
            shown = paste(replace(plate, pixels=plate.pixels[..., index]), plate.display_window)
            seen: Float = self._delivery.color.to_network(shown)
            return seen
        alpha = np.clip(picture.alpha, 0, 1)[..., None]
        colour = picture.premultiplied if picture.foreground is None else picture.foreground * alpha
        mixed = alpha if colour is None else np.clip(colour, 0, 1) + 0.18 * (1 - alpha)
        shown = _shown(picture, mixed)
        return np.asarray(np.sqrt(np.broadcast_to(shown, (*_size(picture), 3))), np.float32)


def flicker(
    alpha: Float, grey: NDArray[np.uint8], before: Float, grey_before: NDArray[np.uint8]
) -> float | None:
    """How much the soft edge changes beyond the motion: mean over the band, weighted by how well
    the carried picture fits (0..1 each). None where nothing fits."""
    carried, fit = carry(before, grey_before, grey)
    soft = (alpha > TOLERANCE) & (alpha < 1 - TOLERANCE)
    soft |= (carried > TOLERANCE) & (carried < 1 - TOLERANCE)
    weight = fit[soft]
    total = float(weight.sum(dtype=np.float64))
    if total < 16:
        return None
    return float((np.abs(alpha - carried)[soft] * weight).sum(dtype=np.float64) / total)


def edge_width(alpha: Float) -> float:
    """Mean width of the soft band in pixels: its area over the length of the line of alpha 0.5."""
    solid = alpha >= 0.5
    # Steps along rows and columns over-count a slanted line: 4 / pi on average over all angles.
    steps = int((solid[1:] != solid[:-1]).sum()) + int((solid[:, 1:] != solid[:, :-1]).sum())
    soft = int(((alpha > TOLERANCE) & (alpha < 1 - TOLERANCE)).sum())
    return soft / (steps * np.pi / 4) if steps else 0.0


def _fits(picture: Picture, plate: Image | None) -> bool:
    """Whether pixels of the plate and of a trimap can be laid over the picture's."""
    if plate is None or plate.display_window != picture.display_window:
        return False
    return not picture.is_exr or plate.data_window == picture.data_window


def _not_finite(picture: Picture) -> tuple[str, ...]:
    planes = {"alpha": picture.alpha, "foreground": picture.foreground,
              "premultiplied": picture.premultiplied}  # fmt: skip
    return tuple(n for n, p in planes.items() if p is not None and not np.isfinite(p).all())


def _black(picture: Picture, alpha: Float, plate: Image | None) -> float:
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


def _unmultiplied(picture: Picture, alpha: Float) -> float | None:
    """Pixels in the soft band, by more than half floats round, and more than TOLERANCE."""
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


def _size(picture: Picture) -> tuple[int, int]:
    return picture.display_window.height, picture.display_window.width


def _shown(picture: Picture, pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels of the data window over the display window, 0 outside."""
    array = pixels if pixels.ndim == 3 else pixels[..., None]
    names = ("Y",) * array.shape[2]
    placed = paste(
        Image(array, names, picture.data_window, picture.display_window), picture.display_window
    )
    return placed if pixels.ndim == 3 else placed[..., 0]
