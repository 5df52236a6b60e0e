# SPDX-License-Identifier: Apache-2.0
"""Document: everything that a session says, as a value that never changes, and its JSON form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args

from matte_nodes.card import HINTS, KnobValue
from matte_nodes.errors import UsageError
from matte_nodes.node.hints import KeyMode
from matte_nodes.points import marks_of

SCHEMA = "matte-session"
VERSION = 1

Box: TypeAlias = "tuple[int, int, int, int]"

COLOURS = ("#e8a33d", "#5aa9e6", "#7bc47f", "#d86fb0", "#c9c24a", "#9a86e0", "#e2705f", "#57c4bd")
"""Colours of objects in the order in which they are made."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_SHA = re.compile(r"[0-9a-f]{64}")
KEY_MODES: tuple[str, ...] = tuple(mode for mode in get_args(KeyMode) if mode != "exact")
MOST_KEYS, MOST_OBJECTS, MOST_CLICKS = 2000, 32, 500


@dataclass(frozen=True)
class Painted:
    """One painted picture: the hash of its pixels, and a box round the subject (None: no subject)."""

    sha: str
    box: Box | None = None


@dataclass(frozen=True)
class Subject:
    """One object. frames: its marks by frame, as a file of points has them."""

    name: str
    colour: str
    solo: bool = False
    mute: bool = False
    frames: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A session. Paths are absolute. Empty texts and None mean: nobody said.

    span: in and out of the range. objects: in their order. trimaps: painted trimap keys by frame.
    keys: mattes that were kept as examples for fine-tuning, by frame.
    """

    plate: str
    layer: str = ""
    colorspace: str = ""
    span: tuple[int, int] | None = None
    model: str = "auto"
    refine: str = ""
    refine_width: float = 0.0
    segmentation_model: str = ""
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    device: str = "auto"
    ocio: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    hint_keys: str = "only"
    objects: tuple[Subject, ...] = ()
    trimaps: Mapping[int, Painted] = field(default_factory=dict)
    keys: Mapping[int, Painted] = field(default_factory=dict)
    behind: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The document as plain JSON data."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "plate": self.plate,
            "layer": self.layer,
            "colorspace": self.colorspace,
            "span": None if self.span is None else list(self.span),
            "model": self.model,
            "refine": self.refine,
            "refine_width": self.refine_width,
            "segmentation_model": self.segmentation_model,
            "knobs": dict(self.knobs),
            "device": self.device,
            "ocio": self.ocio,
            "hints": dict(self.hints),
            "hint_keys": self.hint_keys,
            "objects": [_subject_as_dict(one) for one in self.objects],
            "trimaps": _painted_as_dict(self.trimaps),
            "keys": _painted_as_dict(self.keys),
            "behind": self.behind,
        }


def _subject_as_dict(one: Subject) -> dict[str, Any]:
    return {
        "name": one.name,
        "colour": one.colour,
        "solo": one.solo,
        "mute": one.mute,
        "frames": {str(frame): dict(marks) for frame, marks in sorted(one.frames.items())},
    }


def _painted_as_dict(found: Mapping[int, Painted]) -> dict[str, Any]:
    return {
        str(frame): {"sha": one.sha, "box": None if one.box is None else list(one.box)}
        for frame, one in sorted(found.items())
    }


def from_dict(plain: Any) -> Document:
    """A document from the data of a session file. Raises UsageError that says what is wrong."""
    if not isinstance(plain, Mapping) or plain.get("schema") != SCHEMA:
        raise UsageError(f'This is no session: it needs "schema": "{SCHEMA}".')
    if plain.get("version") != VERSION:
        raise UsageError(
            f"This session has version {plain.get('version')!r}; this release reads {VERSION}. "
            "Open it with the release that wrote it."
        )
    span = plain.get("span")
    return Document(
        plate=text(plain, "plate"),
        layer=text(plain, "layer"),
        colorspace=text(plain, "colorspace"),
        span=None if span is None else span_of(span),
        model=text(plain, "model", "auto"),
        refine=text(plain, "refine"),
        refine_width=number(plain.get("refine_width", 0.0), "refine_width", 0.0, 1000.0),
        segmentation_model=text(plain, "segmentation_model"),
        knobs=knobs_of(plain.get("knobs", {})),
        device=text(plain, "device", "auto"),
        ocio=text(plain, "ocio"),
        hints=_hints(plain.get("hints", {})),
        hint_keys=choice(plain.get("hint_keys", "only"), "hint_keys", KEY_MODES),
        objects=_objects(plain.get("objects", [])),
        trimaps=_painted(plain.get("trimaps", {}), "trimaps"),
        keys=_painted(plain.get("keys", {}), "keys"),
        behind=text(plain, "behind"),
    )


def text(plain: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text of at most 4096 characters without control characters; UsageError."""
    value = plain.get(name, default)
    if not isinstance(value, str) or len(value) > 4096 or any(ord(c) < 32 for c in value):
        raise UsageError(f'"{name}" is a text without control characters, not {value!r:.100}.')
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    """A finite number inside a range; UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f'"{name}" is a number, not {value!r:.100}.')
    if not low <= value <= high:
        raise UsageError(f'"{name}" lies between {low:g} and {high:g}, not {value:g}.')
    return float(value)


def whole(value: Any, name: str) -> int:
    """A whole number, also as the text that names of JSON objects are; UsageError."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**9:
        raise UsageError(f'"{name}" is a whole number, not {value!r:.100}.')
    return value


