# SPDX-License-Identifier: Apache-2.0
"""The buttons: matte a frame or the range, cancel, marks on the subject, hints, the cache's folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import nuke

from . import clicks, hints, host, runs
from .trouble import Trouble


def matte_frame(node: Any = None, frame: int | None = None) -> None:
    """Matte the frame that is shown, or this one."""
    runs.start(node, int(nuke.frame()) if frame is None else frame)


def matte_range(node: Any = None) -> None:
    """Matte the range that is set on the node."""
    runs.start(node, None)


def cancel(node: Any = None) -> None:
    """Stop what runs for this node; frames that are done stay."""
    runs.stop(host.Face(node or nuke.thisNode()))


def reload(node: Any = None) -> None:
    """Look at the result's files again: a farm may have written more of them."""
    host.Face(node or nuke.thisNode()).reload()


def click_subject(node: Any = None) -> None:
    """Add a click on the subject: at the position, in the frame that is shown."""
    _mark(node, "+")


def click_not(node: Any = None) -> None:
    """Add a click beside the subject: at the position, in the frame that is shown."""
    _mark(node, "-")


def click_along(node: Any = None) -> None:
    """Add clicks on the subject along a position that moves, as one that follows a Tracker."""
    face = host.Face(node or nuke.thisNode())
    first, last = int(face.node["first"].value()), int(face.node["last"].value())
    _mark(face.node, "+", clicks.frames_along(first, last))


def click_box(node: Any = None) -> None:
    """Put a box round the subject: as it is drawn in the viewer, in the frame that is shown."""
    _mark(node, clicks.BOX)


def clear_clicks(node: Any = None) -> None:
    """Take all clicks and boxes away."""
    (node or nuke.thisNode())["clicks"].setValue("")


def _mark(node: Any, kind: str, frames: Any = None) -> None:
    face = host.Face(node or nuke.thisNode())
    is_box = kind == clicks.BOX
    place, text = face.node["box" if is_box else "pick"], str(face.node["clicks"].value() or "")
    name = str(face.node["click_object"].value() or "")
    try:
        for frame in [int(nuke.frame())] if frames is None else frames:
            at = [float(place.getValueAt(frame, n)) for n in range(4 if is_box else 2)]
            text = clicks.added(text, at, frame, kind, name)
    except Trouble as error:
        runs.fail(face, str(error))
        return
    face.node["clicks"].setValue(text)


def keys_of_roto(node: Any = None) -> None:
    """Write the key frames of the Rotos above the hints into the node."""
    face = host.Face(node or nuke.thisNode())
    found = {}
    try:
        for name in hints.KEYED:
            roto = hints.roto_above(face.node.input(1 if name == "trimap" else 3))
            if roto is not None:
                found[name] = hints.as_text(hints.roto_keys(roto))
        if not found:
            raise Trouble(
                "There is no Roto above the trimap or the segmentation. Connect one, or write the "
                "frames yourself."
            )
    except Trouble as error:
        runs.fail(face, str(error))
        return
    for name, text in found.items():
        face.node[f"{name}_keys"].setValue(text)


def reset_range(node: Any = None) -> None:
    """Set the range to the frames of the plate."""
    face = host.Face(node or nuke.thisNode())
    plate = face.node.input(0)
    if plate is None:
        runs.fail(face, "Nothing is connected to the input 'plate'. Connect it, then press Reset.")
        return
    for name, value in (("first", plate.firstFrame()), ("last", plate.lastFrame())):
        face.node[name].clearAnimated()  # a link to the project would win
        face.node[name].setValue(int(value))


def reveal_cache(node: Any = None) -> None:
    """Open the folder that the result lies in, or will lie in."""
    face = host.Face(node or nuke.thisNode())
    base = str(face.node["cache_folder"].evaluate() or "")
    shown = os.path.dirname(str(face.node.node("result")["file"].evaluate() or ""))
    folder = shown if os.path.isdir(shown) else base
    if not os.path.isdir(folder):
        runs.fail(face, f"There is no folder {folder} yet: nothing was matted.")
    elif sys.platform == "win32":
        os.startfile(folder)
    else:
        subprocess.Popen(["open" if sys.platform == "darwin" else "xdg-open", folder])
