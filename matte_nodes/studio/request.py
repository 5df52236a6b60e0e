# SPDX-License-Identifier: Apache-2.0
"""A session as a request: what `Render` and the service take, and the same as a command line.

`matte studio` and `matte run --session` both call `arguments`, so they give the same pixels.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matte_nodes import models
from matte_nodes.errors import WeightsError
from matte_nodes.node.knobs import NODE_KNOBS, all_knobs
from matte_nodes.points import ONLY, from_dict
from matte_nodes.shot.choose_model import SELECT, choose, members
from matte_nodes.studio.document import Document, Subject

TRIMAPS = "hints/trimap.####.png"
KEYS = "keys/key.####.png"
POINTS = "points.json"


def arguments(document: Document, folder: Path) -> dict[str, Any]:
    """The keywords of `render.Render` but `output`. folder: the session's, which has its pictures."""
    points = points_of(document)
    connect: dict[str, Any] = {
        "colorspace": document.colorspace or None,
        "layer": document.layer,
        "hint_keys": "exact",
        "points": points,
        **document.hints,
    }
    if document.trimaps:
        connect["trimap"] = str(folder / TRIMAPS)
        connect["hint_keys"] = document.hint_keys
    model = model_of(document)
    return {
        "source": document.plate,
        "model": model,
        "knobs": known_knobs(document, model),
        "node": {"device": document.device, "ocio": document.ocio or None},
        "refine": document.refine or None,
        "refine_width": document.refine_width,
        "segmentation_model": document.segmentation_model or None,
        "connect": connect,
    }


def known_knobs(document: Document, model: str) -> dict[str, Any]:
    """The session's knob values that the chosen models have: others wait for their model."""
    cards = [models.card(name) for name in taking(document, model)]
    known = {knob.name for knob in NODE_KNOBS}
    known |= {knob.name for card in cards for knob in all_knobs(card)}
    return {name: value for name, value in document.knobs.items() if name in known}


def taking(document: Document, model: str) -> list[str]:
    """The models that take part, in their order; none where `auto` finds none that can run."""
    names = members(model)
    if model == "auto":
        given = {*document.hints, *(["trimap"] if document.trimaps else [])}
        try:
            choice = choose(given)
        except WeightsError:
            names = []
        else:
            names = [choice.model, choice.refine or ""]
    found = [document.segmentation_model, *names, document.refine]
    return list(dict.fromkeys(name for name in found if name))


def model_of(document: Document) -> str:
    """The model that the session asks for: with clicks or paint `auto` is the chain `select`.

    A painted key beside clicks corrects the chain; by itself `auto` would take it for a trimap.
    """
    is_auto = document.model == "auto" and points_of(document) is not None
    return SELECT if is_auto else document.model


def points_of(document: Document) -> dict[str, Any] | None:
    """Clicks and boxes as a file of points has them; None when there are none.

    Where a person only painted, a box round the painted subject stands for the clicks.
    """
    objects = [one for one in heard(document.objects) if one.frames]
    marked = [
        {"name": one.name, "frames": {str(n): dict(m) for n, m in sorted(one.frames.items())}}
        for one in objects
        if any(marks.get("subject") or marks.get("box") for marks in one.frames.values())
    ]
    if not marked and document.model in ("auto", SELECT, "click"):
        boxes = {n: one.box for n, one in document.trimaps.items() if one.box is not None}
        frames = {str(n): {"box": list(box)} for n, box in sorted(boxes.items())}
        marked = [{"name": ONLY, "frames": frames}] if frames else []
    if not marked:
        return None
    return from_dict({"schema": "matte-points", "version": 1, "objects": marked}).as_dict()


def heard(objects: tuple[Subject, ...]) -> list[Subject]:
    """The objects that are not muted; only the soloed ones where there are any."""
    soloed = [one for one in objects if one.solo]
    return [one for one in (soloed or objects) if not one.mute]


def options(document: Document, folder: Path) -> dict[str, Any]:
    """The options of `matte run` that stand for a session, by name; those that say nothing left out."""
    asked = arguments(document, folder)
    connect = dict(asked["connect"])
    if connect.pop("points") is not None:
        connect["points"] = str(folder / POINTS)
    if connect["hint_keys"] == "exact":
        del connect["hint_keys"]
    device = asked["node"]["device"]
    named: dict[str, Any] = {
        "model": asked["model"],
        "refine": asked["refine"],
        "refine_width": asked["refine_width"],
        "segmentation_model": asked["segmentation_model"],
        **connect,
        "ocio": asked["node"]["ocio"],
        "device": "" if device == "auto" else device,
        **asked["knobs"],
    }
    return {name: value for name, value in named.items() if _says(value)}


def _says(value: Any) -> bool:
    return isinstance(value, bool) or not (value is None or value == "" or value == 0.0)


def command_line(
    document: Document, folder: Path, output: str, more: Mapping[str, str] | None = None
) -> str:
    """The `matte run` that does the same, for a shell. more: further options; "" says nothing."""
    words = ["matte", "run", document.plate, "-o", output]
    named = {**options(document, folder), **(more or {})}
    named = {name: value for name, value in named.items() if _says(value)}
    # One word with "=": a value may begin with a dash.
    words += [f"{spelling(name)}={spelled(value)}" for name, value in named.items()]
    return shlex.join(words)


def spelling(name: str) -> str:
    """The flag of an option or a knob."""
    return f"--{name.replace('_', '-')}"


def spelled(value: Any) -> str:
    """A value as the command line reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
