# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks and boxes on the subject, as a text on the node and as the points of a request.

The text is JSON: a list of marks, `[frame, kind, x, y]` with kind `subject` or `not`, and
`[frame, "box", x0, y0, x1, y1]`. A mark of a named object ends with its name. Coordinates are parts of the picture (0 to 1) from its lower left
corner, as Blender counts; the service counts pixels from the upper left.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .trouble import Trouble

SUBJECT, NOT, BOX = "subject", "not", "box"
EVERY = 10
"""Frames between two marks that are taken along a range from something that moves."""
NEAR = 0.01
"""Parts of the picture: a click so near to a mark is on it."""
ONLY = "subject"
"""The name of the object that nobody named."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def checked(name: str) -> str:
    """Return an object's name as marks hold it: "" for the one that nobody named. Raises Trouble."""
    name = name.strip()
    if name and not _NAME.fullmatch(name):
        raise Trouble(
            f"The object's name {name!r} cannot be used: begin with a letter, then letters, "
            "digits, - and _."
        )
    return "" if name.lower() == ONLY else name


def named(marks: Iterable[Sequence[Any]], name: str) -> list[list[Any]]:
    """Return marks as those of one object."""
    return [[*mark, name] if name else [*mark] for mark in marks]


def object_of(mark: Sequence[Any]) -> str:
    """Return the name of a mark's object, "" for the one that nobody named."""
    return mark[-1] if isinstance(mark[-1], str) and len(mark) > 2 else ""


def spots(mark: Sequence[Any]) -> list[tuple[float, float]]:
    """Return the place of a click, or two corners of a box."""
    place = [number for number in mark[2:] if not isinstance(number, str)]
    return [(place[n], place[n + 1]) for n in range(0, len(place), 2)]


def objects(text: str) -> list[str]:
    """Return the names of the objects that have marks, in the order of the marks."""
    return list(dict.fromkeys(object_of(mark) for mark in read(text)))


def read(text: str) -> list[list[Any]]:
    """Return the marks in a text; a damaged one counts as none."""
    try:
        found = json.loads(text or "[]")
        return [_whole(mark) for mark in found]
    except (ValueError, TypeError, IndexError, KeyError):
        return []


def added(text: str, marks: Iterable[Sequence[Any]]) -> str:
    """Return the text with more marks. A box takes the place of the object's box in its frame."""
    kept = read(text)
    for mark in marks:
        new = _whole(mark)
        if new[1] == BOX:
            kept = [old for old in kept if (old[:2], object_of(old)) != (new[:2], object_of(new))]
        if new not in kept:
            kept.append(new)
    return json.dumps(sorted(kept, key=lambda mark: (mark[0], mark[1])))


def removed(text: str, frame: int, x: float, y: float) -> str:
    """Return the text without the click of this frame that is at a place; the same without one."""
    kept = read(text)
    here = [m for m in kept if m[0] == frame and m[1] != BOX]
    near = [m for m in here if math.hypot(m[2] - x, m[3] - y) <= NEAR]
    if near:
        kept.remove(min(near, key=lambda m: math.hypot(m[2] - x, m[3] - y)))
    return json.dumps(kept)


def without(text: str, frame: int) -> str:
    """Return the text without the marks of one frame."""
    return json.dumps([mark for mark in read(text) if mark[0] != frame])


def frames(text: str) -> list[int]:
    """Return the frames that have marks, in order."""
    return sorted({mark[0] for mark in read(text)})


def along(first: int, last: int) -> list[int]:
    """Return the frames of a range at which something that moves gives a mark."""
    return sorted({*range(first, last + 1, EVERY), last})


def in_words(text: str) -> list[str]:
    """Return how many marks there are, for the panel: a line for each object."""
    marks = read(text)
    if not marks:
        return ["no marks yet"]
    names = objects(text)
    lines = []
    for name in names:
        own = [mark for mark in marks if object_of(mark) == name]
        count = {kind: sum(1 for mark in own if mark[1] == kind) for kind in (SUBJECT, NOT, BOX)}
        boxes = "box" if count[BOX] == 1 else "boxes"
        words = ((SUBJECT, "on it"), (NOT, "beside it"), (BOX, boxes))
        told = [f"{count[kind]} {word}" for kind, word in words if count[kind]]
        many = len({mark[0] for mark in own})
        line = ", ".join(told) + f", in {many} frame{'s' if many > 1 else ''}"
        lines.append(line if names == [""] else f"{name or ONLY}: {line}")
    return lines


def points(text: str, width: int, height: int, *, still: bool) -> dict[str, Any]:
    """Return the points of a request for a plate of this size. Raises Trouble.

    still: the plate is one picture, whatever frames the marks were made at.
    """
    if not (width and height):
        raise Trouble("Blender cannot say how large the plate is, so clicks have no place on it.")
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for mark in read(text):
        frame, kind = mark[:2]
        at = told.setdefault(object_of(mark), {}).setdefault("first" if still else str(frame), {})
        places = spots(mark)
        if kind == BOX:  # a shape may go on beyond the picture
            places = [(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in places]
        pixels = [_pixel(place, width, height, frame) for place in places]
        if kind == BOX:
            (x0, y0), (x1, y1) = pixels
            at[BOX] = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
        else:
            at.setdefault(kind, []).append(pixels[0])
    for name, frames_of in told.items():
        if not any(SUBJECT in marks or BOX in marks for marks in frames_of.values()):
            what = f"the object {name}" if name else "the subject"
            raise Trouble(f"All clicks are beside {what}. Click on it, or draw a box round it.")
    return {
        "schema": "matte-points", "version": 1, "width": width, "height": height,
        "objects": [{"name": name or ONLY, "frames": at} for name, at in told.items()],
    }  # fmt: skip


def _pixel(place: Sequence[float], width: int, height: int, frame: int) -> list[float]:
    x, y = place
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise Trouble(f"A click at frame {frame} lies outside of the picture. Remove it.")
    return [round(min(x * width, width - 0.5), 2), round(min((1 - y) * height, height - 0.5), 2)]


def _whole(mark: Sequence[Any]) -> list[Any]:
    frame, kind, *place = mark
    name = place.pop() if place and isinstance(place[-1], str) else ""
    if kind not in (SUBJECT, NOT, BOX) or len(place) != (4 if kind == BOX else 2):
        raise ValueError(mark)
    whole = [int(frame), str(kind), *(round(float(number), 6) for number in place)]
    return [*whole, name] if name else whole
