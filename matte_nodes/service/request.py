# SPDX-License-Identifier: Apache-2.0
"""Parses clients' messages and checks their requests before anything is opened."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import Any, NoReturn, TypeAlias, get_args

from matte_nodes.card import HINTS
from matte_nodes.errors import InputError, UsageError
from matte_nodes.media.pattern import Pattern
from matte_nodes.render.render import Render
from matte_nodes.shot.connect_options import options
from matte_nodes.shot.matte_node import MatteNode

DEEPEST = 12
LONGEST_TEXT = 1 << 13
LARGEST_INT = 1 << 53
LARGEST_VIEW = 16384

_OWN: dict[str, tuple[type, ...]] = {
    "source": (str,), "output": (str,), "model": (str,), "knobs": (dict,), "node": (dict,),
    "connect": (dict,), "frames": (list,), "frame": (int,), "cwd": (str,), "umask": (int,),
    "view": (dict,),
}  # fmt: skip
"""The request's own entries, and what JSON has for each; the rest is made from declarations."""

_OF_KIND: dict[str, tuple[type, ...]] = {
    "picture": (object,), "points": (dict,), "text": (str,), "choice": (str,), "switch": (bool,), "number": (int,),
}  # fmt: skip

Types: TypeAlias = "Mapping[str, tuple[type, ...]]"
"""Names of entries, and the types that each may have."""


class BadMessage(UsageError):  # noqa: N818 (what it is)
    """The message does not follow the protocol."""


@dataclass(frozen=True)
class Request:
    """One job: the arguments of `render.Render` and `Render.run`, and its working folder.

    options: further keywords of Render (layout, output_colorspace, again, ...). output: None for a
    single frame whose result the service keeps. view: {"width": pixels or 0, "foreground": bool}
    for a look at a single frame (`render.view`) in place of its file; empty for the file.
    """

    source: str
    output: str | None
    model: str
    knobs: Mapping[str, Any]
    node: Mapping[str, Any]
    connect: Mapping[str, Any]
    options: Mapping[str, Any]
    first: int | None
    last: int | None
    single: bool
    cwd: str
    umask: int
    view: Mapping[str, Any] = field(default_factory=dict)


