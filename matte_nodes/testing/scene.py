# SPDX-License-Identifier: Apache-2.0
"""Small made scenes with known foreground, alpha, background and every hint, of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float


@dataclass(frozen=True)
class Scene:
    """A composite and what it was made of: (H, W, 3) and (H, W) float32, scene-linear."""

    plate: Float
    alpha: Float
    foreground: Float
    background: Float
    trimap: Float
    segmentation: Float

    points: list[tuple[float, float, bool]]

    def hint(self, name: str) -> Any:
        """The hint of this name; points are a click on the disc."""
        return self.points if name == "points" else getattr(self, name)


def scene(height: int, width: int, *, time: float = 0.0, seed: int = 0) -> Scene:
    """A soft-edged disc of two colours over a lit gradient; `time` moves the disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    size = max(1.0, min(height, width))
    centre = (width * (0.5 + 0.1 * np.sin(time)), height * 0.5)
    distance = np.hypot(x - centre[0], y - centre[1])
    alpha = np.clip((0.32 * size - distance) / (0.08 * size) + 0.5, 0, 1).astype(np.float32)
    foreground = np.empty((height, width, 3), np.float32)
    foreground[:] = (0.7, 0.35, 0.2)
    foreground[(y > centre[1])] = (0.2, 0.3, 0.6)
    background = np.stack(
        [0.04 + 0.08 * x / max(width, 1), 0.45 + 0 * x, 0.06 + 0.08 * y / max(height, 1)], axis=2
    ).astype(np.float32)
    background *= (1 + 0.05 * rng.standard_normal((height, width, 1))).astype(np.float32)
    plate = foreground * alpha[..., None] + background * (1 - alpha[..., None])
    trimap = np.where(alpha == 0, 0, np.where(alpha == 1, 1, 0.5)).astype(np.float32)
    segmentation = (alpha > 0.5).astype(np.float32)
    points = [(float(min(centre[0], width - 0.5)), float(centre[1]), True)]
    return Scene(
        plate.astype(np.float32), alpha, foreground, background, trimap, segmentation, points
    )
