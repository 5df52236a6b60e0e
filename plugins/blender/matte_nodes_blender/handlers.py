# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers that Blender calls when a file is opened, after an undo, and before a render."""

from __future__ import annotations

import sys
import uuid
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import bake_operators, compat, evaluated, group, settings, status, upstream, walk


@persistent
def opened(*_: Any) -> None:
    """A file was opened: make the properties of its models, follow no bake of the last one."""
    bake_operators.stop_all()
    status.forget()
    evaluated.forget()
    settings.unsaved[0] = f"unsaved-{uuid.uuid4().hex[:8]}"
    settings.make_faces()


@persistent
def changed(*_: Any) -> None:
    """After an undo or redo: look at everything anew."""
    evaluated.forget()
    status.forget()
    settings.make_faces()


@persistent
def updated(_: Any, graph: Any = None, *__: Any) -> None:
    """Something changed: a mask perhaps, or a Matte node was appended, with models of its own."""
    if graph is not None and any(isinstance(u.id, bpy.types.Mask) for u in graph.updates):
        evaluated.forget()
    there = {tree.name_full for tree in group.mattes()}
    if there == _there:
        return
    _there.clear()
    _there.update(there)
    if bpy.app.background:
        settings.make_faces()
    elif not bpy.app.timers.is_registered(settings.make_faces):
        bpy.app.timers.register(settings.make_faces, first_interval=0.0)


@persistent
def rendering(scene: Any, *_: Any) -> None:
    """A render begins: say which mattes are not right; Blender itself says nothing."""
    if upstream.busy[0]:
        return
    for text in wrong(scene):
        sys.stderr.write(f"matte-nodes: {text}\n")
        sys.stderr.flush()
        if not bpy.app.background:
            # The render may run in a thread of its own: report from the main one.
            bpy.app.timers.register(lambda text=text: _say(text), first_interval=0.0)


def wrong(scene: Any) -> list[str]:
    """Return a sentence for each Matte node of a scene whose pictures are not what they should be."""
    found = []
    for tree in used(scene):
        state = status.of(tree, scene, fresh=True)
        if state.wrong:
            found.append(f"Matte node {tree.name}: {state.text}. The render is not right.")
        elif state.kind == "error":
            found.append(f"Matte node {tree.name}: {state.text}")
    return found


def used(scene: Any) -> list[Any]:
    """Return the Matte groups in a scene's compositor, its effects and its strips."""
    tops = [walk.Way.top(root) for root in compat.roots(scene)]
    return [t for t in group.mattes() if any(True for top in tops for _ in walk.places(t, top))]


_there: set[str] = set()


def _say(text: str) -> None:
    bpy.ops.matte_nodes.say(text=text)


_HANDLERS = {
    "load_post": opened, "undo_post": changed, "redo_post": changed, "render_init": rendering,
    "depsgraph_update_post": updated,
}  # fmt: skip


def register() -> None:
    """Put the handlers in."""
    for name, function in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(function)


def unregister() -> None:
    """Take them out: one that is left crashes some Blenders at their end."""
    bake_operators.stop_all()
    status.stop()
    for name, function in _HANDLERS.items():
        there = getattr(bpy.app.handlers, name)
        if function in there:
            there.remove(function)