def parse(data: bytes) -> dict[str, Any]:
    """Return a message's JSON object. Raises BadMessage for wrong depth, size, NaN or NUL."""
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"The message is not JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise BadMessage("A message is a JSON object.")
    _walk(found, DEEPEST)
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _walk(value: object, depth: int) -> None:
    if depth < 0:
        raise BadMessage(f"A message is at most {DEEPEST} levels deep.")
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or "\0" in value:
            raise BadMessage("A text is too long, or has a NUL in it.")
    elif isinstance(value, dict):
        for name, item in value.items():
            _walk(name, depth)
            _walk(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _walk(item, depth - 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadMessage("A message contains a number that is not finite.")
    elif isinstance(value, int) and abs(value) > LARGEST_INT:
        raise BadMessage("A whole number in the message is too large.")


def checked(asked: object) -> Request:
    """Return a job's request. Raises UsageError that names what is wrong."""
    if not isinstance(asked, dict):
        raise UsageError("A request is a JSON object.")
    known = _known()
    given = _typed(asked, {**_OWN, **known["options"]}, "request")
    for name in ("source", "model", "cwd"):
        if not given.get(name):
            raise UsageError(f"The request names no {name}.")
    if not os.path.isabs(given["cwd"]):
        raise UsageError(f"The working folder must be an absolute path, not {given['cwd']!r}.")
    umask = given.get("umask", 0o022)
    if not 0 <= umask <= 0o777:
        raise UsageError(f"A umask lies between 0 and 0o777, not {umask}.")
    single = "frame" in given
    if not single and not given.get("output"):
        raise UsageError("The request names no output.")
    first, last = (given["frame"],) * 2 if single else _range(given.get("frames"))
    knobs = given.get("knobs", {})
    for name, value in knobs.items():
        taken = name in (*known["node"], "self", "model", "loader")
        if taken or not isinstance(value, (str, int, float)):
            raise UsageError(f"{name!r} is not a knob with a value, but {value!r:.100}.")
    view = (
        _typed(given["view"], {"width": (int,), "foreground": (bool,)}, "view")
        if "view" in given
        else {}
    )
    if "view" in given and (not single or given.get("output")):
        raise UsageError("A view is of one frame, and has no output.")
    if "view" in given and not 0 <= view.setdefault("width", 0) <= LARGEST_VIEW:
        raise UsageError(f"A view is 0 to {LARGEST_VIEW} pixels wide.")
    connect = _typed(given.get("connect", {}), known["connect"], "connect")
    for hint in HINTS:
        if hint in connect:
            connect[hint] = _hint(hint, connect[hint])
    return Request(
        source=given["source"], output=given.get("output"), model=given["model"], knobs=knobs,
        node=_typed(given.get("node", {}), known["node"], "node"), connect=connect,
        options={name: given[name] for name in known["options"] if name in given},
        first=first, last=last, single=single, cwd=given["cwd"], umask=umask, view=view,
    )  # fmt: skip


@cache
def _known() -> dict[str, Types]:
    """Return the entries that a request's parts may have, from the functions that they are for."""

    def keywords(function: Callable[..., Any], *without: str) -> Types:
        found = signature(function, eval_str=True).parameters.values()
        return {
            p.name: _json_types(p.annotation)
            for p in found
            if p.kind is p.KEYWORD_ONLY and p.name not in without
        }

    return {
        "node": keywords(MatteNode.__init__, "loader"),
        "connect": {option.name: _OF_KIND[option.kind] for option in options() if option.request},
        "options": keywords(Render.__init__, "knobs", "node", "connect"),
    }


def _json_types(annotation: Any) -> tuple[type, ...]:
    """Return what JSON can have for a parameter.

    `str | None` is a text, a float may be written as 1.
    """
    found = [
        kind for kind in (str, bool, int, float) if kind in (annotation, *get_args(annotation))
    ]
    return (*found, int) if found == [float] else tuple(found)


def check_inputs(request: Request) -> None:
    """Refuse pipes, devices and sockets as inputs: opening one could block for ever."""
    named = [*(request.connect.get(hint) for hint in HINTS), request.node.get("weights")]
    for spec in [request.source, *named]:
        for path in spec.values() if isinstance(spec, dict) else [spec]:
            if path is not None:
                _check_regular(os.path.join(request.cwd, path))


def _check_regular(path: str) -> None:
    pattern = None if os.path.lexists(path) else Pattern.parse(path)
    if pattern is not None:
        folder, inside = os.fspath(pattern.folder), True
    else:
        folder, inside = path, os.path.isdir(path)
    if not inside:
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            return  # the reader reports it
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is neither a file nor a folder.")
        return
    try:
        with os.scandir(folder) as entries:
            odd = [e.name for e in entries if not (e.is_file() or e.is_dir() or _dangles(e))]
    except OSError:
        return
    for name in odd:
        if pattern is None or pattern.number(name) is not None:
            raise InputError(f"{os.path.join(folder, name)} is neither a file nor a folder.")


def _dangles(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def _typed(given: Any, known: Types, what: str) -> dict[str, Any]:
    """Return the entries that are not null, each of its declared types.

    No other entry may be there.
    """
    found = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"The {what} has no entry {name!r:.100}. It has: {', '.join(known)}.")
        if value is None:
            continue
        kinds = known[name]
        if not isinstance(value, kinds) or (
            isinstance(value, bool) and not {bool, object} & {*kinds}
        ):
            kind = " or ".join(kind.__name__ for kind in kinds)
            raise UsageError(f"{what}.{name} is a {kind}, not {value!r:.100}.")
        found[name] = value
    return found


def _range(frames: Any) -> tuple[int | None, int | None]:
    if frames is None:
        return None, None
    whole = [f is None or (isinstance(f, int) and not isinstance(f, bool)) for f in frames]
    if len(frames) != 2 or not all(whole):
        raise UsageError("frames is [first, last], each a whole number or null.")
    return frames[0], frames[1]


def _hint(name: str, given: Any) -> Any:
    """Return a path, or {frame: path}. JSON has only texts as names."""
    if isinstance(given, str):
        return given
    if isinstance(given, dict) and all(isinstance(path, str) for path in given.values()):
        try:
            return {int(frame): path for frame, path in given.items()}
        except ValueError:
            pass
    raise UsageError(f"connect.{name} is a path, or an object of frame numbers and paths.")
