# SPDX-License-Identifier: Apache-2.0
"""The shipped clean-plate model against difference key -> trimap -> closed form.

Fifteen cut-outs with alpha over photographs, each with an imperfect clean plate: 4 % brighter, a
gamma of 1.05, moved by (0.8, -0.5) pixels, both plates with their own noise, the subject's shadow on
the background. Errors over the whole picture, and over the soft and edge pixels of the true alpha.
Needs pymatting and the folders `derived-cutouts/` and `backgrounds/` in $MATTE_TEST_DATA.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from matte_nodes import MatteNode
from matte_nodes.evaluate import mse, sad
from matte_nodes.node.hints import trimap_from_matte

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
NOISE = 2 / 255
WIDTH = 12.0


def main(sheets: Path | None) -> None:
    """Print errors of every composite, and the means."""
    import cv2

    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE))
    cutouts = sorted((data / "derived-cutouts").glob("*.png"))
    places = sorted((data / "backgrounds").glob("*.*"))
    if not cutouts or not places:
        print(f"skipped: no pictures in {data} (set MATTE_TEST_DATA)")
        return
    small = MatteNode("clean-plate-cues", device="cpu")
    closed = MatteNode("closed-form", device="cpu")
    rows = []
    for number, path in enumerate(cutouts):
        cut = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert cut is not None
        height, width = cut.shape[:2]
        place = cv2.imread(str(places[number % len(places)]), cv2.IMREAD_COLOR)
        assert place is not None
        place = cv2.resize(place, (width, height), interpolation=cv2.INTER_AREA)
        front, true = cut[..., 2::-1].astype(np.float32) / 255, cut[..., 3].astype(np.float32) / 255
        seen, clean = shot(front, true, place[..., ::-1].astype(np.float32) / 255, number)
        began = time.perf_counter()
        first = small(seen, background=clean).alpha
        middle = time.perf_counter()
        key = difference_key(seen, clean)
        second = closed(seen, trimap=trimap_from_matte(key, WIDTH)).alpha
        ended = time.perf_counter()
        edge = trimap_from_matte(true, 4.0) == 0.5
        row = []
        for alpha, spent in ((first, middle - began), (second, ended - middle)):
            row += [sad(alpha, true), mse(alpha, true), sad(alpha, true, edge), spent]
        rows.append(row)
        print(f"{path.stem:<6}" + "".join(f"{value:9.4f}" for value in row), flush=True)
        if sheets:
            from bench_trimap import write_sheet

            write_sheet(sheets / f"{path.stem}.png", seen, [true, first, key, second])
    print("columns: small: SAD, MSE, SAD of edges, s; difference key -> closed form: the same")
    print("mean  " + "".join(f"{value:9.4f}" for value in np.mean(rows, 0)))


def shot(
    front: np.ndarray, alpha: np.ndarray, place: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The plate and the imperfect clean plate, 8-bit codes."""
    import cv2

    rng = np.random.default_rng(seed)
    size = (alpha.shape[1], alpha.shape[0])
    shade = cv2.GaussianBlur(alpha, (0, 0), 25)
    shade = cv2.warpAffine(shade, np.array([[1, 0, 20.0], [0, 1, 12.0]]), size)
    behind = place * (1 - 0.25 * shade[..., None])
    seen = alpha[..., None] * front + (1 - alpha[..., None]) * behind
    moved = cv2.warpAffine(
        place, np.array([[1, 0, 0.8], [0, 1, -0.5]]), size, borderMode=cv2.BORDER_REFLECT
    )
    clean = 1.04 * moved**1.05
    noisy = [picture + rng.normal(0, NOISE, picture.shape) for picture in (seen, clean)]
    codes = [np.round(picture.clip(0, 1) * 255).astype(np.uint8) for picture in noisy]
    return codes[0], codes[1]


def difference_key(seen: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """A compositor's difference key: brightness matched, largest channel difference, smoothed,
    small specks and holes closed."""
    import cv2

    plate, back = seen.astype(np.float32) / 255, clean.astype(np.float32) / 255
    gain = np.median(plate.reshape(-1, 3) / np.maximum(back.reshape(-1, 3), 1 / 255), 0)
    size = np.abs(plate - back * gain).max(2)
    key = ((cv2.GaussianBlur(size, (0, 0), 1.5) - 0.06) / 0.12).clip(0, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    key = cv2.morphologyEx(cv2.morphologyEx(key, cv2.MORPH_OPEN, disc), cv2.MORPH_CLOSE, disc)
    found: np.ndarray = key.astype(np.float32)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
