# SPDX-License-Identifier: Apache-2.0
"""Notices edits upstream: the hashes that Nuke has for the inputs, kept with the result.

Nuke's hash of an operator holds its knobs, its inputs' hashes, and the frame and the size (full or
proxy) that it works for. So hashes are compared for the same frame and size only: the ones of the
press of the button, which the script saves, and those of each frame that was shown since.
"""

from __future__ import annotations

from typing import Any

from .host import place
from .plan import INPUTS

OLD = "inputs changed since this was matted"
FRESH = "the inputs are as they were matted"

# By node: the text that is saved with its result, and hashes by frame and size.
_seen: dict[str, tuple[str, dict[str, str]]] = {}


def noted(node: Any) -> str:
    """Return the hashes of the inputs with the frame and size they hold for, as a text.

    "" where Nuke has no hash for an input, as for one that is in error.
    """
    words = [place()]
    for number, name in enumerate(INPUTS):
        source = node.input(number)
        if source is not None:
            try:
                words.append(name + "=" + ",".join(f"{value:x}" for value in source.opHashes()))
            except RuntimeError:
                return ""
    return " ".join(words)


def is_changed(node: Any) -> bool | None:
    """Return whether the inputs have changed since the result; None where that is not known."""
    saved, now = str(node["inputs_seen"].value() or ""), noted(node)
    if not saved or not now:
        return None
    name = str(node.fullName())
    if name not in _seen or _seen[name][0] != saved:
        _seen[name] = (saved, {saved.split()[0]: saved})
    known = _seen[name][1]
    here = now.split()[0]
    if here in known:
        return known[here] != now
    if node["state"].value() == OLD:
        return None  # hashes of changed inputs are no measure
    known[here] = now
    return None
