# SPDX-License-Identifier: Apache-2.0
"""May the file of a Read be handed over as it is? In doubt no: then the input is rendered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .frames import FRAME, frame_path
from .host import file_of

if TYPE_CHECKING:
    from .colour import Colour

ENDINGS = (".exr", ".png", ".tif", ".tiff", ".jpg", ".jpeg")


class Input:
    """One connected input: its file pattern and colour space, or why it has to be rendered."""

    def __init__(self, path: str = "", space: str = "", reason: str = "") -> None:
        self.path, self.space, self.reason = path, space, reason


def looked_at(node: Any, root: Any, colour: Colour, first: int, last: int) -> Input:
    """Return the input as a file, where a Read's pixels are what leaves it for all of first..last."""
    read = node
    while read is not None and read.Class() == "Dot":
        read = read.input(0)
    if read is None or read.Class() != "Read":
        return Input(reason="it is not a plain Read")
    reason = _script(root) or _settings(read) or _file(read, first, last) or _format(read)
    if reason:
        return Input(reason=reason)
    space = colour.of_read(read)
    if space is None:
        return Input(reason="its colour space has no certain name")
    return Input(file_of(read), space)


def _script(root: Any) -> str:
    if root.proxy():
        return "proxy mode is on"
    views = root.knob("views")
    if views is not None and len(str(views.value()).strip().splitlines()) > 1:
        return "the script has several views"
    return ""


def _settings(read: Any) -> str:
    if _on(read, "disable"):
        return "it is disabled"
    if _on(read, "useLifetime"):
        return "it has a lifetime"
    mode = read.knob("frame_mode")
    if mode is not None and mode.value() not in ("expression", 0):
        return "its frames are shifted"
    frame = read.knob("frame")
    if frame is not None and (str(frame.value() or "").strip() or frame.hasExpression()):
        return "its frames follow an expression"
    if _on(read, "premultiplied"):
        return "it is unpremultiplied on reading"
    for name in ("file", "colorspace", "raw", "first", "last"):
        knob = read.knob(name)
        if knob is not None and (knob.hasExpression() or knob.isAnimated()):
            return f"its {name} is an expression"
    return ""


def _file(read: Any, first: int, last: int) -> str:
    path = file_of(read)
    name = os.path.basename(path)
    if "%{" in path:
        return "its file has a variable that Nuke replaces"
    if "[" in path or not os.path.isabs(path):
        return "its file is an expression or a relative path"
    if "%v" in path.lower():
        return "its file names a view"
    if not name.lower().endswith(ENDINGS):
        return "it is no EXR, PNG, TIFF or JPEG"
    if len(FRAME.findall(path)) != 1 or not FRAME.search(name):
        return "it is not a numbered sequence"
    if first < int(read["first"].value()) or last > int(read["last"].value()):
        return "the range goes beyond its frames"
    every = (frame_path(path, number) for number in range(first, last + 1))
    if read["on_error"].value() != "error" and not all(os.path.isfile(name) for name in every):
        return "frames are missing and it shows something in their place"
    return ""


def _format(read: Any) -> str:
    """Return a format that was changed on the Read, its pixel aspect for instance, is not in the
    file.
    """
    shape, said = read.format(), read.metadata() or {}
    wanted = {
        "input/width": shape.width(),
        "input/height": shape.height(),
        "exr/pixelAspectRatio": shape.pixelAspect(),
    }
    for key, value in wanted.items():
        if abs(float(said.get(key, 1.0 if "Aspect" in key else value)) - value) > 1e-4:
            return "its format is not that of the file"
    return ""


def _on(node: Any, name: str) -> bool:
    knob = node.knob(name)
    return knob is not None and bool(knob.value() or knob.hasExpression())
