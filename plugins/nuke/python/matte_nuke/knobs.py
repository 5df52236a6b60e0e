# SPDX-License-Identifier: Apache-2.0
"""Turns the knobs on the node into the values of a request."""

from __future__ import annotations

import re
from typing import Any

from .trouble import Trouble

SHARED = "knob_"


def prefix(model: str) -> str:
    """Return the prefix of the names of a model's own knobs."""
    return "model_" + re.sub(r"\W", "_", model) + "__"


def given(node: Any, model: str, frames: tuple[int, int]) -> dict[str, Any]:
    """Return the values of the shared knobs and of the model's own, by declared name.

    Raises Trouble for a knob that has several values in these frames: one serves the whole range.
    A link or an expression that gives one value all the time is as good as that value.
    """
    own, found = prefix(model), {}
    for name, knob in node.knobs().items():
        for before in (SHARED, own):
            if name.startswith(before):
                if animated(knob, frames):
                    raise Trouble(
                        f"The knob {name[len(before) :]!r} is animated, but one value serves the "
                        "whole range. Remove its animation, or set the range to frames in which it "
                        "does not change."
                    )
                found[name[len(before) :]] = _plain(knob)
    return found


def animated(knob: Any, frames: tuple[int, int]) -> bool:
    """Whether its value differs from frame to frame."""
    if not (hasattr(knob, "isAnimated") and knob.isAnimated()):
        return False
    if not hasattr(knob, "getValueAt"):
        return True
    return len({knob.getValueAt(frame) for frame in range(frames[0], frames[1] + 1)}) > 1


def _plain(knob: Any) -> Any:
    value = knob.value()
    if knob.Class() == "Boolean_Knob":
        return bool(value)
    if isinstance(value, float) and knob.Class() == "Int_Knob":
        return int(value)
    return value


def model_groups(node: Any) -> dict[str, bool]:
    """Return whether each group of model knobs is visible, by knob name."""
    chosen = "group_" + re.sub(r"\W", "_", str(node["model"].value()))
    groups = [name for name in node.knobs() if name.startswith("group_")]
    return {name: name in (chosen, "group_shared") for name in groups}
