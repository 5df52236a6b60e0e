# SPDX-License-Identifier: Apache-2.0
"""Procedural pictures and crops of photographs, for foregrounds and backgrounds.

Every function takes a numpy Generator and a side in pixels, and returns (side, side, 3) float32,
display-encoded, 0..1. The same generator state gives the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float

Rng: TypeAlias = np.random.Generator
Painter: TypeAlias = "Callable[[Rng, int], Float]"


def noise(rng: Rng, side: int, *, coarsest: float, octaves: int = 5, fall: float = 0.5) -> Float:
    """Fractal value noise, (side, side) float32 in 0..1.

    coarsest: size of the largest features as a part of the side. fall: how much weaker each octave
    is than the one before it.
    """
    import cv2

    total = np.zeros((side, side), np.float32)
    weight = 1.0
    cells = max(2, round(1 / coarsest))
    for _ in range(octaves):
        grid = rng.random((cells + 3, cells + 3), np.float32)
        large = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        total += np.float32(weight) * large
        weight *= fall
        cells *= 2
        if cells > side:
            break
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def colour(rng: Rng, grey: float = 0.35) -> Float:
    """One display-encoded colour, (3,) float32; with probability `grey` a nearly neutral one."""
    if rng.random() < grey:
        level = rng.random() ** rng.uniform(0.6, 1.6)
        grey_one: Float = (level + rng.normal(0, 0.025, 3)).clip(0, 1).astype(np.float32)
        return grey_one
    found: Float = rng.random(3).astype(np.float32)
    return found


def cloudy(rng: Rng, side: int) -> Float:
    """Two or three colours mixed by fractal noise."""
    shade = noise(rng, side, coarsest=rng.uniform(0.1, 0.9), octaves=int(rng.integers(1, 7)))
    picture = colour(rng) + shade[..., None] * (colour(rng) - colour(rng))
    if rng.random() < 0.5:
        other = noise(rng, side, coarsest=rng.uniform(0.1, 0.9))[..., None]
        picture = picture * (1 - other) + colour(rng) * other
    return picture.clip(0, 1).astype(np.float32)


def flat(rng: Rng, side: int) -> Float:
    """One colour with a slow gradient across it."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (np.cos(angle) * columns + np.sin(angle) * rows) * np.float32(rng.uniform(0, 0.5))
    found: Float = (colour(rng) * (1 + ramp[..., None])).clip(0, 1).astype(np.float32)
    return found


def stripes(rng: Rng, side: int) -> Float:
    """Stripes or checks of two colours, bent by noise, soft or hard edged."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    bend = noise(rng, side, coarsest=0.4, octaves=3) * rng.uniform(0, 60)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 60)
    phase = (np.cos(angle) * columns + np.sin(angle) * rows + bend) * (2 * np.pi / period)
    wave = np.sin(phase)
    if rng.random() < 0.4:
        wave *= np.sin((-np.sin(angle) * columns + np.cos(angle) * rows) * (2 * np.pi / period))
    share = 1 / (1 + np.exp(-wave * rng.uniform(1, 12)))
    picture = colour(rng) * share[..., None] + colour(rng) * (1 - share[..., None])
    grain = noise(rng, side, coarsest=0.1, octaves=6)[..., None] - 0.5
    found: Float = (picture * (1 + rng.uniform(0, 0.6) * grain)).clip(0, 1).astype(np.float32)
    return found


def patches(rng: Rng, side: int) -> Float:
    """Hard-edged rectangles, discs and lines of many colours: interiors, signs, buildings."""
    import cv2

    picture = cloudy(rng, side)
    for _ in range(int(rng.integers(4, 40))):
        ink = colour(rng).tolist()
        x, y = (int(v) for v in rng.integers(0, side, 2))
        size = int(rng.integers(3, max(4, side // 2)))
        kind = rng.integers(3)
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + size, y + int(rng.integers(3, side))), ink, -1)
        elif kind == 1:
            cv2.circle(picture, (x, y), max(2, size // 2), ink, -1, cv2.LINE_AA)
        else:
            end = tuple(int(v) for v in rng.integers(0, side, 2))
            cv2.line(picture, (x, y), end, ink, int(rng.integers(1, 8)), cv2.LINE_AA)
    return picture


def leaves(rng: Rng, side: int) -> Float:
    """Crowded short strokes of related colours: grass, gravel, foliage, fabric."""
    import cv2

    base, spread = colour(rng, 0.2), rng.uniform(0.05, 0.3)
    picture = np.broadcast_to(base * np.float32(0.5), (side, side, 3)).copy()
    length = rng.uniform(2, 24)
    lean = rng.uniform(0, np.pi)
    for _ in range(int(side * side / (length * 12))):
        x, y = rng.uniform(0, side, 2)
        angle = lean + rng.normal(0, 0.8)
        ink = (base + rng.normal(0, spread) + rng.normal(0, 0.05, 3)).clip(0, 1).tolist()
        half = length * rng.uniform(0.3, 1)
        first = (int(x - half * np.cos(angle)), int(y - half * np.sin(angle)))
        last = (int(x + half * np.cos(angle)), int(y + half * np.sin(angle)))
        cv2.line(picture, first, last, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture.clip(0, 1)


PROCEDURAL: tuple[Painter, ...] = (cloudy, flat, stripes, patches, leaves)


class Pictures:
    """Paints textures: crops of the photographs given, and procedural ones.

    photographs: (H, W, 3) uint8 RGB arrays. share: the part of textures that are photographs.
    calm: as most photographed scenes are: larger features, less clutter, and hair mostly of the
    body's own colours.
    """

    def __init__(
        self, photographs: Sequence[np.ndarray] = (), share: float = 0.65, *, calm: bool = False
    ) -> None:
        self.photographs = list(photographs)
        self.share = share if photographs else 0.0
        self.calm = calm

    @property
    def strange(self) -> float:
        """The probability that hair has its own colour."""
        return 0.35 if self.calm else 0.75

    def calmer(self) -> Pictures:
        """Return the same pictures, painted calmly."""
        return Pictures(self.photographs, self.share, calm=True)

    def __call__(self, rng: Rng, side: int) -> Float:
        """Return a texture of this side."""
        if rng.random() < self.share:
            return self.photograph(rng, side)
        kinds = PROCEDURAL[:2] * 2 + PROCEDURAL[2:] if self.calm else PROCEDURAL
        return kinds[int(rng.integers(len(kinds)))](rng, side)

    def photograph(self, rng: Rng, side: int) -> Float:
        """Return a crop of a photograph at a random scale, flipped, its colours moved a little."""
        import cv2

        source = self.photographs[int(rng.integers(len(self.photographs)))]
        reach = min(source.shape[:2])
        scale = rng.uniform(0.15, 1.3) if self.calm else rng.uniform(0.5, 2.5)
        take = int(np.clip(side * scale, 16, reach))
        y = int(rng.integers(0, source.shape[0] - take + 1))
        x = int(rng.integers(0, source.shape[1] - take + 1))
        how = cv2.INTER_AREA if take > side else cv2.INTER_CUBIC
        crop = cv2.resize(source[y : y + take, x : x + take], (side, side), interpolation=how)
        picture = crop.astype(np.float32) / 255
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if rng.random() < 0.5:
            picture = picture[..., rng.permutation(3)]
        gain = np.exp(rng.normal(0, 0.12, 3) + rng.normal(0, 0.2)).astype(np.float32)
        found: Float = np.ascontiguousarray((picture * gain).clip(0, 1))
        return found
