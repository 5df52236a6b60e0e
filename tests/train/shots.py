# SPDX-License-Identifier: Apache-2.0
"""A made shot for the fine-tuning tests: a warm disc that moves over cold clutter that moves too."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from matte_nodes.train.textures import patches

HEIGHT, WIDTH, FRAMES = 64, 96, 7
KEYS = (1, 3, 5, 7)


def background(frame: int) -> np.ndarray:
    """(H, W, 3) float32: blue and green patches, moved two pixels a frame."""
    picture = patches(np.random.default_rng(5), 160) * np.float32([0.25, 0.9, 1.0])
    return np.ascontiguousarray(picture[20 : 20 + HEIGHT, 2 * frame : 2 * frame + WIDTH])


def alpha(frame: int) -> np.ndarray:
    """(H, W) float32: a soft disc, moved three pixels a frame."""
    canvas = np.zeros((4 * HEIGHT, 4 * WIDTH), np.float32)
    cv2.circle(canvas, (4 * (30 + 3 * frame), 4 * 34), 4 * (16 + frame // 2), 1.0, -1)
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.0)


def plate(frame: int) -> np.ndarray:
    """(H, W, 3) uint8: the disc, orange, over the background."""
    rows = np.linspace(0.7, 1.0, HEIGHT, dtype=np.float32)[:, None, None]
    front = np.float32([0.9, 0.5, 0.15]) * rows * np.ones((1, WIDTH, 1), np.float32)
    cover = alpha(frame)[..., None]
    mixed = cover * front + (1 - cover) * background(frame)
    return np.round(mixed.clip(0, 1) * 255).astype(np.uint8)


def plates() -> dict[int, np.ndarray]:
    return {frame: plate(frame) for frame in range(1, FRAMES + 1)}


def keys() -> dict[int, np.ndarray]:
    return {frame: np.round(alpha(frame) * 255).astype(np.uint8) for frame in KEYS}


def write(folder: Path) -> None:
    """plate.####.png and key.####.png."""
    for frame, picture in plates().items():
        cv2.imwrite(str(folder / f"plate.{frame:04d}.png"), picture[..., ::-1])
    for frame, matte in keys().items():
        cv2.imwrite(str(folder / f"key.{frame:04d}.png"), matte)
