# SPDX-License-Identifier: Apache-2.0
"""What a Write puts on disk: the pixels of the Read above it, times a Grade's multiply."""

from __future__ import annotations

import os

from . import session


def execute(node, first, last, increment):
    """Copy what is above a Write to its file, frame by frame."""
    session.only_on_main()
    session.CALLS.append(("execute", node.fullName(), first, last))
    if node["disable"].value():
        raise RuntimeError(node.fullName() + " is disabled")
    for number in range(first, last + 1, increment):
        if session.STATE["fail"] and session.STATE["fail"][0] == number:
            raise RuntimeError(session.STATE["fail"][1])
        _copy(node, number)


def _copy(write, number):
    from .. import pictures  # hosts' own Pythons have no numpy

    above = write
    while above.kind in ("Write", "Switch", "Input", "Shuffle"):
        if above.kind == "Input":
            above = above.parent.input(int(above["number"].value() if above.knob("number") else 0))
        else:
            above = above.input(0)
    gain = 1.0
    while above.kind != "Read":
        gain *= above["multiply"].value() if above.kind == "Grade" else 1.0
        above = above.input(0)
    channels = str(write["channels"].value())
    source = pictures.path_of(above["file"].value(), number)
    if not os.path.isfile(source):
        raise RuntimeError("Read1: " + source + ": No such file or directory")
    pictures.rendered(source, pictures.path_of(write["file"].value(), number), channels, gain)
