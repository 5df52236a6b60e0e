# SPDX-License-Identifier: Apache-2.0
"""Made pictures and clips with known masks: textured things over textured, moving ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 108, 160


def texture(seed: int, colours: tuple[Any, Any], size: tuple[int, int], grain: float) -> Any:
    """A cloudy mix of two colours, (H, W, 3) float32 0..1."""
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    cloud = cv2.GaussianBlur(noise, (0, 0), grain)
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    one, two = (np.array(colour, np.float32) for colour in colours)
    return one + (two - one) * cloud[..., None]


GROUND = ((0.15, 0.30, 0.15), (0.35, 0.5, 0.3))
RED = ((0.65, 0.15, 0.1), (0.9, 0.4, 0.2))
BLUE = ((0.1, 0.2, 0.6), (0.3, 0.5, 0.95))


@dataclass(frozen=True)
class Thing:
    """An ellipse with its own texture, which moves along a line."""

    seed: int
    colours: tuple[Any, Any]
    start: tuple[float, float]
    speed: tuple[float, float]
    radii: tuple[int, int] = (22, 16)

    def at(self, time: float) -> tuple[float, float]:
        """Its centre in x and y."""
        return self.start[0] + time * self.speed[0], self.start[1] + time * self.speed[1]


def frame(
    things: list[Thing], time: float, drift: float = 0.7
) -> tuple[Any, list[NDArray[np.bool_]]]:
    """A frame (H, W, 3) uint8 and each thing's visible mask; later things lie in front."""
    wide = texture(1, GROUND, (HEIGHT, WIDTH + 100), 3)
    picture = _shifted(wide, -drift * time - 20, 0)[:, :WIDTH].copy()
    masks: list[NDArray[np.bool_]] = []
    for thing in things:
        x, y = thing.at(time)
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        inside = ((columns - x) / thing.radii[0]) ** 2 + ((rows - y) / thing.radii[1]) ** 2 < 1
        skin = texture(thing.seed, thing.colours, (HEIGHT, WIDTH), 4)
        skin = _shifted(skin, x - WIDTH / 2, y - HEIGHT / 2)
        picture[inside] = skin[inside]
        masks = [mask & ~inside for mask in masks] + [inside]
    return np.rint(cv2.GaussianBlur(picture, (0, 0), 0.6) * 255).astype(np.uint8), masks


def clip(things: list[Thing], count: int, **more: Any) -> tuple[list[Any], list[Any]]:
    """Frames, and for each frame the masks of the things."""
    made = [frame(things, time, **more) for time in range(count)]
    return [picture for picture, _ in made], [masks for _, masks in made]


def iou(one: Any, two: Any) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = (one | two).sum()
    return float((one & two).sum() / union) if union else 1.0


def _shifted(picture: Any, x: float, y: float) -> Any:
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT)
