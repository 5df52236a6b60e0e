# SPDX-License-Identifier: Apache-2.0
"""A recording stand-in for the `nuke` module. It is not Nuke and proves nothing about Nuke.

It builds nodes from gizmo texts by our own reader, keeps what the plug-in asks of it in `CALLS`,
and "renders" a Write by copying the pixels of the Read above it (times a Grade's multiply). So the
plug-in's own flow runs from button to picture. Python 3.7 and newer; pictures need OpenImageIO.

session: calls, undo, the main thread. knobs, nodes: what a script is made of. viewer: what leaves a
node. renders: what a Write writes. Here: the functions of the module `nuke`, and of its artist.
"""

from __future__ import annotations

import sys

from . import session
from .knobs import Knob
from .nodes import Format, Node, Root, load, read_node
from .renders import execute
from .session import CALLS, FILTERS, UNDO, ProgressTask, Undo, executeInMainThread, run_main_until
from .session import STATE as _state
from .viewer import box, layers, number, shown

__all__ = [
    "CALLS", "EXE_PATH", "FILTERS", "GUI", "UNDO", "Format", "Knob", "Node", "ProgressTask", "Root",
    "Undo", "box", "execute", "executeInMainThread", "layers", "load", "number", "read_node", "run_main_until",
    "shown",
]  # fmt: skip

GUI = False
INPUTS, HIDDEN_INPUTS, EXPRESSIONS = 1, 2, 4
DO_NOT_WRITE, READ_ONLY = 0x200, 0x10000000
EXE_PATH = "/opt/Nuke/Nuke"
session.gui = lambda: sys.modules[__name__].GUI


def addFilenameFilter(call):
    FILTERS.append(call)


def filename(node, flag=0):
    """The file of a Read as Nuke opens it: what the filters answer, one after the other."""
    name = node["file"].value()
    for call in FILTERS:
        name = call(name) or name
    return name or None


def start(script="", gui=False):
    """A new script; answers the root."""
    global GUI
    GUI = gui
    CALLS.clear()
    UNDO.clear()
    FILTERS.clear()
    session.NODES.clear()
    session.ANSWERS.clear()
    _state.update(node=None, knob=None, task=None, fail=None, frame=1001, root=Root(script))
    return _state["root"]


def press(node, button):
    """Run a button's script as Nuke does."""
    _state["node"] = node
    exec(node[button].value(), {"nuke": __import__("nuke")})


def change(node, name, value):
    """The artist changes a knob."""
    node[name].clearAnimated()
    node[name].setValue(value)
    _state.update(node=node, knob=node[name])


def fail_at(frame, message):
    """Rendering of this frame fails with this message."""
    _state["fail"] = (frame, message)


def task():
    """The progress bar that was made last."""
    return _state["task"]


def root():
    return _state["root"]


def thisNode():
    return _state["node"]


def thisKnob():
    return _state["knob"]


def frame(number=None):
    if number is not None:
        session.only_on_main()
        _state["frame"] = number
    return _state["frame"]


def allNodes(kind=None):
    return [
        n for n in session.NODES if n.parent is None and not n.deleted and kind in (None, n.kind)
    ]


def createNode(kind, knobs="", inpanel=True):
    node = load(session.PLUGIN + "/gizmos/" + kind + ".gizmo", kind + "1")
    CALLS.append(("create", kind))
    return node


def delete(node):
    for each in [node, *node.children.values()]:
        each.deleted = True
    session.NODES.remove(node)


def ask(question):
    """What the next answer says that a test gave."""
    CALLS.append(("ask", question))
    return session.ANSWERS.pop(0)


def set_frame(number):
    _state["frame"] = number


def pluginAddPath(path):
    CALLS.append(("pluginAddPath", path))
