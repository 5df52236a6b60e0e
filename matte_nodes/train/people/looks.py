# SPDX-License-Identifier: Apache-2.0
"""Skins, cloth, hair colours, and lights from panoramas."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.train.people.body import Body, Rng
from matte_nodes.train.people.hair import unit
from matte_nodes.train.people.pool import linear_picture
from matte_nodes.train.people.raster import TEXTURE, Lights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.train.people.body import Floats

SKINS = np.array([
    [255, 224, 205], [250, 213, 190], [240, 196, 168], [229, 180, 143], [210, 155, 115],
    [188, 132, 92], [160, 106, 72], [128, 82, 56], [98, 62, 45], [72, 47, 38],
]) / 255.0  # fmt: skip
"""Display-encoded tones from light to dark."""
HAIRS = np.array([
    [0.035, 0.03, 0.03], [0.06, 0.045, 0.04], [0.12, 0.075, 0.05], [0.2, 0.12, 0.075],
    [0.3, 0.19, 0.11], [0.42, 0.29, 0.17], [0.6, 0.46, 0.28], [0.78, 0.66, 0.45],
    [0.4, 0.16, 0.07], [0.55, 0.25, 0.1], [0.5, 0.5, 0.5], [0.75, 0.74, 0.73],
])  # fmt: skip
_DARK = np.array([0.3, 0.3, 0.15, 0.08, 0.03, 0.02, 0.02, 0, 0, 0, 0.05, 0.05])


def linear(colour: Floats) -> Floats:
    """Display-encoded values as linear light."""
    found: Floats = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return found


def clouds(rng: Rng, cells: int, octaves: int = 4) -> NDArray[np.float32]:
    """Fractal noise, (512, 512) float32, -1..1."""
    import cv2

    found, strength = np.zeros((TEXTURE, TEXTURE), np.float32), 1.0
    for octave in range(octaves):
        grid = rng.normal(0, 1, (min(cells * 2**octave, TEXTURE) + 1,) * 2).astype(np.float32)
        large = cv2.resize(grid, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
        found += np.float32(strength) * large
        strength *= 0.55
    return np.asarray(found / (np.abs(found).max() + 1e-6), np.float32)


def codes(colour: Floats, alpha: Floats | None = None) -> NDArray[np.uint8]:
    """Return a (512, 512, 3) picture, and its alpha, as a texture."""
    cover = np.ones(colour.shape[:2]) if alpha is None else alpha
    return np.round(np.dstack((colour.clip(0, 1), cover)) * 255).astype(np.uint8)


def even(colour: Floats) -> NDArray[np.uint8]:
    """Return a texture of one colour."""
    return codes(np.broadcast_to(colour, (TEXTURE, TEXTURE, 3)))


@lru_cache(maxsize=256)
def picture(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a texture file: colour (512, 512, 3) and alpha (512, 512), 0..1."""
    import cv2

    from matte_nodes.errors import InputError

    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise InputError(
            f"{path} cannot be read as a picture. Check the folder of people's assets."
        )
    if found.ndim == 2:
        found = cv2.cvtColor(found, cv2.COLOR_GRAY2BGR)
    small = cv2.resize(found, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)
    values = small.astype(np.float32) / 255
    alpha = values[..., 3] if values.shape[2] == 4 else np.ones(values.shape[:2], np.float32)
    return np.ascontiguousarray(values[..., 2::-1]), alpha


def skin_tone(rng: Rng, origin: Floats) -> Floats:
    """Return a display-encoded tone, (3,), for shares of the three populations."""
    level = float(np.clip(origin @ (8, 3.5, 1.3) + rng.normal(0, 0.8), 0, 8.99))
    below = int(level)
    found: Floats = SKINS[below] * (1 - level + below) + SKINS[below + 1] * (level - below)
    return found


def skin(rng: Rng, body: Body, tone: Floats, female: float) -> NDArray[np.uint8]:
    """Return a skin of this tone: blotches, blush, lips, lids, sometimes freckles."""
    import cv2

    def mask(name: str) -> NDArray[np.float32]:
        return picture(body.folder / "textures" / f"mpfb_{name}.jpg")[0][..., :1]

    red = np.array([1.06, 0.86, 0.84])
    found = np.broadcast_to(tone, (TEXTURE, TEXTURE, 3)) * (
        1 + 0.05 * clouds(rng, 6)[..., None] + 0.03 * clouds(rng, 60, 3)[..., None]
    )
    blush = mask("face") * (0.5 + 0.5 * clouds(rng, 14, 3)[..., None]) * rng.uniform(0, 0.7)
    found = found * (1 + (blush + mask("ears") * 0.5).clip(0, 1) * (red - 1))
    lips = tone * (0.86, 0.58, 0.58)
    if rng.random() < 0.35 * female:
        lips = np.array([0.62, 0.15, 0.18]) * (0.5 + 0.5 * tone.mean())
    found = found * (1 - mask("lips") * 0.8) + mask("lips") * 0.8 * lips
    lids = mask("eyelids") * rng.uniform(0, 0.35 + 0.4 * female)
    found = found * (1 - lids) + lids * tone * 0.6
    if rng.random() < 0.3:
        spots = (rng.random((TEXTURE, TEXTURE)) > 0.9990).astype(np.float32)
        found = found * (
            1 - 0.2 * np.clip(cv2.GaussianBlur(spots, (0, 0), 0.7) * 4, 0, 1)[..., None]
        )
    return codes(found)


