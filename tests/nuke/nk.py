# SPDX-License-Identifier: Apache-2.0
"""A reader of Nuke scripts, for tests: Tcl words, the node stack, groups, user knobs.

Standard library, Python 3.7 and newer: it also runs inside the Pythons that hosts have. Checked
against tclsh in test_reader.py.
"""

from __future__ import annotations

import re

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": " "}
_VALUE = re.compile(r"(?<![\w.])((?:parent|this|root|input\d*|result|live)(?:\.\w+)+)")


class NkError(ValueError):
    """Not a Nuke script: where, and what was expected."""


def commands(text: str, offset: int = 1):
    """Yield (line number, words) for each command of a Tcl text; a word is (text, was braced)."""
    place, line, words = 0, offset, []
    began = line
    while place < len(text):
        char = text[place]
        if char in "\n;":
            if words:
                yield began, words
            words, place, line = [], place + 1, line + (char == "\n")
        elif char in " \t\r":
            place += 1
        elif char == "\\" and text[place + 1 : place + 2] == "\n":
            place, line = place + 2, line + 1
        elif char == "#" and not words:
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        else:
            if not words:
                began = line
            word, end, braced = _word(text, place, line)
            words.append((word, braced))
            line += text.count("\n", place, end)
            place = end
    if words:
        yield began, words


def _word(text, place, line):
    if text[place] == "{":
        return _braced(text, place, line)
    if text[place] == '"':
        end, found = place + 1, []
        while end < len(text) and text[end] != '"':
            if text[end] == "$":
                raise NkError(f"line {line}: a bare $ in a quoted word")
            if text[end] == "[":
                raise NkError(f"line {line}: a bare [ in a quoted word")
            piece, end = _escaped(text, end)
            found.append(piece)
        if end >= len(text):
            raise NkError(f"line {line}: a quoted word has no end")
        return "".join(found), _ended(text, end + 1, line), False
    end, found = place, []
    while end < len(text) and text[end] not in " \t\r\n;":
        if text[end] == "[":
            close = text.find("]", end)
            if close < 0 or "\n" in text[end:close]:
                raise NkError(f"line {line}: [ without ]")
            found.append(text[end : close + 1])
            end = close + 1
            continue
        piece, end = _escaped(text, end)
        found.append(piece)
    return "".join(found), end, False


def _braced(text, place, line):
    depth, end = 0, place
    while end < len(text):
        if text[end] == "\\":
            end += 2
            continue
        depth += (text[end] == "{") - (text[end] == "}")
        end += 1
        if depth == 0:
            return text[place + 1 : end - 1], _ended(text, end, line), True
    raise NkError(f"line {line}: a brace is never closed")


def _ended(text, end, line):
    if end < len(text) and text[end] not in " \t\r\n;":
        raise NkError(f"line {line}: {text[end]!r} follows a closing brace or quote")
    return end


def _escaped(text, place):
    if text[place] != "\\" or place + 1 >= len(text):
        return text[place], place + 1
    return ESCAPES.get(text[place + 1], text[place + 1]), place + 2


class UserKnob:
    """One addUserKnob: code, name, label (l), tooltip (t), range, choices, script, group, flags."""

    def __init__(self, body, line):
        words = [word for _, found in commands(body.replace("\n", "\\n"), line) for word in found]
        self.words = [word for word, _ in words]
        if len(words) < 2 or not words[0][0].isdigit():
            raise NkError(f"line {line}: addUserKnob without number and name")
        self.code, self.name, self.line = int(words[0][0]), words[1][0], line
        self.label = self.script = None
        self.tooltip, self.group, self.flags, self.choices, self.range = "", 0, [], [], None
        rest = [word for word, _ in words[2:]]
        while rest:
            key = rest.pop(0)
            if key[0] in "+-" and key[1:].isupper():
                self.flags.append(key)
                continue
            if key not in "ltMTnR" or not rest:
                raise NkError(f"line {line}: {key!r} in addUserKnob")
            value = rest.pop(0)
            if key == "l":
                self.label = value
            elif key == "t":
                self.tooltip = value
            elif key == "T":
                self.script = value
            elif key == "M":
                self.choices = [word for _, found in commands(value) for word, _ in found]
            elif key == "n":
                self.group = int(value)
            else:
                self.range = (float(value), float(rest.pop(0)))


