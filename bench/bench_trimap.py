# SPDX-License-Identifier: Apache-2.0
"""The shipped trimap models against closed form, in one run, on the pictures of alphamatting.com.

Fifteen photographs with true alpha, trimap 1, errors over the unknown region, seconds of the step;
then seconds alone for two of them enlarged to 1080 lines, with a narrow and with a wide unknown band.
Needs pymatting and `alphamatting/` in $MATTE_TEST_DATA (or ../shared/data beside the checkout).
With a folder as argument a contact sheet of each picture is written there: plate, truth, then each
model's alpha. A second folder is another data set of that layout, such as the held-out one of
`scripts/heldout_trimaps.py`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from matte_nodes import MatteNode
from matte_nodes.card import LoadContext, ModelCard
from matte_nodes.evaluate import mse, read_colour, read_matte, sad
from matte_nodes.node.hints import clean_trimap

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
MODELS = ("closed-form", "trimap-cues", "closed-form-refined")


def main(sheets: Path | None = None, other: Path | None = None) -> None:
    """Print errors of every picture, the means, and the means over closed form's."""
    data = other or Path(os.environ.get("MATTE_TEST_DATA", BESIDE)) / "alphamatting"
    if not data.is_dir():
        print(f"skipped: no pictures in {data} (set MATTE_TEST_DATA)")
        return
    timed = {name: Timed() for name in MODELS}
    nodes = {name: MatteNode(name, device="cpu", loader=timed[name].load) for name in MODELS}
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MODELS}
    for path in sorted((data / "input_lowres").glob("*.*")):
        plate = np.round(read_colour(path) * 255).astype(np.uint8)
        trimap = clean_trimap(read_matte(data / "trimap1_lowres" / f"{path.stem}.png"))
        true = read_matte(data / "gt_lowres" / f"{path.stem}.png")
        unknown = trimap == 0.5
        made, told = [], f"{path.stem:<6}"
        for name, node in nodes.items():
            if not rows[name]:
                node(plate, trimap=trimap)  # the first call loads and warms up
            alpha = node(plate, trimap=trimap).alpha
            spent = timed[name].seconds
            error = mse(alpha, true, unknown)
            assert error is not None
            rows[name].append((sad(alpha, true, unknown), error, spent))
            told += "  {:>7.3f} {:.4f} {:5.2f}s".format(*rows[name][-1])
            made.append(alpha)
        print(told, flush=True)
        if sheets:
            write_sheet(sheets / f"{path.stem}.png", plate, [true, *made])
    if other is None:
        time_large(data, nodes, timed)
    first = np.mean(rows[MODELS[0]], 0)
    for name in MODELS:
        mean = np.mean(rows[name], 0)
        print(
            "{:<26} SAD {:.3f} ({:.3f} x)  MSE {:.4f} ({:.3f} x)  {:.2f} s ({:.2f} x)".format(
                name, *np.stack((mean, mean / first), 1).ravel()
            )
        )


def time_large(data: Path, nodes: dict[str, MatteNode], timed: dict[str, Timed]) -> None:
    """Seconds of a step at 1080 lines, the second of two calls."""
    import cv2

    for stem in ("GT05", "GT13"):
        plate = np.round(read_colour(data / "input_lowres" / f"{stem}.png") * 255).astype(np.uint8)
        trimap = clean_trimap(read_matte(data / "trimap1_lowres" / f"{stem}.png"))
        size = (round(1080 * plate.shape[1] / plate.shape[0]), 1080)
        large = cv2.resize(plate, size, interpolation=cv2.INTER_CUBIC)
        hint = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
        told = (
            f"{stem} at {size[0]} x {size[1]}, {100 * float((hint == 0.5).mean()):.0f} % unknown:"
        )
        spent = {}
        for name in MODELS[:2]:
            for _ in range(1 if name == MODELS[0] else 2):
                nodes[name](large, trimap=hint)
            spent[name] = timed[name].seconds
            told += f"  {name} {spent[name]:.2f} s"
        print(f"{told}  ({spent[MODELS[1]] / spent[MODELS[0]]:.3f} x)", flush=True)


class Timed:
    """A model whose last step was timed: its own part, without the solved foreground."""

    seconds = 0.0

    def load(self, card: ModelCard, context: LoadContext) -> Timed:
        """Stands for the loaded model."""
        self._model = card.load(context)
        return self

    def step(self, *arguments: Any) -> Any:
        """The model's own step, timed."""
        began = time.perf_counter()
        answer = self._model.step(*arguments)
        self.seconds = time.perf_counter() - began
        return answer


def write_sheet(path: Path, plate: np.ndarray, mattes: list[np.ndarray]) -> None:
    """Plate and mattes in two rows."""
    import cv2

    grey = [np.repeat(np.round(m * 255).astype(np.uint8)[..., None], 3, 2) for m in mattes]
    cells = [plate, *grey]
    cells += [np.zeros_like(plate)] * (-len(cells) % 2)
    half = len(cells) // 2
    sheet = np.vstack([np.hstack(cells[:half]), np.hstack(cells[half:])])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(sheet[..., ::-1]))


if __name__ == "__main__":
    main(*(Path(each) for each in sys.argv[1:3]))
