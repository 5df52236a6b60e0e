# SPDX-License-Identifier: Apache-2.0
"""Contact sheets. Each matte has one row: plate, alpha, matte over grey, matte over a checker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.color import PlateColor
from matte_nodes.errors import OutputError
from matte_nodes.node.matte import Matte
from matte_nodes.whole_files import whole_file

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.color import ColorConfig

GREY = 0.18
COLUMNS = ("plate", "alpha", "over grey", "over checker")


def checker(height: int, width: int, square: int = 0) -> Float:
    """Return a checker of two scene-linear greys, (H, W, 3); every edge crosses light and dark."""
    square = square or max(4, min(height, width) // 16)
    rows, columns = np.arange(height)[:, None] // square, np.arange(width)[None] // square
    light = (rows + columns) % 2 == 0
    return np.repeat(np.where(light, np.float32(0.5), np.float32(0.02))[..., None], 3, axis=2)


def row(plate_seen: Float, matte: Matte, config: ColorConfig) -> Float:
    """One matte's pictures side by side, (H, 4 W, 3) float32, sRGB-encoded, 0..1."""
    to_screen = PlateColor(matte.colorspace, config=config).to_network
    height, width = matte.alpha.shape
    pictures = [
        plate_seen,
        np.repeat(matte.alpha[..., None], 3, axis=2),
        to_screen(matte.over((GREY, GREY, GREY)).astype(np.float32)),
        to_screen(matte.over(checker(height, width)).astype(np.float32)),
    ]
    return np.concatenate(pictures, axis=1)


def titled(picture: Float, title: str) -> Float:
    """Return the picture under a dark strip with a title and the names of the columns."""
    import cv2

    width = picture.shape[1]
    scale = max(0.35, width / len(COLUMNS) / 600)
    strip = np.full((max(14, round(28 * scale)), width, 3), 30, np.uint8)
    step = width // len(COLUMNS)
    for index, name in enumerate(COLUMNS):
        text = f"{title}: {name}" if index == 0 else name
        place = (index * step + 4, strip.shape[0] - max(4, round(8 * scale)))
        cv2.putText(
            strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.8, (230,) * 3, 1, cv2.LINE_AA
        )
    return np.concatenate([strip.astype(np.float32) / 255, picture])


def shrunk(picture: Float, width: int) -> Float:
    """Return the picture at most `width` pixels wide, by area."""
    if picture.shape[1] <= width:
        return picture
    import cv2

    size = (width, max(1, round(picture.shape[0] * width / picture.shape[1])))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def save(rows: Sequence[Float], path: Path) -> None:
    """Write rows below each other as an 8-bit sRGB PNG, whole or not at all."""
    import OpenImageIO as oiio

    widest = max(picture.shape[1] for picture in rows)
    padded = [np.pad(p, ((0, 0), (0, widest - p.shape[1]), (0, 0))) for p in rows]
    sheet = np.concatenate(padded)
    codes = np.round(np.clip(sheet, 0, 1) * 255).astype(np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = oiio.ImageBuf(np.ascontiguousarray(codes))
        picture.specmod().attribute("oiio:ColorSpace", "sRGB")
        with whole_file(path) as part:
            if not picture.write(str(part), "", "png"):
                raise OutputError(f"{path} cannot be written: {picture.geterror()}.")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
