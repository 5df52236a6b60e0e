# SPDX-License-Identifier: Apache-2.0
"""A picture of what the foreground solver is for: an edge over another colour, before and after.

    python bench/picture_foreground.py OUT.png [--plate P --alpha A] [--crop X,Y,W,H] [--zoom 2]

From left to right: the plate, plate x alpha over a contrasting colour (the old background spills
from the hair), the solved foreground over it, and the solved foreground alone (straight, where
alpha is above 0). Without a plate and alpha of yours the made scene is shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.scene import make_scene
from matte_nodes.color import PlateColor
from matte_nodes.foreground import premultiply, solve_foreground

Float = NDArray[np.float32]
OVER = np.float32([0.75, 0.06, 0.5])  # linear magenta: neither skin, leaf, sky nor screen


def load(plate: str | None, alpha: str | None, color: PlateColor) -> tuple[Float, Float]:
    """Linear plate (H, W, 3) and alpha (H, W)."""
    if plate is None or alpha is None:
        scene = make_scene(960, 540)
        return scene.plate, scene.alpha
    pixels = cv2.imread(plate, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    matte = cv2.imread(alpha, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if pixels is None or matte is None:
        raise SystemExit(f"cannot read {plate if pixels is None else alpha}")
    top = float(np.iinfo(matte.dtype).max)
    linear = color.to_working(np.ascontiguousarray(pixels[..., ::-1]))
    return linear, (matte / np.float32(top)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--plate")
    parser.add_argument("--alpha")
    parser.add_argument("--crop", help="X,Y,W,H in pixels")
    parser.add_argument("--zoom", type=int, default=1)
    args = parser.parse_args()
    color = PlateColor("srgb_tx")
    plate, alpha = load(args.plate, args.alpha, color)
    solved = solve_foreground(plate, alpha)
    behind = (1 - alpha[..., None]) * OVER
    panels = [
        plate,
        premultiply(plate, alpha) + behind,
        premultiply(solved, alpha) + behind,
        solved,
    ]
    if args.crop:
        x, y, width, height = (int(part) for part in args.crop.split(","))
        panels = [panel[y : y + height, x : x + width] for panel in panels]
    # The same encoding as the network's: sRGB, clipped.
    linear = PlateColor(color.working)
    sheet = linear.to_network(np.concatenate(panels, axis=1))
    sheet = np.repeat(np.repeat(sheet, args.zoom, axis=0), args.zoom, axis=1)
    cv2.imwrite(args.out, np.round(sheet[..., ::-1] * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
