# SPDX-License-Identifier: Apache-2.0
"""Made deliveries for the report: a 720p clip of 120 frames, and small versions to compare."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from bench.scene import make_scene
from matte_nodes.color import PlateColor
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.layouts import OutputFrame
from matte_nodes.media.writers import open_writer

PROVENANCE = {"model": "green-screen", "licence": "Apache-2.0", "commercial": "yes",
              "weights": "", "knobs": "", "version": "0"}  # fmt: skip


def clip(
    folder: Path,
    height: int,
    width: int,
    count: int,
    *,
    distinct: int,
    softer: float = 0.0,
    gain: float = 1.0,
    pop: int | None = None,
) -> tuple[str, Path]:
    """A hairy disc that moves before a fixed background, with grain; plate pattern and folder.

    distinct: so many frames are made, the others are links to them. softer: alpha is blurred by so
    many pixels. gain: of the foreground. pop: at this frame the soft edge is thinned.
    """
    plates, mattes = folder / "plate", folder / f"matte{softer:g}"
    plates.mkdir(parents=True, exist_ok=True)
    mattes.mkdir(parents=True, exist_ok=True)
    made = make_scene(width, height)
    bright = made.foreground * np.float32(gain)
    encode = PlateColor("lin_rec709").to_network
    rng = np.random.default_rng(0)
    pattern = str(mattes / "matte.####.exr")
    writer = open_writer(
        pattern, layout="blender", colorspace="Linear Rec.709 (sRGB)", provenance=PROVENANCE,
        rate=None,
    )  # fmt: skip
    window = Rect(0, 0, width, height)
    for index in range(count):
        number = 1001 + index
        step = index % distinct
        path, plate = mattes / f"matte.{number}.exr", plates / f"plate.{number}.jpg"
        if step != index:
            os.link(mattes / f"matte.{1001 + step}.exr", path)
            if not plate.exists():
                os.link(plates / f"plate.{1001 + step}.jpg", plate)
            continue
        shift = round(width * 0.02 * np.sin(2 * np.pi * step / distinct))
        alpha = np.roll(made.alpha, shift, axis=1)
        colour = np.roll(bright, shift, axis=1)
        if not plate.exists():
            mixed = colour * alpha[..., None] + made.background * (1 - alpha[..., None])
            seen = encode(mixed.astype(np.float32))
            seen += rng.normal(0, 0.008, seen.shape).astype(np.float32)
            codes = np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8)
            cv2.imwrite(str(plate), codes[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        if softer:
            alpha = cv2.GaussianBlur(alpha, (0, 0), softer)
        if pop == number:
            alpha = np.where(alpha < 1, alpha**3, alpha)
        writer.write(OutputFrame(
            frame=number, alpha=alpha.astype(np.float16).astype(np.float32),
            foreground=colour.astype(np.float32), window=window,
            source=Image(np.empty((0, 0, 3), np.uint8), ("R", "G", "B"), window, window),
            extras={},
        ))  # fmt: skip
    writer.close()
    return str(plates / "plate.####.jpg"), mattes
