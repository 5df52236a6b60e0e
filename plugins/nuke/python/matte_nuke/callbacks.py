# SPDX-License-Identifier: Apache-2.0
"""What Nuke tells of while an artist works: changed knobs, a window that was drawn anew."""

from __future__ import annotations

from typing import Any

import nuke

from . import actions, host, knobs, runs, upkeep, upstream
from .trouble import Trouble

# States that a change of the inputs may replace.
SETTLED = ("done", "cancelled", "farm job", "renewed", upstream.OLD, upstream.FRESH)
MATTERS = ("model", "clicks", "hint_between", "trimap_keys", "segmentation_keys")


def knob_changed() -> None:
    """After a change on a MatteNode: show the own knobs of its model; say when a result is old."""
    node, knob = nuke.thisNode(), nuke.thisKnob()
    if node.knob("has_result") is None or node.knob("cache_folder") is None:
        return
    name = str(knob.name())
    if name == "inputChange":
        # A range that nobody set follows the plate, not the project.
        if node.input(0) is not None and all(node[k].hasExpression() for k in ("first", "last")):
            actions.reset_range(node)
        return
    if name in ("model", "showPanel"):
        for group, seen in knobs.model_groups(node).items():
            node[group].setVisible(seen)
    if name == "showPanel":
        _opened(node)
    changed = name in MATTERS or name.startswith((knobs.SHARED, "model_"))
    if changed and node["has_result"].value() and not runs.is_running(host.Face(node)):
        with host.no_undo():
            node["state"].setValue("knobs changed since this was matted")


def _opened(node: Any) -> None:
    """Messages can be selected and copied; a node of another version says so."""
    for name in ("state", "error"):
        node[name].setEnabled(True)
        node[name].setFlag(nuke.READ_ONLY)
    try:
        upkeep.check(node)
    except Trouble as error:
        with host.no_undo():
            node["error"].setValue(str(error))


def inputs_changed() -> None:
    """After anything changed in the window: say on a MatteNode when its inputs are not the same."""
    node = nuke.thisNode()
    if node.knob("inputs_seen") is None or not node["has_result"].value():
        return
    state = str(node["state"].value())
    if runs.is_running(host.Face(node)) or not state.startswith(SETTLED):
        return
    changed = upstream.is_changed(node)
    told = upstream.OLD if changed else upstream.FRESH if state == upstream.OLD else state
    if changed is not None and told != state:
        with host.no_undo():
            node["state"].setValue(told)
