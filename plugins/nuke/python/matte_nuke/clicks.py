# SPDX-License-Identifier: Apache-2.0
"""Clicks on the subject as a text on the node, and as the points of a request.

The text has a word for each mark: `+640,360@1001` is a click on the subject, `-100,50@1001` beside
it, `box500,80,800,1000@1001` a box round it (left, bottom, right, top). The name of its object
stands in front where there are several: `left=+640,360@1001`. Coordinates are Nuke's: pixels of the
format, from the lower left corner. The service counts from the upper left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .trouble import Trouble

_NUMBER = r"-?\d+(?:\.\d+)?"
_WORD = re.compile(rf"(?:([A-Za-z][\w-]*)=)?([+-]|box)({_NUMBER}(?:,{_NUMBER}){{1,3}})@(-?\d+)")
BOX = "box"
EVERY = 10
"""Frames between two clicks that are taken from a position that moves."""


def added(text: str, place: Sequence[float], frame: int, kind: str, name: str = "") -> str:
    """Return the text with one mark more. kind: +, - or box; an object has one box in a frame.

    Raises Trouble for a bad name or an empty box.
    """
    name = name.strip()
    if name and not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise Trouble(
            f"{name!r} cannot name an object: begin with a letter, then use letters, digits, - "
            "and _."
        )
    if kind == BOX and not (place[0] < place[2] and place[1] < place[3]):
        raise Trouble("The box is empty: drag its corners in the viewer, then press 'Box'.")
    start = f"{name}={kind}" if name else kind
    words = text.split()
    if kind == BOX:
        mine = (name or None, BOX, str(frame))
        words = [word for word in words if _identity(word) != mine]
    return " ".join([*words, start + ",".join(f"{number:g}" for number in place) + f"@{frame}"])


def _identity(word: str) -> tuple[Any, ...] | None:
    found = _WORD.fullmatch(word)
    return found and found.group(1, 2, 4)


def frames_along(first: int, last: int) -> list[int]:
    """Return the frames of a range at which a moving position gives a click."""
    return sorted({*range(first, last + 1, EVERY), last})


def points(text: str, width: int, height: int) -> dict[str, Any]:
    """Return the points of a request. Raises Trouble for a word that is no click."""
    objects: dict[str, dict[str, dict[str, Any]]] = {}
    for word in text.split():
        found = _WORD.fullmatch(word)
        numbers = [float(number) for number in found.group(3).split(",")] if found else []
        if found is None or len(numbers) != (4 if found.group(2) == BOX else 2):
            raise Trouble(
                f"{word!r} is no click. Write +X,Y@FRAME on the subject, -X,Y@FRAME beside it, "
                "boxX,Y,R,T@FRAME round it."
            )
        name, kind, _, frame = found.groups()
        marks = objects.setdefault(name or "object", {}).setdefault(frame, {})
        if kind == BOX:
            left, bottom, right, top = numbers
            marks["box"] = [left, height - top, right, height - bottom]
        else:
            place = [numbers[0], height - numbers[1]]
            marks.setdefault("subject" if kind == "+" else "not", []).append(place)
    listed = [{"name": name, "frames": frames} for name, frames in objects.items()]
    return {
        "schema": "matte-points", "version": 1, "width": width, "height": height,
        "objects": listed,
    }  # fmt: skip
