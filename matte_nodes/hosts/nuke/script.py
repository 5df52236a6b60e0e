# SPDX-License-Identifier: Apache-2.0
"""A small writer of Nuke scripts: nodes, their inputs and their knobs, as Nuke saves them.

Nothing here knows what a matte is. Links are made with `set` and `push` alone, so that the order of
the nodes never changes the wiring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ROW, COLUMN = 60, 130
"""Pixels between nodes in the node graph."""

_PLAIN = re.compile(r"[A-Za-z0-9_.+/:%#-][A-Za-z0-9_.+/:%#=-]*")
_ESCAPES = str.maketrans({
    "\\": "\\\\", '"': '\\"', "[": "\\[", "$": "\\$", "{": "\\{", "}": "\\}", "\n": "\\n",
})  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A knob that follows another: Nuke writes it in two pairs of braces."""

    text: str


@dataclass(frozen=True)
class UserKnob:
    """One knob that a group adds.

    code: the number Nuke has for the kind. flags: words such as +STARTLINE. value: what is not
    Nuke's own default; None leaves the line out.
    """

    code: int
    name: str
    label: str | None = None
    tooltip: str = ""
    flags: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    script: str = ""
    group: int = 0
    value: str | Expression | None = None

    def words(self) -> Iterator[str]:
        """Yield what stands between the braces of addUserKnob."""
        yield str(self.code)
        yield self.name
        if self.label is not None:
            yield from ("l", word(self.label))
        if self.tooltip:
            yield from ("t", word(self.tooltip))
        yield from self.flags
        if self.low is not None and self.high is not None:
            yield from ("R", f"{self.low:g}", f"{self.high:g}")
        if self.choices:
            yield from ("M", "{" + " ".join(word(choice) for choice in self.choices) + "}")
        if self.script:
            yield from ("T", word(self.script))
        if self.group:
            yield from ("n", str(self.group))


@dataclass(frozen=True)
class Node:
    """One node: its class, name, inputs by name (None: not connected) and knobs."""

    kind: str
    name: str
    inputs: tuple[str | None, ...] = ()
    knobs: Mapping[str, str | Expression] = field(default_factory=dict)
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Group:
    """A node made of nodes; it is saved whole into the artist's script."""

    name: str
    knobs: Mapping[str, str | Expression]
    user_knobs: Sequence[UserKnob]
    layers: Mapping[str, tuple[str, ...]]
    nodes: Sequence[Node]


def word(value: str) -> str:
    """One word of a script: bare where that is safe, else quoted, with all that Tcl would read."""
    return value if _PLAIN.fullmatch(value) else f'"{value.translate(_ESCAPES)}"'


def written(group: Group, version: str = "13.2 v8") -> str:
    """Return the text of a gizmo file that holds this one group."""
    lines = [f"version {version}", "Group {"]
    lines += (f" {name} {_value(value)}" for name, value in group.knobs.items())
    for knob in group.user_knobs:
        lines.append(f" addUserKnob {{{' '.join(knob.words())}}}")
        if knob.value is not None:
            lines.append(f" {knob.name} {_value(knob.value)}")
    lines.append("}")
    for layer, channels in group.layers.items():
        lines.append(f" add_layer {{{layer} {' '.join(f'{layer}.{c}' for c in channels)}}}")
    lines += _body(group.nodes)
    return "\n".join([*lines, "end_group", ""])


def script(nodes: Sequence[Node], version: str = "13.2 v8") -> str:
    """The text of a Nuke script that holds these nodes."""
    lines = (line.removeprefix(" ") for line in _body(nodes))
    return "\n".join([f"version {version}", *lines, ""])


def _value(value: str | Expression) -> str:
    if isinstance(value, Expression):
        return "{{" + word(value.text) + "}}" if "[" in value.text else "{{" + value.text + "}}"
    return word(value)


def _body(nodes: Sequence[Node]) -> Iterator[str]:
    top = None
    used = {name for node in nodes for name in node.inputs}
    for node in nodes:
        wanted: list[str | None] = list(reversed(node.inputs))
        if wanted and wanted == [top]:
            wanted = []
        for name in wanted:
            yield " push 0" if name is None else f" push $N_{name}"
        yield f" {node.kind} {{"
        if len(node.inputs) != 1:
            yield f"  inputs {len(node.inputs)}"
        for knob, value in node.knobs.items():
            yield f"  {knob} {_value(value)}"
        yield f"  name {node.name}"
        yield f"  xpos {node.column * COLUMN}"
        yield f"  ypos {node.row * ROW}"
        yield " }"
        top = node.name
        if node.name in used:
            yield f" set N_{node.name} [stack 0]"
