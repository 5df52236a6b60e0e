# SPDX-License-Identifier: Apache-2.0
"""A recording stand-in for the `nuke` module. It is not Nuke and proves nothing about Nuke.

It builds nodes from gizmo texts by our own reader, keeps what the plug-in asks of it in `CALLS`,
and "renders" a Write by copying the pixels of the Read above it (times a Grade's multiply). So the
plug-in's own flow runs from button to picture. Python 3.7 and newer; pictures need OpenImageIO.
"""

from __future__ import annotations

import os
import queue
import re
import threading

from . import nk

GUI = False
EXE_PATH = "/opt/Nuke/Nuke"
CALLS = []
MAIN = threading.main_thread()
_main_calls = queue.Queue()
_state = {"node": None, "knob": None, "frame": 1001, "root": None, "task": None, "fail": None}
CLASSES = {1: "String_Knob", 2: "File_Knob", 3: "Int_Knob", 4: "Enumeration_Knob",
           6: "Boolean_Knob", 7: "Double_Knob", 12: "XY_Knob", 20: "Tab_Knob", 22: "PyScript_Knob",
           26: "Text_Knob", 43: "Multiline_Eval_String_Knob"}  # fmt: skip


UNDO, FILTERS = [], []


class Undo:
    """The undo history: what is set while it is on can be undone."""

    off = False

    @classmethod
    def disable(cls):
        cls.off = True

    @classmethod
    def enable(cls):
        cls.off = False

    @classmethod
    def disabled(cls):
        return cls.off


EDGES = ["hold", "loop", "bounce", "black"]
MENUS = {
    "before": EDGES, "after": EDGES,
    "on_error": ["error", "black", "checkerboard", "nearest frame"],
}  # fmt: skip


class Knob:
    """One knob: a value, and what a test says of it (animated, an expression)."""

    def __init__(self, node, name, kind, value, choices=()):
        self.node, self._name, self.kind, self._value = node, name, kind, value
        self.choices, self.default = list(choices), value
        self.is_animated = self.is_expression = False
        self.link = None
        self.visible = True

    def Class(self):
        return CLASSES.get(self.kind, "Knob") if isinstance(self.kind, int) else self.kind

    def name(self):
        return self._name

    def value(self):
        return self._value

    def setValue(self, value):
        _only_on_main()
        if self.node.deleted:
            raise ValueError("A PythonObject is not attached to a node")
        if self.choices and value not in self.choices:
            raise TypeError("no such choice: " + str(value))
        self._value = value
        if not Undo.off:
            UNDO.append((self.node.fullName(), self._name))
        CALLS.append(("set", self.node.fullName(), self._name, value))

    def evaluate(self):
        folder = os.path.dirname(_state["root"].name()) or "."
        text = str(self._value).replace("[file dirname [value root.name]]", folder)
        return re.sub(r"%0(\d)d", lambda m: str(_state["frame"]).zfill(int(m.group(1))), text)

    def getEvaluatedValue(self):
        if self.Class() != "File_Knob":
            raise AttributeError("only a File_Knob has it")
        return re.sub(r"\[getenv (\w+)\]", lambda m: os.environ[m.group(1)], self.evaluate())

    def isAnimated(self):
        return self.is_animated

    def clearAnimated(self):
        self.is_animated = self.is_expression = False

    def hasExpression(self):
        return self.is_expression

    def getValueAt(self, frame, index):
        return self._value[index](frame) if callable(self._value[index]) else self._value[index]

    def setVisible(self, seen):
        self.visible = seen

    def defaultValue(self):
        return self.default


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
        self.said, self.shape = {}, Format(96, 72, 1.0)
        for knob, value in values.items():
            self._knobs[knob] = Knob(self, knob, _kind_of(value), value)
        self._knobs.setdefault("tile_color", Knob(self, "tile_color", "Unsigned_Knob", 0))

    def Class(self):
        return self.kind

    def fullName(self):
        return (self.parent.fullName() + "." if self.parent else "") + self._name

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
            self.input(0)._edge(name) if self.input(0) else _state["root"][name + "_frame"].value()
        )

    def node(self, name):
        return self.children.get(name)

    def opHashes(self):
        """As in the NDK: knobs, the inputs' hashes, frame and size of the output context."""
        unseen = ("tile_color", "label", "name", "xpos", "ypos")
        knobs = [(k, str(v._value)) for k, v in sorted(self._knobs.items()) if k not in unseen]
        above = [source.opHashes() for source in self._inputs.values() if source is not None]
        context = (_state["frame"] if self.kind == "Read" else 0, _state["root"].proxy())
        return [hash((self.kind, str(knobs), str(above), context)) & 0xFFFFFFFFFFFFFFFF]

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


def _kind_of(value):
    if isinstance(value, bool):
        return 6
    return 3 if isinstance(value, int) else 7 if isinstance(value, float) else 1


def load(path, name="MatteNode1"):
    """A group node from a gizmo file."""
    with open(path, encoding="utf-8") as file:
        read = nk.Script(file.read()).nodes[0]
    node = Node("Group", name)
    for knob in read.user_knobs:
        text = read.value(knob.name, knob.script or "")
        found = nk.expression(read.knobs.get(knob.name, ("", False)))
        if found and found.startswith("root."):
            text = _state["root"][found[5:]].value()
        elif knob.code == 6:
            text = text == "true"
        elif knob.code == 3:
            text = int(text)
        elif knob.code == 7:
            text = float(text)
        elif knob.code == 12:
            text = [0.0, 0.0]
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


