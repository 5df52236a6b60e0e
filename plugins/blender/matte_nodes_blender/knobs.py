# SPDX-License-Identifier: GPL-3.0-or-later
"""Knobs of the declarations: their values as JSON in the .blend, their faces as properties."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .declarations import SHARED, Declarations

LONGEST = 63
"""Characters of a property's name in Blender."""
_HUGE = 3.4e38
_WHOLE = 2**31 - 1


def read(text: str) -> dict[str, Any]:
    """Return values by "owner/knob", as they were set; a damaged text counts as none set."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def value(values: Mapping[str, Any], owner: str, knob: Mapping[str, Any]) -> Any:
    """Return a knob's value: as set (also under an old name of the knob), else its default.

    A value that the declaration does not allow (a choice that is gone, a number out of range since
    then) is the nearest one that it does.
    """
    for name in (knob["name"], *knob["aliases"]):
        if f"{owner}/{name}" in values:
            return legal(knob, values[f"{owner}/{name}"])
    return knob["default"]


def with_value(text: str, owner: str, knob: Mapping[str, Any], new: Any) -> str:
    """Return the text after a knob was set; its old names are forgotten."""
    values = read(text)
    for name in (knob["name"], *knob["aliases"]):
        values.pop(f"{owner}/{name}", None)
    values[f"{owner}/{knob['name']}"] = legal(knob, new)
    return json.dumps(values, sort_keys=True)


def legal(knob: Mapping[str, Any], given: Any) -> Any:
    """Return the value as the declaration's kind, within its bounds."""
    kind = knob["kind"]
    if kind == "bool":
        return bool(given)
    if kind == "choice":
        return given if given in knob["choices"] else knob["default"]
    if kind == "text":
        return str(given)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return knob["default"]
    number = tidy(float(given))
    if knob["low"] is not None:
        number = max(number, knob["low"])
    if knob["high"] is not None:
        number = min(number, knob["high"])
    return int(number) if kind == "int" else number


def tidy(number: float) -> float:
    """Blender's sliders are single precision: 0.1 comes back as 0.10000000149."""
    return float(f"{number:.7g}")


def given(declared: Declarations, model: str, text: str) -> dict[str, Any]:
    """Return every knob of a model with its value, by declared name, for a request."""
    values = read(text)
    return {knob["name"]: value(values, owner, knob) for owner, knob in declared.knobs(model)}


def every(declared: Declarations) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield name of the property, owner and declaration of every knob that is known."""
    for model, card in declared.cards.items():
        for knob in card["knobs"]:
            yield face_name(model, knob["name"]), model, knob
    for knob in declared.shared:
        yield face_name(SHARED, knob["name"]), SHARED, knob


def face_name(owner: str, knob: str) -> str:
    """Return the name of a knob's property."""
    before = "shared" if owner == SHARED else "model_" + re.sub(r"\W", "_", owner)
    name = f"{before}__{knob}"
    if len(name) > LONGEST:
        name = name[: LONGEST - 9] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return name


def face(knob: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of property (float, int, bool, enum, string) and what it is made with."""
    told: dict[str, Any] = {
        "name": knob["title"],
        "description": str(knob["help"]).strip().rstrip("."),
    }
    kind = knob["kind"]
    if kind == "choice":
        told["items"] = [(name, name.replace("_", " "), "") for name in knob["choices"]]
        return "enum", told
    if kind == "text":
        return "string", {**told, "default": str(knob["default"])}
    if kind == "bool":
        return "bool", {**told, "default": bool(knob["default"])}
    whole = kind == "int"
    far = _WHOLE if whole else _HUGE
    number = int if whole else float
    told["min"] = number(-far if knob["low"] is None else knob["low"])
    told["max"] = number(far if knob["high"] is None else knob["high"])
    told["default"] = number(knob["default"])
    if not whole:
        told["precision"] = 3
        # A hundredth of the range is one click.
        told["step"] = 1 if told["max"] - told["min"] <= 2 else 10
    return kind, told
