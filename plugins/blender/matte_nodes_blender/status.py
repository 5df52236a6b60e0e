# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Matte node, looked up anew only now and then: a panel is drawn very often."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, NamedTuple

import bpy

from . import baking, exr_key, folders, group
from .state import NONE, Now, Record, State, state
from .trouble import Trouble

SECONDS = 2.0
POLL_SECONDS = 0.05
_seen: dict[str, tuple[float, State]] = {}
_wanted: set[str] = set()


def of(tree: Any, scene: Any, *, fresh: bool = False) -> State:
    """Return a node's state. fresh: look now.

    Otherwise nothing is computed and no file is touched, as a panel that is drawn needs it: the
    last known state is returned, and a timer looks again when that is old.
    """
    work = baking.running.get(tree.matte_nodes.bake_name)
    if work is not None and (work.changes or not fresh):
        counted = work.doing, work.done, work.total
        shown = state(Record(), Now(), (), linked=True, running=counted)
        return shown._replace(wrong=work.changes)
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


class Seen(NamedTuple):
    """What a look at the disk found: the present inputs, frames of the bake, and their keys."""

    now: Now
    there: set[int]
    keys: dict[int, str]


class Look:
    """A look at the files of one node from a thread of its own: a plate may have 5,000 of them."""

    def __init__(self, tree: Any, scene: Any) -> None:
        self.name, self.found = tree.name_full, queue.SimpleQueue[Seen]()
        self._folder, self._plan = group.linked_folder(tree), None
        self._now = Now()
        self._keyed = bool(Record.read(tree.matte_nodes.record).keys)
        try:
            self._plan = baking.planned(tree, scene)[0]
        except Trouble as error:
            self._now = Now(trouble=str(error))
        threading.Thread(target=self._work, name="matte look", daemon=True).start()

    def _work(self) -> None:
        try:
            self.found.put(self.seen())
        except OSError as error:
            self.found.put(Seen(Now(trouble=f"The files cannot be read: {error}"), set(), {}))

    def seen(self) -> Seen:
        """Look at the disk. Nothing of Blender is touched."""
        there = folders.frames_there(self._folder) if self._folder else set()
        now = baking.present(self._plan) if self._plan is not None else self._now
        keys = exr_key.keys(self._folder, there) if self._folder and self._keyed else {}
        return Seen(now, there, keys)


_looks: dict[str, Look] = {}


def _look() -> float | None:
    """Look at the nodes that a panel shows; Blender calls it between two drawings."""
    from .operators import redraw

    names = set(_wanted)
    _wanted.clear()
    trees = {tree.name_full: tree for tree in group.mattes()}
    for name in names & set(trees) - set(_looks):
        _looks[name] = Look(trees[name], bpy.context.scene)
    changed = False
    for name, look in list(_looks.items()):
        try:
            seen = look.found.get_nowait()
        except queue.Empty:
            continue
        del _looks[name]
        if name in trees:
            before, now = _seen.get(name), _told(trees[name], seen)
            _seen[name] = time.monotonic(), now
            changed = changed or before is None or before[1] != now
    if changed:
        redraw()
    return POLL_SECONDS if _looks else None


def _state(tree: Any, scene: Any) -> State:
    """Look now, on the main thread: a render begins, or there is no window."""
    folder = group.linked_folder(tree)
    there = folders.frames_there(folder) if folder else set()
    keyed = folder and Record.read(tree.matte_nodes.record).keys
    keys = exr_key.keys(folder, there) if keyed else {}
    return _told(tree, Seen(baking.looked_at(tree, scene), there, keys))


def _told(tree: Any, seen: Seen) -> State:
    record, folder = Record.read(tree.matte_nodes.record), group.linked_folder(tree)
    foreign = record.foreign(seen.keys) if folder and record.keys else ()
    error = baking.complaint(tree, seen.now)
    return state(
        record, seen.now, seen.there, linked=bool(folder), error=error, foreign=foreign
    )  # fmt: skip