def addFilenameFilter(call):
    FILTERS.append(call)


def filename(node, flag=0):
    """The file of a Read as Nuke opens it: what the filters answer, one after the other."""
    name = node["file"].value()
    for call in FILTERS:
        name = call(name) or name
    return name or None


def number(node, name):
    """The number that a knob has at the frame that is shown; menus count from 0, as in Nuke."""
    knob = node[name]
    if knob.link is not None:
        return _worked_out(knob.link, node)
    menu = knob.choices or MENUS.get(name, [])
    return menu.index(knob.value()) if knob.value() in menu else int(knob.value())


def _worked_out(text, node):
    """An expression of Nuke's, as far as our gizmos go: ?:, &&, comparisons, $gui, frame, links."""

    def linked(match):
        head, knob = match.group(1), match.group(2)
        place = node.parent.children.get(head) if node.parent else None
        of = {"parent": node.parent, "root": _state["root"]}.get(head, place)
        return str(number(of, knob))

    text = re.sub(r"([a-z_]\w*)\.([a-z_]\w*)", linked, text)
    text = text.replace("$gui", str(int(GUI))).replace("&&", " and ")
    text = re.sub(r"\bframe\b", str(_state["frame"]), text)
    while "(" in text:
        text = re.sub(r"\(([^()]*)\)", lambda found: str(_choice(found.group(1))), text)
    return _choice(text)


def _choice(text):
    if "?" not in text:
        return int(eval(text, {}))
    asked, _, rest = text.partition("?")
    yes, _, no = rest.partition(":")
    return _choice(yes if eval(asked, {}) else no)


def shown(node, at):
    """What leaves a node at a frame: a file, "black", or the name of the node that makes it.

    Raises RuntimeError where Nuke's render would end with an error.
    """
    _state["frame"] = at
    while node.kind in ("Group", "Output", "Dot", "Switch"):
        if node.kind == "Group":
            node = node.children["Output1"]
        else:
            node = node.input(number(node, "which") if node.kind == "Switch" else 0)
    if node.kind != "Read":
        return "black" if node.fullName().endswith(".nothing") else node.fullName()
    return _read_shows(node, at)


def _read_shows(read, at):
    """As Read's knobs say in the NDK: before and after outside of first..last, on_error inside."""
    first, last = number(read, "first"), number(read, "last")
    side = "before" if at < first else "after" if at > last else ""
    mode, length = MENUS[side][number(read, side)] if side else "", last - first + 1
    if mode == "black":
        return "black"
    if mode == "hold":
        at = first if side == "before" else last
    elif mode == "loop":
        at = first + (at - first) % length
    elif mode == "bounce":
        step = (at - first) % max(2 * length - 2, 1)
        at = first + min(step, 2 * length - 2 - step)
    path = _file_at(read, at)
    if os.path.isfile(path):
        return path
    on_error = MENUS["on_error"][number(read, "on_error")]
    if on_error == "error":
        raise RuntimeError(read.fullName() + ": " + path + ": No such file or directory")
    if on_error == "nearest frame":
        near = [n for n in range(first, last + 1) if os.path.isfile(_file_at(read, n))]
        return _file_at(read, min(near, key=lambda n: abs(n - at))) if near else "black"
    return on_error


def _file_at(read, at):
    _state["frame"] = at
    proxy = _state["root"].proxy() and read["proxy"].value()
    return os.path.abspath(read["proxy" if proxy else "file"].evaluate())


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


def start(script="", gui=False):
    """A new script; answers the root."""
    global GUI
    GUI = gui
    CALLS.clear()
    UNDO.clear()
    FILTERS.clear()
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


def frame():
    return _state["frame"]


def set_frame(number):
    _state["frame"] = number


def pluginAddPath(path):
    CALLS.append(("pluginAddPath", path))


def execute(node, first, last, increment):
    """Copy what is above a Write to its file, frame by frame."""
    _only_on_main()
    CALLS.append(("execute", node.fullName(), first, last))
    if node["disable"].value():
        raise RuntimeError(node.fullName() + " is disabled")
    for number in range(first, last + 1, increment):
        if _state["fail"] and _state["fail"][0] == number:
            raise RuntimeError(_state["fail"][1])
        _copy(node, number)


def _copy(write, number):
    from . import pictures

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


def executeInMainThread(call, args=()):
    if threading.current_thread() is MAIN:
        raise AssertionError("executeInMainThread from the main thread hangs Nuke")
    _main_calls.put((call, args))


def run_main_until(done, seconds=120.0):
    """Nuke's event loop, for tests: do what threads asked for until this is true."""
    import time

    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        try:
            call, args = _main_calls.get(timeout=0.05)
        except queue.Empty:
            continue
        call(*args)


def _only_on_main():
    if threading.current_thread() is not MAIN:
        raise AssertionError("Nuke was touched from another thread")


class ProgressTask:
    """A progress bar; a test presses its Cancel."""

    def __init__(self, title):
        self.title, self.pressed, self.told = title, False, []
        _state["task"] = self

    def setMessage(self, text):
        self.told.append(text)

    def setProgress(self, percent):
        assert 0 <= percent <= 100
        self.told.append(percent)

    def isCancelled(self):
        return self.pressed
