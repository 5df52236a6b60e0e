# SPDX-License-Identifier: Apache-2.0
"""Draw the icons of the Nuke nodes, 24 and 48 pixels: a head and shoulders, cut out by a soft edge.

python scripts/nuke_icons.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).parents[1] / "plugins" / "nuke" / "icons"
FINE = 16
GREEN, DARK, LIGHT, GREY = (106, 170, 152), (46, 46, 46), (236, 236, 236), (128, 128, 128)


def figure(side: int, grow: float = 0.0) -> np.ndarray:
    """Coverage of head and shoulders, (side, side), 0..1, grown by a share of the side."""
    y, x = np.mgrid[0:side, 0:side] / side
    head = np.hypot(x - 0.5, (y - 0.36) * 0.9) < 0.19 + grow
    shoulders = np.hypot((x - 0.5) * 0.86, y - 0.95) < 0.34 + grow
    return np.asarray(head | shoulders, np.float64)


def board(side: int) -> np.ndarray:
    """A checkerboard of two greys, (side, side, 3)."""
    y, x = np.mgrid[0:side, 0:side] * 6 // side
    return np.where(((x + y) % 2)[..., None] == 0, 90.0, 150.0) * np.ones(3)


def framed(picture: np.ndarray) -> np.ndarray:
    """RGBA with round corners."""
    side = len(picture)
    y, x = (np.abs(np.mgrid[0:side, 0:side] / side - 0.5) - 0.32).clip(0)
    return np.dstack((picture, (np.hypot(x, y) < 0.17) * 255.0))


def over(colour: tuple[int, int, int], alpha: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A flat colour by coverage over a picture."""
    return np.asarray(colour) * alpha[..., None] + below * (1 - alpha[..., None])


def icons(side: int) -> dict[str, np.ndarray]:
    """Every icon at this size."""
    fine = side * FINE
    dark = np.ones((fine, fine, 3)) * DARK
    trimap = over(LIGHT, figure(fine, -0.06), over(GREY, figure(fine, 0.07), dark))
    drawn = {
        "matte_nodes": framed(over(LIGHT, figure(fine), over(GREEN, np.ones((fine, fine)), dark))),
        "matte_node": framed(over(GREEN, figure(fine), board(fine))),
        "matte_trimap": framed(trimap),
    }
    return {name: small(picture, side) for name, picture in drawn.items()}


def small(picture: np.ndarray, side: int) -> np.ndarray:
    """Averaged down, colour weighted by its coverage."""
    alpha = picture[..., 3:] / 255
    shape = (side, FINE, side, FINE, -1)
    cover = alpha.reshape(shape).mean((1, 3))
    colour = (picture[..., :3] * alpha).reshape(shape).mean((1, 3)) / np.maximum(cover, 1e-6)
    return np.dstack((colour, cover * 255)).round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for side, mark in ((24, ""), (48, "@2x")):
        for name, picture in icons(side).items():
            cv2.imwrite(str(FOLDER / f"{name}{mark}.png"), picture[..., [2, 1, 0, 3]])
