# SPDX-License-Identifier: Apache-2.0
"""A made scene with a known answer: a disc with hair before a coloured background.

Everything is a function of the size and the seed, so that any bench and test can make it again;
about 10 % of the pixels are unknown (alpha neither 0 nor 1) at 1920x1080.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """What was mixed and the mixture: plate = alpha * foreground + (1 - alpha) * background.

    plate, foreground, background: (H, W, 3) float32, linear. alpha: (H, W) float32 in 0..1.
    """

    plate: Float
    alpha: Float
    foreground: Float
    background: Float

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """(H, W): where alpha is neither 0 nor 1."""
        return (self.alpha > 0) & (self.alpha < 1)


def _clouds(rng: np.random.Generator, height: int, width: int, cells: int) -> Float:
    """Smooth colours in 0..1: a few random cells, enlarged."""
    rows = max(2, round(cells * height / max(height, width)))
    coarse = rng.random((rows, cells, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _alpha(rng: np.random.Generator, height: int, width: int, strands: int) -> Float:
    """A soft disc with thin curved strands, drawn four times too large and averaged."""
    scale = 4
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    size = min(height, width) * scale
    cx, cy, radius = width * scale / 2, height * scale / 2, size * 0.28
    cv2.circle(canvas, (int(cx), int(cy)), int(radius), 255, -1, cv2.LINE_AA)
    steps = np.linspace(0, 1, 24)
    for _ in range(strands):
        angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.35)
        length = radius * rng.uniform(0.25, 0.75)
        turn = angle + bend * steps**2
        reach = radius * 0.97 + length * steps
        points = np.stack([cx + reach * np.cos(turn), cy + reach * np.sin(turn)], -1)
        # 0.4 to 1.6 pixels of the final picture: thinner than a pixel, as hair is.
        thickness = int(rng.integers(max(1, scale * 2 // 5), scale * 8 // 5 + 1))
        cv2.polylines(canvas, [points.astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return (small / np.float32(255)).astype(np.float32)


def make_scene(width: int = 1920, height: int = 1080, *, hdr: bool = False, seed: int = 1) -> Scene:
    """The scene at any size; hdr: the foreground's red is about 6 and some of it is negative."""
    rng = np.random.default_rng(seed)
    # Strands keep their thickness in pixels, so their number goes with the size.
    alpha = _alpha(rng, height, width, max(4, round(900 * min(height, width) / 1080)))
    # Hair: fine streaks of light on a smooth change; the background: green and blue clouds.
    streaks = cv2.GaussianBlur(rng.random((height, width), dtype=np.float32), (0, 0), 2.5)
    streaks = (streaks - streaks.mean()) * 0.7
    foreground = 0.35 + 0.3 * _clouds(rng, height, width, 6) * np.float32([1.2, 0.8, 0.5])
    foreground = np.clip(foreground + streaks[..., None], 0.02, 1).astype(np.float32)
    background = (_clouds(rng, height, width, 9) * np.float32([0.4, 0.9, 0.8])).astype(np.float32)
    if hdr:
        foreground = foreground * np.float32([10, 6, 3]) - np.float32([0, 0, 0.9])
        foreground = foreground.astype(np.float32)
    mix = alpha[..., None]
    plate = np.where(
        mix == 1,
        foreground,
        np.where(mix == 0, background, mix * foreground + (1 - mix) * background),
    )
    return Scene(plate.astype(np.float32), alpha, foreground, background)
