# SPDX-License-Identifier: Apache-2.0
"""Nodes: made by hand, or from a gizmo's text by the tests' reader."""

from __future__ import annotations

from .. import nk
from . import session
from .knobs import Knob, kind_of


class Format:
    def __init__(self, width, height, aspect):
        self._all = width, height, aspect

    def width(self):
        return self._all[0]

    def height(self):
        return self._all[1]

    def pixelAspect(self):
        return self._all[2]


class Node:
    """A node of the stand-in's script."""

    def __init__(self, kind, name, **values):
        self.kind, self._name, self.deleted = kind, name, False
        self._knobs, self._inputs, self.children, self.parent = {}, {}, {}, None
        self.hash_at, self.in_error = {}, False
        self.has = ["rgba.red", "rgba.green", "rgba.blue"]
        self.said, self.shape = {}, Format(96, 72, 1.0)
        for knob, value in values.items():
            self._knobs[knob] = Knob(self, knob, kind_of(value), value)
        if kind == "Read":
            self._knobs["reload"] = Knob(self, "reload", 22, "")
        session.NODES.append(self)
        self._knobs.setdefault("tile_color", Knob(self, "tile_color", "Unsigned_Knob", 0))

    def Class(self):
        return self.kind

    def fullName(self):
        return (self.parent.fullName() + "." if self.parent else "") + self._name

    def name(self):
        return self._name

    def setName(self, name):
        self._name = name

    def inputs(self):
        return max(self._inputs, default=-1) + 1

    def dependencies(self, mask):
        return [node for node in self._inputs.values() if node is not None]

    def dependent(self, mask):
        return [node for node in session.NODES if self in node._inputs.values()]

    def nodes(self):
        return list(self.children.values())

    def knobs(self):
        return dict(self._knobs)

    def knob(self, name):
        return self._knobs.get(name)

    def __getitem__(self, name):
        if name not in self._knobs:
            raise NameError("knob " + name + " does not exist")
        return self._knobs[name]

    def input(self, number):
        return self._inputs.get(number)

    def setInput(self, number, node):
        self._inputs[number] = node

    def firstFrame(self):
        return self._edge("first")

    def lastFrame(self):
        return self._edge("last")

    def _edge(self, name):
        if self.kind == "Read":
            return self[name].value()
        return (
            self.input(0)._edge(name)
            if self.input(0)
            else session.STATE["root"][name + "_frame"].value()
        )

    def node(self, name):
        return self.children.get(name)

    def opHashes(self):
        """As in the NDK: knobs, the inputs' hashes, frame and size of the output context."""
        if self.in_error:
            raise RuntimeError(self.fullName() + " is in error")
        unseen = ("tile_color", "label", "name", "xpos", "ypos")
        knobs = [(k, str(v._value)) for k, v in sorted(self._knobs.items()) if k not in unseen]
        above = [source.opHashes() for source in self._inputs.values() if source is not None]
        context = (
            session.STATE["frame"] if self.kind == "Read" else 0,
            session.STATE["root"].proxy(),
        )
        animated = self.hash_at.get(session.STATE["frame"], "")
        return [hash((animated, self.kind, str(knobs), str(above), context)) & 0xFFFFFFFFFFFFFFFF]

    def metadata(self):
        return self.said

    def format(self):
        return self.shape


class Root(Node):
    def __init__(self, name):
        super().__init__(
            "Root", "root", colorManagement="Nuke", workingSpaceLUT="linear",
            OCIO_config="nuke-default", first_frame=1001, last_frame=1005,
        )  # fmt: skip
        for path in ("customOCIOConfigPath", "OCIOConfigPath"):
            self._knobs[path] = Knob(self, path, 2, "")
        self.file, self.is_proxy = name, False

    def name(self):
        return self.file

    def proxy(self):
        return self.is_proxy


def load(path, name="MatteNode1"):
    """A group node from a gizmo file."""
    with open(path, encoding="utf-8") as file:
        read = nk.Script(file.read()).nodes[0]
    node = Node("Group", name)
    for knob in read.user_knobs:
        text = read.value(knob.name, knob.script or "")
        found = nk.expression(read.knobs.get(knob.name, ("", False)))
        if found and found.startswith("root."):
            text = session.STATE["root"][found[5:]].value()
        elif knob.code == 6:
            text = text == "true"
        elif knob.code == 3:
            text = int(text)
        elif knob.code == 7:
            text = float(text)
        elif knob.code in (12, 15):
            text = [0.0] * (2 if knob.code == 12 else 4)
        node._knobs[knob.name] = Knob(node, knob.name, knob.code, text, knob.choices)
        node._knobs[knob.name].is_expression = found is not None
    node["tile_color"]._value = int(read.value("tile_color"), 16)
    for child in read.children:
        made = Node(child.kind, child.name, **{
            k: (v == "true" if v in ("true", "false") else v)
            for k, (v, _) in child.knobs.items() if k not in ("name", "xpos", "ypos", "tile_color")
        })  # fmt: skip
        made.parent = node
        for more in ("first", "last", "origfirst", "origlast"):
            made._knobs.setdefault(more, Knob(made, more, 3, 1))
        for knob, value in child.knobs.items():
            if knob in made._knobs:
                made._knobs[knob].link = nk.expression(value)
        node.children[child.name] = made
    for child in read.children:
        for number, source in enumerate(child.inputs):
            if source is not None:
                node.children[child.name].setInput(number, node.children[source.name])
    return node


def read_node(pattern, first, last, **more):
    """A Read as Nuke makes one of a plain sequence."""
    values = {
        "file": pattern, "proxy": "", "first": first, "last": last, "frame": "",
        "frame_mode": "expression", "on_error": "error", "raw": False, "premultiplied": False,
        "colorspace": "linear", "disable": False, "useLifetime": False, "before": "hold",
        "after": "hold",
    }  # fmt: skip
    values.update(more)
    return Node("Read", "Read1", **values)