def hair_colour(rng: Rng, dark: bool, old: bool) -> Floats:
    """Return a display-encoded colour, (3,)."""
    found = HAIRS[rng.choice(12, p=_DARK / _DARK.sum())] if dark else HAIRS[rng.integers(12)]
    if old and rng.random() < 0.7:
        found = HAIRS[rng.choice([10, 11])]
    if rng.random() < 0.03:
        found = rng.random(3) * 0.7
    moved: Floats = np.clip(found * rng.uniform(0.8, 1.2), 0.015, 0.95)
    return moved


def _ink(rng: Rng) -> Floats:
    import cv2

    hsv = (rng.uniform(0, 360), rng.uniform(0, 1) ** 1.6 * 0.85, rng.uniform(0.04, 0.95))
    found = cv2.cvtColor(np.array([[hsv]], np.float32), cv2.COLOR_HSV2RGB)[0, 0]
    return np.asarray(found, np.float64)


def cloth(rng: Rng) -> NDArray[np.uint8]:
    """Return a cloth: plain, striped, checked, dotted, blotched, or knitted."""
    kinds = ("plain", "plain", "plain", "stripe", "check", "dots", "blotch", "blotch", "knit")
    kind = str(rng.choice(kinds))
    first, second = _ink(rng), _ink(rng)
    if rng.random() < 0.35:
        first = np.ones(3) * rng.choice([0.02, 0.05, 0.1, 0.3, 0.55, 0.8, 0.92])
    y, x = np.mgrid[:TEXTURE, :TEXTURE] / TEXTURE
    share = np.zeros_like(x)
    if kind == "stripe":
        along = x if rng.random() < 0.5 else y
        share = np.sin(along * 6.28 * rng.integers(6, 60)) > rng.uniform(-0.8, 0.8)
    elif kind == "check":
        often = 6.28 * rng.integers(6, 40)
        share = 0.5 * (np.sin(x * often) > 0) + 0.5 * (np.sin(y * often) > 0)
    elif kind == "dots":
        count = float(rng.integers(10, 50))
        share = np.hypot(x * count % 1 - 0.5, y * count % 1 - 0.5) < rng.uniform(0.15, 0.4)
    elif kind == "blotch":
        share = np.clip(clouds(rng, int(rng.integers(4, 30))) * rng.choice([1.5, 30]) + 0.5, 0, 1)
    elif kind == "knit":
        share, second = 0.5 + 0.5 * np.sin(x * 565 + np.sin(y * 377)), first * 0.6
    mixed = first + np.asarray(share, float)[..., None] * (second - first)
    return codes(mixed * (1 + 0.1 * clouds(rng, 40, 3)[..., None]))


def recoloured(rng: Rng, colour: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a garment's own texture in other colours, in three of four cases."""
    import cv2

    if rng.random() < 0.75:
        hue, saturation, value = cv2.split(cv2.cvtColor(colour, cv2.COLOR_RGB2HSV))
        hue = (hue + np.float32(rng.uniform(0, 360))) % 360
        saturation = np.clip(saturation * np.float32(rng.uniform(0.2, 1.6)), 0, 1)
        value = np.clip(value ** rng.uniform(0.5, 1.4) * rng.uniform(0.6, 1.3), 0, 1)
        colour = cv2.cvtColor(
            cv2.merge((hue, saturation, value.astype(np.float32))), cv2.COLOR_HSV2RGB
        ).astype(np.float32)
    return codes(colour)


@lru_cache(maxsize=64)
def _sphere(path: Path) -> NDArray[np.float32]:
    import cv2

    small = cv2.resize(linear_picture(path), (64, 32), interpolation=cv2.INTER_AREA)
    return np.asarray(small / small.clip(0, 8).mean(), np.float32)


def lights(rng: Rng, panorama: Path, count: int = 10) -> Lights:
    """Directions drawn from a panorama by its brightness, turned at random.

    Often a key light too.
    """
    sphere = _sphere(panorama)
    polar = (np.arange(32) + 0.5) / 32 * np.pi
    weight = np.sin(polar)[:, None] * sphere.mean(2).clip(0, 60) ** 0.8
    share = (weight / weight.sum()).ravel()
    which = rng.choice(2048, count, p=share)
    row, column = which // 64, which % 64
    around = (column + rng.random(count)) / 64 * 2 * np.pi + rng.uniform(0, 6.28)
    down = (row + rng.random(count)) / 32 * np.pi
    found = np.stack(
        (np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around)), 1
    )
    angle = np.sin(polar)[row] * (np.pi / 32) * (2 * np.pi / 64)
    colour = sphere[row, column].clip(0, 60) * (angle / share[which] / count)[:, None] * 3 / np.pi
    if rng.random() < 0.65:
        side, height = rng.normal(0, 1.2), rng.uniform(-0.2, 1.1)
        key = (
            math.sin(side) * math.cos(height),
            math.sin(height),
            math.cos(side) * math.cos(height),
        )
        soft = unit(np.array([key]) + rng.normal(0, 0.12, (3, 3)))
        warm = rng.uniform(-0.25, 0.3)
        tint = np.array([1, 1 - max(warm, 0) * 0.5, 1 - max(warm, 0)]) * rng.uniform(0.1, 0.9) / 3
        found, colour = (
            np.concatenate((found, soft)),
            np.concatenate((colour, np.tile(tint, (3, 1)))),
        )
    return Lights(found, colour)
