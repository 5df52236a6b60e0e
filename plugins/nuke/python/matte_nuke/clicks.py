# SPDX-License-Identifier: Apache-2.0
"""Clicks on the subject as a text on the node, and as the points of a request.

The text has a word for each click: `+640,360@1001` on the subject, `-100,50@1001` beside it, with
the name of its object in front where there are several: `left=+640,360@1001`. Coordinates are
Nuke's: pixels of the format, from the lower left corner. The service counts from the upper left.
"""

from __future__ import annotations

import re
from typing import Any

from .trouble import Trouble

_NUMBER = r"-?\d+(?:\.\d+)?"
_WORD = re.compile(rf"(?:([A-Za-z][\w-]*)=)?([+-])({_NUMBER}),({_NUMBER})@(-?\d+)")
EVERY = 10
"""Frames between two clicks that are taken from a position that moves."""


def added(text: str, place: tuple[float, float], frame: int, kind: str, name: str = "") -> str:
    """Return the text with one click more. kind: + or -. Raises Trouble for a bad name."""
    name = name.strip()
    if name and not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise Trouble(
            f"{name!r} cannot name an object: begin with a letter, then use letters, digits, - "
            "and _."
        )
    word = f"{kind}{place[0]:g},{place[1]:g}@{frame}"
    return " ".join([*text.split(), f"{name}={word}" if name else word])


def frames_along(first: int, last: int) -> list[int]:
    """Return the frames of a range at which a moving position gives a click."""
    return sorted({*range(first, last + 1, EVERY), last})


def points(text: str, width: int, height: int) -> dict[str, Any]:
    """Return the points of a request. Raises Trouble for a word that is no click."""
    objects: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None:
            raise Trouble(
                f"{word!r} is no click. Write +X,Y@FRAME on the subject, -X,Y@FRAME beside it."
            )
        name, kind, x, y, frame = found.groups()
        marks = objects.setdefault(name or "object", {}).setdefault(frame, {})
        place = [float(x), height - float(y)]
        marks.setdefault("subject" if kind == "+" else "not", []).append(place)
    listed = [{"name": name, "frames": frames} for name, frames in objects.items()]
    return {
        "schema": "matte-points", "version": 1, "width": width, "height": height,
        "objects": listed,
    }  # fmt: skip