def flag(value: Any, name: str) -> bool:
    """True or False; UsageError."""
    if not isinstance(value, bool):
        raise UsageError(f'"{name}" is true or false, not {value!r:.100}.')
    return value


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """One of several texts; UsageError."""
    if value not in choices:
        raise UsageError(f'"{name}" is one of {", ".join(choices)}, not {value!r:.100}.')
    return str(value)


def colour(value: Any) -> str:
    """A colour as #rrggbb; UsageError."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise UsageError(f"A colour is as #e8a33d, not {value!r:.100}.")
    return value


def span_of(value: Any) -> tuple[int, int]:
    """First and last frame; UsageError."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UsageError(f'"span" is the first and the last frame, not {value!r:.100}.')
    first, last = (whole(item, "span") for item in value)
    if last < first:
        raise UsageError(f"The out point {last} lies before the in point {first}.")
    return first, last


def knobs_of(value: Any) -> dict[str, KnobValue]:
    """Knob values by name. Whether a model has them is checked where they are used."""
    if not isinstance(value, Mapping) or len(value) > 200:
        raise UsageError('"knobs" is an object of names and values.')
    found: dict[str, KnobValue] = {}
    for name, item in value.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(name)):
            raise UsageError(f"{name!r:.100} cannot name a knob.")
        if isinstance(item, float) and not math.isfinite(item):
            raise UsageError(f"Knob {name!r} is a finite number.")
        if not isinstance(item, bool | int | float | str) or len(str(item)) > 4096:
            raise UsageError(f"Knob {name!r} is a number, a text or a switch, not {item!r:.100}.")
        found[str(name)] = item
    return found


def frames_of(value: Any, name: str) -> dict[int, dict[str, Any]]:
    """Marks by frame, each checked as a file of points is; UsageError."""
    if not isinstance(value, Mapping) or len(value) > MOST_KEYS:
        raise UsageError(f"The frames of {name!r} are an object of frame numbers and marks.")
    return {
        whole(frame, "frame"): marks_of(marks, name).as_dict() for frame, marks in value.items()
    }


def _hints(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not set(value) <= set(HINTS):
        raise UsageError(f'"hints" has paths of {", ".join(HINTS)}.')
    return {name: path for name in value if (path := text(value, name))}


def _objects(value: Any) -> tuple[Subject, ...]:
    if not isinstance(value, list) or len(value) > MOST_OBJECTS:
        raise UsageError(f'"objects" is a list of at most {MOST_OBJECTS}.')
    found = []
    for item in value:
        if not isinstance(item, Mapping):
            raise UsageError("Each object has a name and frames.")
        name = text(item, "name")
        found.append(
            Subject(
                name,
                colour(item.get("colour")),
                flag(item.get("solo", False), "solo"),
                flag(item.get("mute", False), "mute"),
                frames_of(item.get("frames", {}), name),
            )
        )
    return tuple(found)


def _painted(value: Any, name: str) -> dict[int, Painted]:
    if not isinstance(value, Mapping) or len(value) > MOST_KEYS:
        raise UsageError(f'"{name}" is an object of frame numbers and pictures.')
    found = {}
    for frame, item in value.items():
        sha = item.get("sha") if isinstance(item, Mapping) else None
        if not isinstance(sha, str) or not _SHA.fullmatch(sha):
            raise UsageError(f'"{name}" names each picture by its hash.')
        box = item.get("box")
        if box is not None and (not isinstance(box, list) or len(box) != 4):
            raise UsageError(f'A box in "{name}" has four numbers.')
        sides = None if box is None else tuple(whole(side, "box") for side in box)
        found[whole(frame, "frame")] = Painted(sha, sides)  # type: ignore[arg-type]
    return found
