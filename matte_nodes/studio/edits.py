# SPDX-License-Identifier: Apache-2.0
"""Edits: what a person does to a session, each a function from a document to the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from matte_nodes.card import HINTS
from matte_nodes.errors import UsageError
from matte_nodes.points import ONLY, Points, marks_of
from matte_nodes.studio import document as check
from matte_nodes.studio.document import (
    COLOURS,
    KEY_MODES,
    MOST_CLICKS,
    MOST_KEYS,
    MOST_OBJECTS,
    Document,
    Painted,
    Subject,
)

Edit: TypeAlias = "Callable[[Document, Mapping[str, Any]], Document]"

_TEXTS = (
    "model",
    "refine",
    "segmentation_model",
    "colorspace",
    "layer",
    "device",
    "ocio",
    "behind",
)


def apply(document: Document, asked: Mapping[str, Any]) -> Document:
    """The document after one edit. asked: `edit` names it, the rest are its arguments. UsageError."""
    name = asked.get("edit")
    edit = EDITS.get(name) if isinstance(name, str) else None
    if edit is None:
        raise UsageError(f"There is no edit {name!r:.50}. There are: {', '.join(EDITS)}.")
    return edit(document, asked)


def _set(document: Document, asked: Mapping[str, Any]) -> Document:
    """Set texts of the session: model, refine, segmentation_model, colorspace, ..."""
    names = [name for name in asked if name != "edit"]
    if unknown := [name for name in names if name not in _TEXTS]:
        raise UsageError(f"A session has no entry {unknown[0]!r:.50}.")
    new: dict[str, Any] = {name: check.text(asked, name) for name in names}
    for name in ("model", "device"):
        if name in new:
            new[name] = new[name] or "auto"
    return replace(document, **new)


def _knob(document: Document, asked: Mapping[str, Any]) -> Document:
    """Set a knob; without a value it goes back to its default."""
    name, knobs = check.text(asked, "name"), dict(document.knobs)
    value = asked.get("value")
    if value is None:
        knobs.pop(name, None)
    else:
        knobs |= check.knobs_of({name: value})
    return replace(document, knobs=knobs)


def _width(document: Document, asked: Mapping[str, Any]) -> Document:
    """Set the width of the band that is refined."""
    width = check.number(asked.get("value"), "refine_width", 0.0, 1000.0)
    return replace(document, refine_width=width)


def _span(document: Document, asked: Mapping[str, Any]) -> Document:
    """Set in and out; null is the whole shot."""
    span = asked.get("span")
    return replace(document, span=None if span is None else check.span_of(span))


def _hint(document: Document, asked: Mapping[str, Any]) -> Document:
    """Connect a hint's file; an empty path takes it away."""
    name = check.choice(asked.get("name"), "name", HINTS)
    path = check.text(asked, "path")
    hints = {key: value for key, value in document.hints.items() if key != name}
    return replace(document, hints={**hints, **({name: path} if path else {})})


def _hint_keys(document: Document, asked: Mapping[str, Any]) -> Document:
    """Say what frames between painted keys get."""
    mode = check.choice(asked.get("value"), "hint_keys", KEY_MODES)
    return replace(document, hint_keys=mode)


def _click(document: Document, asked: Mapping[str, Any]) -> Document:
    """Click on an object, or beside it (subject: false). The first object is made when needed."""
    place = [check.number(asked.get(axis), axis, -1e6, 1e6) for axis in ("x", "y")]
    kind = "subject" if check.flag(asked.get("subject", True), "subject") else "not"

    def clicked(marks: Mapping[str, Any]) -> dict[str, Any]:
        if len(marks.get(kind, ())) >= MOST_CLICKS:
            raise UsageError(f"One frame has at most {MOST_CLICKS} clicks of a kind.")
        return {**marks, kind: [*marks.get(kind, ()), place]}

    return _marked(document, asked, clicked)


