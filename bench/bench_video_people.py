# SPDX-License-Identifier: Apache-2.0
"""How steady the people models are: dtSSD and SAD on rendered clips of persons, truth known.

MATTE_PEOPLE=ASSETS python bench/bench_video_people.py [--clips N] [--frames N] [MODEL...]

Each clip is one person who moves, before a place that passes behind (a panned light probe), with
the grain of a camera. The assets are those that docs/people.md names, all of them CC0. Models that
our own weights were trained for know such persons: their figures are marked. The figures of
`matte models --for video` come from here.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

sys.path.insert(0, str(Path(__file__).parents[1]))
from matte_nodes.evaluate.frames import SequenceScores
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.train.people import source

SIZE, SIDE = (432, 768), 432
PROBES = ("park", "hall", "city", "apartment", "lobby", "dawn", "workshop", "bridge")
MODELS = ("rvm", "modnet", "selfie", "u2netp")
FIRST_SEED, GRAIN = 7000, 2.0


def place(assets: Path, name: str) -> Any:
    """A part of a light probe out of focus, (H, W, 3) float32 BGR 0..1, wider than the picture."""
    pixels = oiio.ImageBuf(str(assets / "hdri" / f"{name}.exr")).get_pixels(oiio.FLOAT)
    light = np.asarray(pixels, np.float32)[..., 2::-1]
    light = light / (light + 2.0 * np.median(light))
    height, width = light.shape[:2]
    part = light[height // 4 : 3 * height // 4, width // 4 : width // 4 + width // 2]
    large = cv2.resize(part, (SIZE[1] + 200, SIZE[0] + 20), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(np.clip(large, 0, 1), (0, 0), 2)
    return np.power(soft, 1 / 2.2).astype(np.float32)


def clip(folder: Path, assets: Path, number: int, count: int) -> tuple[str, list[Any]]:
    """The plates' pattern, and the true alpha of each."""
    folder.mkdir(parents=True)
    wide, alphas = place(assets, PROBES[number % len(PROBES)]), []
    rng = np.random.default_rng(number)
    left = (SIZE[1] - SIDE) // 2
    for index, rgba in enumerate(source.clip(assets, FIRST_SEED + number, SIDE, count)):
        whole = np.zeros((*SIZE, 4), np.float32)
        whole[:, left : left + SIDE] = rgba.astype(np.float32) / 255
        behind = wide[index // 2 : index // 2 + SIZE[0], 5 * index : 5 * index + SIZE[1]]
        alpha = whole[..., 3:]
        plate = 255 * (whole[..., 2::-1] * alpha + behind * (1 - alpha))
        plate += rng.normal(0, GRAIN, plate.shape)
        codes = np.rint(np.clip(plate, 0, 255)).astype(np.uint8)
        cv2.imwrite(str(folder / f"plate.{1001 + index}.png"), codes)
        alphas.append(np.ascontiguousarray(alpha[..., 0]))
    return str(folder / "plate.####.png"), alphas


def scored(model: str, plate: str, alphas: list[Any]) -> tuple[float, float]:
    """DtSSD and SAD/1000 of a model on one clip."""
    scores = SequenceScores()
    with_clip = MatteNode(model).connect(plate=plate)
    for (_, matte), true in zip(with_clip.render(), alphas, strict=True):
        scores.add(matte.alpha, true)
    whole = scores.result()["whole"]
    return whole["dtssd"], whole["sad"]


def main() -> int:
    """One line for each model, and one for each clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--keep", type=Path, help="keep the clips in this new folder")
    asked = parser.parse_args()
    if not os.environ.get("MATTE_PEOPLE"):
        print("MATTE_PEOPLE names no folder of assets: see docs/people.md")
        return 0
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked.models}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(asked.clips):
            folder = (asked.keep or Path(scratch)) / f"clip{number}"
            plate, alphas = clip(folder, Path(os.environ["MATTE_PEOPLE"]), number, asked.frames)
            for name in asked.models:
                found[name].append(scored(name, plate, alphas))
            row = "  ".join(f"{n} {found[n][-1][0]:.2f}/{found[n][-1][1]:.1f}" for n in found)
            print(f"clip {number} (dtSSD / SAD/1000)  {row}", flush=True)
    for name, pairs in found.items():
        steady, sad = np.mean(pairs, axis=0)
        print(f"{name:12} dtSSD {steady:.2f}   SAD/1000 {sad:.2f}   ({asked.clips} clips)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
