# SPDX-License-Identifier: Apache-2.0
"""Hints that are drawn on some frames only: their frames as a text on the node, or a Roto's keys."""

from __future__ import annotations

import re
from typing import Any

from .trouble import Trouble

KEYED = ("trimap", "segmentation")
_PART = re.compile(r"(-?\d+)(?:-(-?\d+))?")
ROTOS = ("Roto", "RotoPaint", "SplineWarp3")


def key_frames(text: str) -> list[int]:
    """Return the frames of a text such as `1001 1012-1014, 1050`. Raises Trouble for other words."""
    found: set[int] = set()
    for word in text.replace(",", " ").split():
        part = _PART.fullmatch(word)
        if part is None or int(part.group(2) or part.group(1)) < int(part.group(1)):
            raise Trouble(f"{word!r} names no frames. Write them as in 1001 1012-1014.")
        found.update(range(int(part.group(1)), int(part.group(2) or part.group(1)) + 1))
    return sorted(found)


def as_text(frames: list[int]) -> str:
    """Return frames as a text for the node."""
    return " ".join(str(frame) for frame in frames)


def roto_above(node: Any) -> Any:
    """Return the first Roto on the way up from a node along its first inputs, or None."""
    while node is not None and node.Class() not in ROTOS:
        node = node.input(0)
    return node


def roto_keys(roto: Any) -> list[int]:
    """Return the frames at which a point of a shape has a key. Raises Trouble without any."""
    found: set[int] = set()
    try:
        _collect(roto["curves"].rootLayer, found)
    except (AttributeError, NameError, TypeError) as error:
        raise Trouble(
            f"The keys of this Roto cannot be read ({error}). Write the frames yourself."
        ) from error
    if not found:
        raise Trouble("This Roto has no keys: one shape serves all frames. Leave the frames empty.")
    return sorted(found)


def _collect(layer: Any, found: set[int]) -> None:
    for element in layer:
        for point in element:
            if hasattr(point, "center"):
                found.update(int(time) for time in point.center.getControlPointKeyTimes())
            elif hasattr(point, "getControlPointKeyTimes"):  # a stroke's
                found.update(int(time) for time in point.getControlPointKeyTimes())
            elif hasattr(point, "__iter__"):  # a layer in a layer
                _collect([point], found)