def _box(document: Document, asked: Mapping[str, Any]) -> Document:
    """Draw a box round an object; null takes it away."""
    box = asked.get("box")

    def boxed(marks: Mapping[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in marks.items() if key != "box"}
        return rest if box is None else {**rest, "box": box}

    return _marked(document, asked, boxed)


def _clear_marks(document: Document, asked: Mapping[str, Any]) -> Document:
    """Take all marks of an object away from one frame, or its newest click (`last`: true)."""
    last = check.flag(asked.get("last", False), "last")

    def cleared(marks: Mapping[str, Any]) -> dict[str, Any]:
        if not last or "box" in marks:
            return {}
        found = {key: list(value) for key, value in marks.items()}
        kind = "not" if found.get("not") else "subject"
        if found.get(kind):
            found[kind].pop()
        return {key: value for key, value in found.items() if value}

    return _marked(document, asked, cleared)


def _marked(
    document: Document,
    asked: Mapping[str, Any],
    change: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Document:
    frame = check.whole(asked.get("frame"), "frame")
    document = document if document.objects else _object_add(document, {"name": ONLY})
    name = check.text(asked, "object") or document.objects[0].name
    one = _named(document, name)
    marks = marks_of(change(one.frames.get(frame, {})), name).as_dict()
    frames = {number: old for number, old in one.frames.items() if number != frame}
    if marks:
        frames[frame] = marks
    return _put(document, name, replace(one, frames=frames))


def _object_add(document: Document, asked: Mapping[str, Any]) -> Document:
    """Add an object; it gets a name and a colour of its own."""
    if len(document.objects) >= MOST_OBJECTS:
        raise UsageError(f"A session has at most {MOST_OBJECTS} objects.")
    taken = {one.name.lower() for one in document.objects}
    name = check.text(asked, "name")
    if not name:
        name = next(n for i in range(1, 99) if (n := f"object{i}") not in taken)
    colours = [one.colour for one in document.objects]
    free = [colour for colour in COLOURS if colour not in colours] or list(COLOURS)
    new = Subject(_checked_name(document, name), free[0])
    return replace(document, objects=(*document.objects, new))


def _object_set(document: Document, asked: Mapping[str, Any]) -> Document:
    """Rename an object, give it a colour, solo or mute it, or move it to another place."""
    one = _named(document, check.text(asked, "object"))
    changed = one
    if "name" in asked and asked["name"] != one.name:
        changed = replace(changed, name=_checked_name(document, check.text(asked, "name"), one))
    if "colour" in asked:
        changed = replace(changed, colour=check.colour(asked["colour"]))
    if "solo" in asked:
        changed = replace(changed, solo=check.flag(asked["solo"], "solo"))
    if "mute" in asked:
        changed = replace(changed, mute=check.flag(asked["mute"], "mute"))
    document = _put(document, one.name, changed)
    if "place" not in asked:
        return document
    rest = [item for item in document.objects if item is not changed]
    place = max(0, min(len(rest), check.whole(asked["place"], "place")))
    return replace(document, objects=(*rest[:place], changed, *rest[place:]))


def _object_remove(document: Document, asked: Mapping[str, Any]) -> Document:
    """Take an object away."""
    one = _named(document, check.text(asked, "object"))
    return replace(document, objects=tuple(item for item in document.objects if item is not one))


def _checked_name(document: Document, name: str, own: Subject | None = None) -> str:
    others = [one.name for one in document.objects if one is not own]
    Points({other: {1: marks_of([(0, 0)])} for other in [*others, name]})  # checks the names
    if name in others:
        raise UsageError(f"Two objects have one name, {name!r}: choose another.")
    return name


def _named(document: Document, name: str) -> Subject:
    found = next((one for one in document.objects if one.name == name), None)
    if found is None:
        raise UsageError(f"The session has no object {name!r:.70}.")
    return found


def _put(document: Document, name: str, new: Subject) -> Document:
    objects = tuple(new if one.name == name else one for one in document.objects)
    return replace(document, objects=objects)


def _forget(document: Document, asked: Mapping[str, Any]) -> Document:
    """Take a painted trimap or a kept matte away from a frame."""
    kind = check.choice(asked.get("kind"), "kind", ("trimaps", "keys"))
    frame = check.whole(asked.get("frame"), "frame")
    return painted(document, kind, frame, None)


EDITS: Mapping[str, Edit] = {
    "set": _set,
    "knob": _knob,
    "refine_width": _width,
    "span": _span,
    "hint": _hint,
    "hint_keys": _hint_keys,
    "click": _click,
    "box": _box,
    "clear_marks": _clear_marks,
    "object_add": _object_add,
    "object_set": _object_set,
    "object_remove": _object_remove,
    "forget": _forget,
}
"""Every edit by the name that the page uses."""


def painted(document: Document, kind: str, frame: int, new: Painted | None) -> Document:
    """The document with a picture at a frame of `trimaps` or `keys`; None takes it away."""
    there = document.trimaps if kind == "trimaps" else document.keys
    left = {number: one for number, one in there.items() if number != frame}
    if new is not None:
        if len(left) >= MOST_KEYS:
            raise UsageError(f"A session has at most {MOST_KEYS} keys.")
        left[frame] = new
    if kind == "trimaps":
        return replace(document, trimaps=left)
    return replace(document, keys=left)
