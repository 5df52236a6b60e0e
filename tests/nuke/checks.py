# SPDX-License-Identifier: Apache-2.0
"""What must be true of a gizmo of ours; each finding is a sentence. The committed file is not asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matte_nodes.hosts.nuke.script import COLUMN, ROW
from tests.nuke.nk import NkError, Script, expression, references

CLASSES = frozenset({
    "Input", "Output", "Write", "Read", "Shuffle", "Switch", "Merge2", "Expression",
    "MergeExpression", "Dilate", "Inference", "Assert", "Colorspace", "Crop", "Copy", "Remove",
})  # fmt: skip
PLACING = {"inputs", "name", "xpos", "ypos"}
LOUD = {"$gui?1:0", "error"}
ONLY_SEEN = {"live"}  # a Read that a render never reaches
SHOWN = {"first", "last"}
ROOT_KNOBS = {"first_frame", "last_frame", "name"}
TCL = {"[value state]", "[file dirname [value root.name]]/matte_nodes"}
ABSOLUTE = re.compile(r"(?<![\w.])(/(home|Users|tmp|mnt|opt|work|var|net)\b|[A-Za-z]:[\\/]|\\\\)")
CODES = {"text": 1, "int": 3, "choice": 4, "bool": 6, "float": 7}


@dataclass(frozen=True)
class Expected:
    """What one gizmo must be: wiring and knobs of its nodes, its own knobs and texts.

    nodes: name to (class, inputs by name, knobs with their texts; an Expression as {{text}}).
    own: rows of (code, name, label, tooltip, flags, range, choices, script, group, value).
    """

    name: str
    inputs: tuple[str, ...]
    nodes: Mapping[str, tuple[str, tuple[str | None, ...], Mapping[str, str]]]
    own: Sequence[tuple[Any, ...]]
    texts: Mapping[str, str]
    layers: Mapping[str, list[str]] = field(default_factory=dict)
    calls: frozenset[str] = frozenset()


def findings(text: str, expected: Expected) -> list[str]:
    """All that is wrong with a gizmo's text."""
    try:
        script = Script(text)
    except (NkError, IndexError, ValueError) as error:
        return [f"does not parse: {error}"]
    if [node.kind for node in script.nodes] != ["Group"]:
        return [f"the file must hold one Group, not {[node.kind for node in script.nodes]}"]
    group = script.nodes[0]
    found = list(_file(script, text))
    for look in (_inputs, _wiring, _nodes, _places, _own, _links, _python):
        try:
            found += look(group, expected)
        except ValueError as error:  # a number that is none
            found.append(f"{look.__name__}: {error}")
    return found


def _file(script: Script, text: str) -> Iterator[str]:
    if script.version != "13.2 v8" or script.other or script.layers:
        yield f"the head of the file: {script.version!r}, {script.other}, {script.layers}"
    for match in ABSOLUTE.finditer(text):
        yield f"an absolute path: {text[match.start() : match.end() + 20]!r}"


def _inputs(group: Any, expected: Expected) -> Iterator[str]:
    inputs = [node for node in group.children if node.kind == "Input"]
    numbers = [int(node.value("number", "0")) for node in inputs]
    if sorted(numbers) != list(range(len(inputs))):
        yield f"input numbers are {numbers}"
    named = tuple(
        node.name for _, node in sorted(zip(numbers, inputs, strict=True), key=lambda p: p[0])
    )
    if named != expected.inputs:
        yield f"inputs are {named}, not {expected.inputs}"
    outputs = [node for node in group.children if node.kind == "Output"]
    if len(outputs) != 1 or not outputs[0].inputs or outputs[0].inputs[0] is None:
        yield "there must be one Output, and it must be wired"


def _wiring(group: Any, expected: Expected) -> Iterator[str]:
    names = [node.name for node in group.children]
    if sorted(names) != sorted(expected.nodes):
        yield f"nodes are {sorted(set(names) ^ set(expected.nodes))} off"
    for node in group.children:
        kind, inputs, _ = expected.nodes.get(node.name, (None, (), {}))
        got = tuple(None if source is None else source.name for source in node.inputs)
        if kind != node.kind or got != inputs:
            yield f"{node.name} is {node.kind} of {got}, not {kind} of {inputs}"


