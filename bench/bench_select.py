# SPDX-License-Identifier: Apache-2.0
"""Selecting by clicks: overlap with the truth on photographs and on a clip, and the time of a click.

python bench/bench_select.py FOLDER [--video RGBA_FOLDER --background PICTURE]

FOLDER holds `input_lowres` and `gt_lowres` of alphamatting.com. The truth is alpha > 0.5. The first
click is at the deepest point inside; each next one is in the middle of the largest wrong region.
The video is a folder of RGBA pictures, put over a background that moves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from matte_nodes import MatteNode
from matte_nodes.temporal.stat_cache import Look

CLICKS = 5


def deepest(mask: Any) -> tuple[float, float]:
    """The point of a mask that is farthest from its outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    away = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(away.argmax()), away.shape)
    return float(x), float(y)


def next_click(found: Any, truth: Any) -> tuple[float, float, bool] | None:
    """A click in the middle of the largest wrong region; None when nothing is wrong."""
    best: tuple[int, Any, bool] | None = None
    for wrong, subject in ((truth & ~found, True), (found & ~truth, False)):
        count, labels, facts, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        for label in range(1, count):
            if best is None or facts[label, cv2.CC_STAT_AREA] > best[0]:
                best = int(facts[label, cv2.CC_STAT_AREA]), labels == label, subject
    return None if best is None else (*deepest(best[1]), best[2])


def iou(one: Any, two: Any) -> float:
    """Intersection over union."""
    return float((one & two).sum() / max(1, (one | two).sum()))


def masked(shot: Any, frame: int) -> Any:
    """The mask of a frame as the selector answers it: no foreground is solved for it."""
    look = Look()
    place = list(shot.frames).index(frame)
    return shot._prediction(shot._steps.load(place, look), look).alpha


def photographs(folder: Path) -> Iterator[tuple[str, Any, Any]]:
    """Name, plate (H, W, 3) uint8 RGB, truth (H, W) bool."""
    for path in sorted((folder / "input_lowres").glob("*.png")):
        truth = cv2.imread(str(folder / "gt_lowres" / path.name), cv2.IMREAD_GRAYSCALE)
        yield path.stem, cv2.imread(str(path))[..., ::-1].copy(), truth > 127


def boxed(truth: Any) -> tuple[int, int, int, int]:
    """The box round a mask."""
    rows, columns = np.nonzero(truth.any(axis=1))[0], np.nonzero(truth.any(axis=0))[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def stills(node: MatteNode, folder: Path) -> None:
    """Print the table of the photographs."""
    rows, seconds = [], []
    print("photograph " + " ".join(f"{n + 1:>6}" for n in range(CLICKS)) + "    box")
    for name, plate, truth in photographs(folder):
        clicks: list[tuple[float, float, bool]] = [(*deepest(truth), True)]
        row = []
        for _ in range(CLICKS):
            begun = time.perf_counter()
            shot = node.connect([plate], points={1: clicks}, cache="off")
            found = masked(shot, 1) > 0.5
            seconds.append(time.perf_counter() - begun)
            row.append(iou(found, truth))
            click = next_click(found, truth)
            clicks = clicks if click is None else [*clicks, click]
        shot = node.connect([plate], points={1: {"box": boxed(truth)}}, cache="off")
        row.append(iou(masked(shot, 1) > 0.5, truth))
        rows.append(row)
        print(f"{name:10} " + " ".join(f"{score:6.3f}" for score in row), flush=True)
    print("mean       " + " ".join(f"{score:6.3f}" for score in np.mean(rows, axis=0)))
    later = sorted(seconds[1:])
    print(f"a click after the first: {later[len(later) // 2]:.2f} s at 800 pixels, in the middle")


def over_moving(folder: Path, background: Path) -> tuple[list[Any], list[Any]]:
    """Plates and truths: RGBA pictures over a background that moves 2 pixels a frame and sways."""
    plates, truths = [], []
    wide = cv2.imread(str(background))[..., ::-1].astype(np.float32)
    for index, path in enumerate(sorted(folder.glob("*.png"))):
        rgba = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32)
        height, width = rgba.shape[:2]
        if index == 0:
            wide = cv2.resize(wide, (width + 240, height + 160), interpolation=cv2.INTER_AREA)
        x, y = 2 * index % 240, round(40 + 30 * np.sin(index / 8))
        alpha = rgba[..., 3:] / 255
        plate = rgba[..., 2::-1] * alpha + wide[y : y + height, x : x + width] * (1 - alpha)
        plates.append(np.rint(plate).astype(np.uint8))
        truths.append(alpha[..., 0] > 0.5)
    return plates, truths


def video(node: MatteNode, folder: Path, background: Path) -> None:
    """Print J over the frames of a clip, from one click and from one correction more."""
    plates, truths = over_moving(folder, background)
    keys: dict[int, list[tuple[float, float, bool]]] = {1: [(*deepest(truths[0]), True)]}
    for corrections in range(2):
        shot = node.connect(plates, points=keys, cache="off")
        begun = time.perf_counter()
        found = [masked(shot, frame) > 0.5 for frame in shot.frames]
        each = (time.perf_counter() - begun) / len(found)
        scores = [iou(mask, truth) for mask, truth in zip(found, truths, strict=True)]
        print(f"{folder.name}: one click and {corrections} corrections: J {np.mean(scores):.3f}, "
              f"worst {min(scores):.3f}, {each:.2f} s a frame")  # fmt: skip
        worst = int(np.argmin(scores))
        click = next_click(found[worst], truths[worst])
        if click is not None:
            keys[worst + 1] = [*keys.get(worst + 1, []), click]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--background", type=Path)
    asked = parser.parse_args()
    node = MatteNode("click", device="cpu")
    stills(node, asked.folder)
    if asked.video:
        video(node, asked.video, asked.background)


if __name__ == "__main__":
    main()
