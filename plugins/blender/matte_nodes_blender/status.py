# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Matte node, looked up anew only now and then: a panel is drawn very often."""

from __future__ import annotations

import time
from typing import Any

from . import baking, exr_key, folders, group
from .state import Record, State, state

SECONDS = 2.0
_seen: dict[str, tuple[float, State]] = {}


def of(tree: Any, scene: Any, *, fresh: bool = False) -> State:
    """Return a node's state. fresh: read the disk now, instead of a result from a moment ago."""
    bake = baking.running.get(tree.matte_nodes.bake_name)
    if bake is not None:
        return state(Record(), baking.Now(), (), linked=True, running=(bake.done, bake.total))
    known = _seen.get(tree.name_full)
    if known is not None and not fresh and time.monotonic() - known[0] < SECONDS:
        return known[1]
    found = _state(tree, scene)
    _seen[tree.name_full] = time.monotonic(), found
    return found


def forget() -> None:
    """Look again the next time."""
    _seen.clear()


def _state(tree: Any, scene: Any) -> State:
    kept, folder = tree.matte_nodes, group.linked_folder(tree)
    record = Record.read(kept.record)
    there = folders.frames_there(folder) if folder else set()
    now = baking.looked_at(tree, scene)
    foreign = record.foreign(exr_key.keys(folder, there)) if folder and record.keys else ()
    return state(
        record, now, there, linked=bool(folder), error=baking.complaint(tree, now), foreign=foreign
    )
