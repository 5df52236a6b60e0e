# SPDX-License-Identifier: Apache-2.0
"""A sheet of the five seed systems on the weights of this project: docs/pictures/seeds.jpg.

    python scripts/seed_sheet.py PHOTOGRAPHS PEOPLE

PHOTOGRAPHS: a folder of scripts/photographs.py. PEOPLE: a folder of `matte train compose people`.
A row a model: plate, hint, alpha, and the foreground over a colour. Where a model needs a trimap or
a clean plate, a rendered person stands before a photograph, so the hint is made of the true alpha.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.color.network import srgb_encoded
from matte_nodes.train import hints

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "seeds.jpg"
SIDE = 256
COLOUR = np.array([200, 90, 160], np.float32) / 255
Picture = NDArray[np.float32]


def main(photographs: Path, people: Path) -> None:
    """Run every model by plain MatteNode and write the sheet."""
    person, behind = read(people / "000004.png"), read(photographs / "train" / "china.jpg")
    plate, alpha = over(person, behind)
    rng = np.random.default_rng(3)
    trimap = hints.trimap(rng, alpha, narrow=9, wide=10)
    rough = hints.soft_segmentation(rng, alpha)
    face, cat = (read(photographs / "train" / name) for name in ("astronaut.png", "chelsea.png"))
    rows = [
        row("mmnet", face),
        row("gfm", cat),
        row("deep-image-matting", plate, trimap=trimap),
        row("adamatting", plate, trimap=trimap),
        row("background-matting", plate, background=behind, segmentation=rough),
    ]
    sheet = np.concatenate(rows)
    codes = np.round(sheet.clip(0, 1)[..., ::-1] * 255).astype(np.uint8)
    cv2.imwrite(str(OUT), codes, [cv2.IMWRITE_JPEG_QUALITY, 72])


def row(name: str, plate: Picture, **given: Picture) -> Picture:
    """Return plate, hint (grey without one), alpha, and the foreground over a colour."""
    codes: Any = np.round(plate * 255).astype(np.uint8)
    matte = MatteNode(name)(codes, **given)
    hint = next(iter(given.values()), np.full(plate.shape[:2], 0.2, np.float32))
    cover = matte.alpha[..., None]
    shown = srgb_encoded(matte.foreground.clip(0, 1)) * cover + COLOUR * (1 - cover)
    cells = [plate, hint, matte.alpha, shown]
    return np.concatenate([c if c.ndim == 3 else np.repeat(c[..., None], 3, 2) for c in cells], 1)


def read(path: Path) -> Picture:
    """Return the middle square of a picture, SIDE x SIDE, RGB or RGBA, 0..1."""
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    side = min(codes.shape[:2])
    top, left = ((length - side) // 2 for length in codes.shape[:2])
    part = codes[top : top + side, left : left + side].astype(np.float32) / 255
    found: Picture = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(found[..., [2, 1, 0, 3][: found.shape[2]]])


def over(layer: Picture, behind: Picture) -> tuple[Picture, Picture]:
    """Return a straight layer over a place, and its alpha."""
    alpha = np.ascontiguousarray(layer[..., 3])
    return layer[..., :3] * layer[..., 3:] + behind * (1 - layer[..., 3:]), alpha


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
