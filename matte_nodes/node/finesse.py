# SPDX-License-Identifier: Apache-2.0
"""Finesse: what a compositor does to any matte before the foreground is fixed.

All off by default, and off means the very same pixels. The order is that of a keyer: levels
first (so that noise is cleaned before shrinking spreads it), then shrink or grow, then feather.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from matte_nodes.card import Knob
from matte_nodes.errors import KnobValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

Screen = Literal["green", "blue"]

FINESSE_KNOBS: tuple[Knob, ...] = (
    Knob(
        "black_point",
        "float",
        0.0,
        "Alpha at or below this becomes 0.",
        low=0.0,
        high=1.0,
        stage="finish",
    ),
    Knob(
        "white_point",
        "float",
        1.0,
        "Alpha at or above this becomes 1. Must be above the black point.",
        low=0.0,
        high=1.0,
        stage="finish",
    ),
    Knob(
        "gamma",
        "float",
        1.0,
        "Bends alpha between the points: above 1 lifts soft edges, below 1 thins them.",
        low=0.1,
        high=10.0,
        stage="finish",
    ),
    Knob(
        "shrink",
        "float",
        0.0,
        "Moves the edge inward by this many pixels, fractions too; negative grows outward. "
        "Soft edges stay soft.",
        low=-50.0,
        high=50.0,
        unit="px",
        label="Shrink / grow",
        stage="finish",
    ),
    Knob(
        "feather",
        "float",
        0.0,
        "Softens the edge to both sides alike: the sigma of a Gaussian blur, in pixels.",
        low=0.0,
        high=100.0,
        unit="px",
        stage="finish",
    ),
    Knob(
        "despill",
        "float",
        0.0,
        "Takes the screen's colour out of the foreground: 1 limits it to the average of the other "
        "two channels.",
        low=0.0,
        high=1.0,
        stage="finish",
    ),
    Knob(
        "despill_screen",
        "choice",
        "green",
        "The screen colour that despill takes out.",
        choices=get_args(Screen),
        stage="finish",
    ),
)


def apply_finesse(
    alpha: Float,
    *,
    shrink: float = 0,
    feather: float = 0,
    black_point: float = 0,
    white_point: float = 1,
    gamma: float = 1,
) -> Float:
    """Levels, then shrink or grow, then feather; the same array when nothing is asked.

    alpha: (H, W) float32 0..1. shrink: pixels; > 0 moves edges inward, < 0 outward. feather: the
    sigma of a Gaussian in pixels, which softens to both sides and leaves a straight edge where it
    was. Levels: ((alpha - black) / (white - black)) clipped to 0..1, to the power 1 / gamma.
    Outside the frame alpha goes on as at its border. Returns (H, W) float32 0..1. Raises
    KnobValueError when white_point is not above black_point, gamma is not positive or feather is
    negative.
    """
    if not white_point > black_point:
        raise KnobValueError(
            f"white_point {white_point} is not above black_point {black_point}: "
            "raise the white point or lower the black point."
        )
    if not gamma > 0:
        raise KnobValueError(f"gamma is {gamma}: give a number above 0.")
    if not feather >= 0:
        raise KnobValueError(f"feather is {feather} pixels: give 0 or more.")
    if (black_point, white_point, gamma) != (0, 1, 1):
        alpha = _levels(alpha, black_point, white_point, gamma)
    if shrink != 0:
        alpha = _move_edge(alpha, shrink)
    if feather > 0:
        alpha = _blur(alpha, feather)
    return alpha


def despill(foreground: Float, *, screen: Screen, amount: float) -> Float:
    """Return the screen's channel limited to the average of the other two, by `amount` of the excess.

    foreground: (H, W, 3) float32, straight, scene-linear, unbounded. amount: 0..1; 0 returns the
    same array. Only the screen's channel changes, and only where it is above that average.
    Returns (H, W, 3) float32. Raises KnobValueError for another screen.
    """
    if screen not in get_args(Screen):
        raise KnobValueError(f'Despill screen "{screen}": one of {", ".join(get_args(Screen))}.')
    if amount == 0:
        return foreground
    channel, other = (1, 2) if screen == "green" else (2, 1)
    clean = foreground.copy()
    limit = (foreground[..., 0] + foreground[..., other]) * np.float32(0.5)
    excess = np.maximum(foreground[..., channel] - limit, 0)
    clean[..., channel] -= np.float32(amount) * excess
    return clean


def _levels(alpha: Float, black: float, white: float, gamma: float) -> Float:
    scaled: Float = np.clip((alpha - np.float32(black)) / np.float32(white - black), 0, 1)
    # The division may leave the white point a rounding below 1; what was asked to be solid is.
    scaled[alpha >= white] = 1
    if gamma != 1:
        np.power(scaled, np.float32(1 / gamma), out=scaled)
    return scaled


def _blur(alpha: Float, sigma: float) -> Float:
    import cv2

    if sigma < 0.7:
        # A Gaussian sampled at pixels is too narrow below 0.7; three taps have the exact width.
        reach, side = 1, sigma * sigma / 2
        taps = np.array([side, 1 - 2 * side, side])
    else:
        reach = math.ceil(4 * sigma)
        taps = cv2.getGaussianKernel(2 * reach + 1, sigma, cv2.CV_64F)
    blurred = cv2.sepFilter2D(alpha, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REPLICATE)
    # A weighted mean lies between the values it was made of; float rounding would leave solid
    # areas at 0.9999999, and solid pixels are those whose foreground is the plate itself.
    box = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    lowest = cv2.erode(alpha, box, borderType=cv2.BORDER_REPLICATE)
    highest = cv2.dilate(alpha, box, borderType=cv2.BORDER_REPLICATE)
    softened: Float = np.clip(blurred, lowest, highest)
    return softened


_TILE = 256


def _move_edge(alpha: Float, shrink: float) -> Float:
    """Grey-scale erosion (shrink > 0) or dilation by a disc of |shrink| pixels, fractions too.

    The extreme is taken over the disc of the bilinearly interpolated alpha: its pixels inside
    the disc, and samples all round the rim. A straight edge of any angle so moves by the radius,
    soft profiles are shifted and not cut. Works tile by tile and leaves flat tiles alone.
    """
    radius = abs(shrink)
    margin = math.ceil(radius)
    padded = np.pad(alpha, margin, mode="edge")
    moved = alpha.copy()
    height, width = alpha.shape
    disc, rim = _disc(radius), _rim(radius)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            bottom, right = min(top + _TILE, height), min(left + _TILE, width)
            around = padded[top : bottom + 2 * margin, left : right + 2 * margin]
            if around.min() != around.max():
                moved[top:bottom, left:right] = _move_tile(around, margin, disc, rim, shrink > 0)
    return moved


def _move_tile(
    around: Float,
    margin: int,
    disc: NDArray[np.uint8],
    rim: list[tuple[float, float]],
    inward: bool,
) -> Float:
    import cv2

    extreme = np.minimum if inward else np.maximum
    height, width = (size - 2 * margin for size in around.shape)
    whole = (cv2.erode if inward else cv2.dilate)(around, disc)
    best: Float = np.ascontiguousarray(whole[margin : margin + height, margin : margin + width])
    for x, y in rim:
        left, top = math.floor(x), math.floor(y)
        across = np.array([1 - (x - left), x - left], np.float32)
        down = np.array([1 - (y - top), y - top], np.float32)
        # anchor (0, 0): the answer at p is the mix of p and its right and lower neighbours
        sample = cv2.sepFilter2D(around, cv2.CV_32F, across, down, anchor=(0, 0))
        rows = slice(margin + top, margin + top + height)
        extreme(best, sample[rows, margin + left : margin + left + width], out=best)
    return best


def _disc(radius: float) -> NDArray[np.uint8]:
    """Return the pixels whose centres lie in the disc, as a kernel for OpenCV."""
    reach = math.floor(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disc


def _rim(radius: float) -> list[tuple[float, float]]:
    """Return points round the rim: so close together that no edge moves 0.01 pixels less than asked.

    Between pixel rows the bilinear samples differ in sharpness, and the extreme over them moves
    a slanted edge too far: up to 0.09 pixels measured for edges without any softness, 0.01 for
    edges 6 pixels wide. Slanted points are therefore pulled in by up to 0.04. With it, edges one
    pixel wide or more move within 0.05 pixels of what was asked at any angle (perfectly crisp
    ones within 0.08), and upright and level ones exactly.
    """
    step = 2 * math.acos(max(1 - 0.01 / radius, math.cos(math.pi / 8)))
    count = 4 * math.ceil(2 * math.pi / step / 4)
    points = []
    for index in range(count):
        turn = 2 * math.pi * index / count
        pulled = radius - 0.04 * min(1.0, radius) * abs(math.sin(2 * turn))
        points.append((pulled * math.cos(turn), pulled * math.sin(turn)))
    return points
