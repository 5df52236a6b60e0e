# SPDX-License-Identifier: Apache-2.0
"""Knobs, by the numbers that Nuke has for their kinds."""

from __future__ import annotations

import ast
import os
import re

from . import session

CLASSES = {1: "String_Knob", 2: "File_Knob", 3: "Int_Knob", 4: "Enumeration_Knob",
           6: "Boolean_Knob", 7: "Double_Knob", 12: "XY_Knob", 15: "BBox_Knob", 20: "Tab_Knob", 22: "PyScript_Knob",
           26: "Text_Knob", 43: "Multiline_Eval_String_Knob"}  # fmt: skip
EDGES = ["hold", "loop", "bounce", "black"]
MENUS = {
    "before": EDGES, "after": EDGES,
    "bbox": ["union", "intersection", "A", "B"],
    "on_error": ["error", "black", "checkerboard", "nearest frame"],
}  # fmt: skip


class Knob:
    """One knob: a value, and what a test says of it (animated, an expression)."""

    def __init__(self, node, name, kind, value, choices=()):
        self.node, self._name, self.kind, self._value = node, name, kind, value
        self.choices, self.default = list(choices), value
        self.is_animated = self.is_expression = False
        self.link = None
        self.visible = self.enabled = True
        self.flags = 0

    def Class(self):
        return CLASSES.get(self.kind, "Knob") if isinstance(self.kind, int) else self.kind

    def name(self):
        return self._name

    def value(self):
        return self._value(session.STATE["frame"]) if callable(self._value) else self._value

    def setValue(self, value):
        session.only_on_main()
        if self.node.deleted:
            raise ValueError("A PythonObject is not attached to a node")
        if self.choices and value not in self.choices:
            raise TypeError("no such choice: " + str(value))
        self._value = value
        if not session.Undo.off:
            session.UNDO.append((self.node.fullName(), self._name))
        session.CALLS.append(("set", self.node.fullName(), self._name, value))

    def evaluate(self):
        folder = os.path.dirname(session.STATE["root"].name()) or "."
        text = str(self._value).replace("[file dirname [value root.name]]", folder)
        return re.sub(
            r"%0(\d)d", lambda m: str(session.STATE["frame"]).zfill(int(m.group(1))), text
        )

    def getEvaluatedValue(self):
        if self.Class() != "File_Knob":
            raise AttributeError("only a File_Knob has it")
        return re.sub(r"\[getenv (\w+)\]", lambda m: os.environ[m.group(1)], self.evaluate())

    def toScript(self):
        return repr(self._value)

    def fromScript(self, text):
        self.setValue(ast.literal_eval(text))

    def execute(self):
        session.only_on_main()
        session.CALLS.append(("press", self.node.fullName(), self._name))

    def setFlag(self, flag):
        self.flags |= flag

    def setEnabled(self, enabled):
        self.enabled = enabled

    def isAnimated(self):
        return self.is_animated

    def clearAnimated(self):
        self.is_animated = self.is_expression = False

    def hasExpression(self):
        return self.is_expression

    def getValueAt(self, frame, index=0):
        one = self._value[index] if isinstance(self._value, list) else self._value
        return one(frame) if callable(one) else one

    def setVisible(self, seen):
        self.visible = seen

    def defaultValue(self):
        return self.default


def kind_of(value):
    if isinstance(value, bool):
        return 6
    return 3 if isinstance(value, int) else 7 if isinstance(value, float) else 1
