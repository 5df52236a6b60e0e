# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Matte node, looked up anew only now and then: a panel is drawn very often."""

from __future__ import annotations

import time
from typing import Any

import bpy

from . import baking, exr_key, folders, group
from .state import NONE, Record, State, state

SECONDS = 2.0
_seen: dict[str, tuple[float, State]] = {}
_wanted: set[str] = set()


def of(tree: Any, scene: Any, *, fresh: bool = False) -> State:
    """Return a node's state. fresh: look now.

    Otherwise nothing is computed and no file is touched, as a panel that is drawn needs it: the
    last known state is returned, and a timer looks again when that is old.
    """
    bake = baking.running.get(tree.matte_nodes.bake_name)
    if bake is not None:
        return state(Record(), baking.Now(), (), linked=True, running=(bake.done, bake.total))
    known = _seen.get(tree.name_full)
    if not fresh and not bpy.app.background:
        if known is None or time.monotonic() - known[0] >= SECONDS:
            _wanted.add(tree.name_full)
            if not bpy.app.timers.is_registered(_look):
                bpy.app.timers.register(_look, first_interval=0.0)
        return known[1] if known else State(NONE, "looking at the bake")
    found = _state(tree, scene)
    _seen[tree.name_full] = time.monotonic(), found
    return found


def forget() -> None:
    """Look again the next time; until then the panel shows what it showed."""
    for name, (_, found) in _seen.items():
        _seen[name] = float("-inf"), found


def stop() -> None:
    """Take the timer out."""
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)


def _look() -> None:
    """Look at the nodes that a panel shows; Blender calls it between two drawings."""
    from .operators import redraw

    names = set(_wanted)
    _wanted.clear()
    changed = False
    for tree in group.mattes():
        if tree.name_full in names:
            before = _seen.get(tree.name_full)
            now = of(tree, bpy.context.scene, fresh=True)
            _seen.setdefault(tree.name_full, (time.monotonic(), now))
            changed = changed or before is None or before[1] != now
    if changed:
        redraw()


def _state(tree: Any, scene: Any) -> State:
    kept, folder = tree.matte_nodes, group.linked_folder(tree)
    record = Record.read(kept.record)
    there = folders.frames_there(folder) if folder else set()
    now = baking.looked_at(tree, scene)
    foreign = record.foreign(exr_key.keys(folder, there)) if folder and record.keys else ()
    return state(
        record, now, there, linked=bool(folder), error=baking.complaint(tree, now), foreign=foreign
    )
