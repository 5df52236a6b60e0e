# SPDX-License-Identifier: Apache-2.0
"""The curves of a training as a picture: loss, held-out error and IoU over the steps.

python scripts/training_card.py RUN OUT.png

RUN is a folder of `matte train people`, or of `matte train` (which measures no IoU). Stages follow one another; a line marks where one ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT, EDGE = 480, 260, 46
INK, GRID, CURVE = (40, 40, 40), (220, 220, 220), (170, 90, 20)


def read(run: Path) -> tuple[list[dict[str, float]], list[int]]:
    """Lines of all stages with steps that go on, and the steps where stages end."""
    lines: list[dict[str, float]] = []
    ends, before = [], 0
    for stage in sorted(run.glob("stage-*")):
        told = [json.loads(line) for line in (stage / "progress.jsonl").read_text().splitlines()]
        kept = stage / "heldout.jsonl"
        scores = (
            [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
        )
        # A stage that was killed has told some checks twice, with the same figures.
        by_step = {line["step"]: {"mad": line.get("score"), **line} for line in told}
        iou = {score["mad"]: score["iou"] for score in scores}
        for step, line in sorted(by_step.items()):
            lines.append({**line, "step": before + step, "iou": iou.get(line["mad"], np.nan)})
        before = int(lines[-1]["step"])
        ends.append(before)
    return lines, ends


def chart(title: str, steps: list[float], values: list[float], ends: list[int]) -> Any:
    """One curve with its axes, (HEIGHT, WIDTH, 3) uint8 BGR."""
    import cv2

    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    low, high = min(values), max(values)
    spread, last = max(high - low, 1e-9), max(steps)

    def place(step: float, value: float) -> tuple[int, int]:
        x = EDGE + step / last * (WIDTH - EDGE - 14)
        y = HEIGHT - 30 - (value - low) / spread * (HEIGHT - 74)
        return round(x), round(y)

    def write(text: str, at: tuple[int, int]) -> None:
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)

    for value in (low, (low + high) / 2, high):
        cv2.line(picture, place(0, value), place(last, value), GRID, 1)
        write(f"{value:.3f}", (2, place(0, value)[1] + 4))
    for end in ends[:-1]:
        cv2.line(picture, place(end, low), place(end, high), GRID, 2)
    points = [place(step, value) for step, value in zip(steps, values, strict=True)]
    cv2.polylines(picture, [np.array(points)], False, CURVE, 2, cv2.LINE_AA)
    write(title, (EDGE, 20))
    write(f"{round(last)} steps", (WIDTH - 92, HEIGHT - 8))
    return picture


def main(run: Path, out: Path) -> None:
    """Write the curves side by side."""
    import cv2

    lines, ends = read(run)
    charts = []
    for name, title in (("total", "loss"), ("mad", "held-out error"), ("iou", "held-out IoU")):
        kept = [line for line in lines if np.isfinite(line[name])]
        steps, values = [line["step"] for line in kept], [line[name] for line in kept]
        if kept:
            charts.append(chart(title, steps, values, ends))
    cv2.imwrite(str(out), np.hstack(charts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