def _nodes(group: Any, expected: Expected) -> Iterator[str]:
    for node in [group, *group.children]:
        if node.repeated:
            yield f"{node.name} sets {node.repeated} twice"
    for node in group.children:
        if node.kind not in CLASSES:
            yield f"{node.name} is a {node.kind}, which is not allowed"
        if node.user_knobs:
            yield f"{node.name} has knobs of its own"
        loud = expression(node.knobs.get("on_error", ("", False))) or node.value("on_error")
        quiet = node.name in ONLY_SEEN and loud == "black"
        if node.kind == "Read" and (node.value("raw") != "true" or not (quiet or loud in LOUD)):
            yield f"{node.name} must be raw, and an error in a render"
        if node.kind == "Write" and (node.value("raw"), node.value("disable")) != ("true", "true"):
            yield f"{node.name} must be raw, and disabled until the plug-in writes"
        wanted = expected.nodes.get(node.name, (None, (), {}))[2]
        got = {
            name: "{{" + str(expression(value)) + "}}" if expression(value) else value[0]
            for name, value in node.knobs.items() if name not in PLACING
        }  # fmt: skip
        if got != dict(wanted):
            yield f"{node.name}: {set(got.items()) ^ set(wanted.items())}"


def _places(group: Any, expected: Expected) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for node in group.children:
        try:
            x, y = int(node.value("xpos")), int(node.value("ypos"))
        except (TypeError, ValueError):
            yield f"{node.name} has no place"
            continue
        if x % COLUMN or y % ROW or not 0 <= x <= 12 * COLUMN or not 0 <= y <= 12 * ROW:
            yield f"{node.name} lies off the grid, at {x}, {y}"
        if taken.setdefault((x, y), node.name) != node.name:
            yield f"{node.name} lies on {taken[x, y]}"
        for source in node.inputs:
            if source is not None and int(source.value("ypos") or 0) >= y:
                yield f"{node.name} lies above its input {source.name}"


def _own(group: Any, expected: Expected) -> Iterator[str]:
    rows = [
        (k.code, k.name, k.label, k.tooltip, tuple(k.flags), k.range, tuple(k.choices), k.script,
         k.group, group.value(k.name))
        for k in group.user_knobs
    ]  # fmt: skip
    if rows != list(expected.own):
        yield f"knobs: {[r for r in rows if r not in expected.own]} is wrong, or the order"
    texts = {
        name: value[0] for name, value in group.knobs.items()
        if name not in {knob.name for knob in group.user_knobs}
    }  # fmt: skip
    if texts != dict(expected.texts):
        yield f"the group's own: {set(texts.items()) ^ set(expected.texts.items())}"
    if group.layers != dict(expected.layers):
        yield f"layers: {group.layers}"


def _links(group: Any, expected: Expected) -> Iterator[str]:
    own = {knob.name for knob in group.user_knobs}
    for node in [group, *group.children]:
        for name, value in node.knobs.items():
            text = expression(value) or value[0]
            is_link = expression(value) is not None or name.startswith("temp_expr")
            for link in references(text) if is_link else ():
                head, _, knob = link.partition(".")
                known = {"root": ROOT_KNOBS, "parent": own, "result": SHOWN, "live": SHOWN}.get(
                    head, set()
                )
                if knob not in known:
                    yield f"{node.name}.{name} follows {link}, which is not there"
            if is_link and not references(text) and text not in LOUD:
                yield f"{node.name}.{name} is an expression that follows nothing: {text!r}"
            if "[" in value[0] and value[0] not in TCL:
                yield f"{node.name}.{name} has Tcl in it: {value[0]!r}"


def _python(group: Any, expected: Expected) -> Iterator[str]:
    for knob in group.user_knobs:
        if knob.code != 22:
            continue
        try:
            tree = ast.parse(knob.script or "", feature_version=(3, 7))
        except SyntaxError as error:
            yield f"{knob.name}: {error}"
            continue
        match tree.body:
            case [
                ast.Import(names=[ast.alias(name="matte_nuke", asname=None)]),
                ast.Expr(ast.Call(ast.Attribute(ast.Name("matte_nuke"), called), [], [])),
            ] if called in expected.calls:
                pass
            case _:
                yield f"{knob.name} does more than call matte_nuke: {knob.script!r}"
    for name in ("knobChanged", "onCreate", "onDestroy", "autolabel", "beforeRender"):
        if name in group.knobs:
            yield f"{name}: a farm without the plug-in would fail on it"