class Node:
    """One node: class, knobs (text, was braced) by name, inputs, user knobs, children of a group."""

    def __init__(self, kind, line):
        self.kind, self.line, self.name = kind, line, ""
        self.knobs, self.inputs, self.user_knobs = {}, [], []
        self.children, self.layers, self.parent = [], {}, None
        self.repeated = []

    def take(self, body, line):
        """The lines between its braces."""
        for number, words in commands(body, line):
            name = words[0][0]
            if name == "addUserKnob":
                if len(words) != 2 or not words[1][1]:
                    raise NkError(f"line {number}: addUserKnob takes one braced word")
                self.user_knobs.append(UserKnob(words[1][0], number))
                continue
            if not re.match(r"^[A-Za-z_][\w.]*$", name) or len(words) < 2:
                raise NkError(f"line {number}: {name!r} is no knob with a value")
            if name in self.knobs:
                self.repeated.append(name)
            self.knobs[name] = (" ".join(word for word, _ in words[1:]), words[1][1])
        self.name = self.knobs.get("name", ("", False))[0]

    def value(self, name, default=None):
        """A knob's text, without the braces of an expression."""
        found = self.knobs.get(name)
        if found is None:
            return default
        return expression(found) if expression(found) is not None else found[0]

    def child(self, name):
        """The child of this name, or None."""
        return next((node for node in self.children if node.name == name), None)


def expression(value):
    """The expression in a knob's value ({{...}}), or None."""
    text, braced = value
    if not braced or not text.startswith("{") or not text.endswith("}"):
        return None
    inner = text[1:-1]
    return inner[1:-1] if inner[:1] == inner[-1:] == '"' else inner


def references(text):
    """What an expression refers to: parent.view, root.first_frame."""
    return _VALUE.findall(text)


class Script:
    """A whole file: its version, its top nodes, layers, and what else stood there."""

    def __init__(self, text):
        self.version, self.nodes, self.layers, self.other = "", [], {}, []
        self.names, clones = {}, {}
        stacks, groups, line = [[]], [], 0
        for line, words in commands(text):
            name, rest = words[0][0], [word for word, _ in words[1:]]
            home = groups[-1].children if groups else self.nodes
            if name == "version":
                self.version = " ".join(rest)
            elif name == "set" and len(rest) == 2 and rest[1].startswith("["):
                self._set(rest[0], rest[1], stacks[-1], clones, line)
            elif name == "push" and len(rest) == 1:
                stacks[-1].append(self._pushed(rest[0], groups, line))
            elif name == "end_group" and not rest:
                if not groups:
                    raise NkError(f"line {line}: end_group without a group")
                groups.pop()
                stacks.pop()
            elif name == "add_layer":
                parts = rest[0].split()
                (groups[-1] if groups else self).layers[parts[0]] = parts[1:]
            elif name == "clone":
                source = clones.get(rest[0][1:])
                if source is None:
                    raise NkError(f"line {line}: a clone of nothing")
                node = Node(source.kind, line)
                node.knobs = dict(source.knobs)
                self._place(node, rest[-1], stacks[-1], home, line)
            elif len(words) == 2 and words[1][1] and re.match(r"^[A-Za-z_][\w.]*$", name):
                node = Node(name, line)
                node.parent = groups[-1] if groups else None
                if name in ("Root", "define_window_layout_xml"):
                    if name == "Root":
                        node.take(rest[0], line)
                    self.other.append(node)
                    continue
                self._place(node, rest[0], stacks[-1], home, line)
                if name in ("Group", "LiveGroup"):
                    groups.append(node)
                    stacks.append([])
            else:
                raise NkError(f"line {line}: {name!r} is no command of a Nuke script")
        if groups:
            raise NkError(f"line {line}: {groups[-1].name} has no end_group")

    def _place(self, node, body, stack, home, line):
        node.take(body, line)
        count = node.knobs.get("inputs", ("1", False))[0]
        wanted = re.match(r"^(\d+)(\+(\d+))?$", count)
        if not wanted:
            raise NkError(f"line {line}: inputs {count!r}")
        number = int(wanted.group(1)) + int(wanted.group(3) or 0)
        if node.kind in ("Input", "BackdropNode", "StickyNote") and "inputs" not in node.knobs:
            number = 0
        for _ in range(number):
            node.inputs.append(stack.pop() if stack else None)
        while node.inputs and node.inputs[-1] is None and "inputs" not in node.knobs:
            node.inputs.pop()
        stack.append(node)
        home.append(node)

    def _set(self, name, call, stack, clones, line):
        found = re.match(r"^\[stack (\d+)\]$", call)
        if found and name == "cut_paste_input":
            return  # text from a clipboard begins so; its stack is empty here
        if found and int(found.group(1)) < len(stack):
            self.names[name] = stack[-1 - int(found.group(1))]
        elif call.startswith("[clone"):
            clones[name] = stack[-1] if stack else None
        else:
            raise NkError(f"line {line}: set {name} {call}")

    def _pushed(self, text, groups, line):
        if text == "0":
            return None
        if text == "$cut_paste_input":
            return None
        if not text.startswith("$") or text[1:] not in self.names:
            raise NkError(f"line {line}: push of {text!r}, which was never set")
        node = self.names[text[1:]]
        if node.parent is not (groups[-1] if groups else None):
            raise NkError(f"line {line}: push of a node of another group")
        return node
