# SPDX-License-Identifier: Apache-2.0
"""Draw the committed gizmos as Nuke's node graph shows them, by the tests' own reader.

python scripts/nuke_graph.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.nuke.nk import Script  # noqa: E402

SCALE, WIDE, TALL, EDGE = 2, 112, 34, 30
FITS = 30  # letters of the small text in a box
BACK, INK, LINE = (56, 56, 56), (20, 20, 20), (200, 200, 200)
# Colours of node classes in the node graph (B, G, R), as far as one tells them apart by colour.
COLOURS = {
    "Input": (170, 150, 120), "Output": (150, 190, 235), "Read": (190, 190, 120),
    "Write": (110, 190, 215), "Shuffle": (140, 140, 190), "Switch": (150, 200, 150),
    "Merge2": (210, 160, 130),
}  # fmt: skip


def place(node: Any) -> tuple[int, int]:
    """Top left corner in the picture's pixels, before scaling."""
    return int(node.value("xpos")) + EDGE, int(node.value("ypos")) * 5 // 4 + EDGE


def drawn(group: Any) -> np.ndarray:
    """One group's inside as a picture."""
    places = [place(node) for node in group.children]
    size = max(x for x, _ in places) + WIDE + EDGE, max(y for _, y in places) + TALL + EDGE
    picture = np.full((size[1] * SCALE, size[0] * SCALE, 3), BACK, np.uint8)
    for node in group.children:
        for number, source in enumerate(node.inputs):
            if source is not None:
                link(picture, node, source, number)
    for node in group.children:
        box(picture, node)
    return picture


def link(picture: np.ndarray, node: Any, source: Any, number: int) -> None:
    """An arrow from below a node to the top of the one that it feeds, with the input's number."""
    (x1, y1), (x2, y2) = place(source), place(node)
    share = (number + 1) / (len(node.inputs) + 1)
    begin = ((x1 + WIDE // 2) * SCALE, (y1 + TALL) * SCALE)
    end = (int((x2 + WIDE * share) * SCALE), y2 * SCALE)
    cv2.line(picture, begin, end, LINE, SCALE, cv2.LINE_AA)
    if len(node.inputs) > 1:
        text(picture, str(number), (end[0] + 4, end[1] - 5), LINE, 0.4)


def box(picture: np.ndarray, node: Any) -> None:
    """A node: its name, and its class below where that is not the same."""
    x, y = (value * SCALE for value in place(node))
    low = (x + WIDE * SCALE, y + TALL * SCALE)
    cv2.rectangle(picture, (x, y), low, COLOURS.get(node.kind, (170, 170, 170)), -1)
    cv2.rectangle(picture, (x, y), low, INK, SCALE)
    text(picture, node.name, (x + 8, y + 27), INK, 0.5)
    follows = node.value("which") or node.value("channels") or ""
    below = f"{node.kind} {follows.replace('parent.', '= ')}".strip()
    below = below if len(below) <= FITS else below[: FITS - 3] + "..."
    text(picture, below, (x + 8, y + 54), INK, 0.4)


def text(
    picture: np.ndarray, what: str, at: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    """A line of text."""
    cv2.putText(picture, what, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


if __name__ == "__main__":
    for path in sorted((ROOT / "plugins" / "nuke" / "gizmos").glob("*.gizmo")):
        group = Script(path.read_text("utf-8")).nodes[0]
        few = drawn(group) // 24 * 24  # few shades: a third of the bytes
        name = str(ROOT / "docs" / "pictures" / f"nuke-{path.stem}.png")
        cv2.imwrite(name, few, [cv2.IMWRITE_PNG_COMPRESSION, 9])
