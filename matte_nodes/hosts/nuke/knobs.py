# SPDX-License-Identifier: Apache-2.0
"""Knobs of the declarations as knobs of a gizmo: one place says how a kind looks in Nuke."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from matte_nodes.card import Knob, ModelCard
from matte_nodes.hosts.nuke.script import UserKnob
from matte_nodes.node.knobs import NODE_KNOBS

SHARED_PREFIX = "knob_"
AUTO = "auto"

# Numbers of Nuke's knob kinds (NDK, "Knobs by ID").
TEXT, FILE, INT, CHOICE, SWITCH, FLOAT, TAB, BUTTON, LINE, NOTE = 1, 2, 3, 4, 6, 7, 20, 22, 26, 43
_CODES = {"text": TEXT, "int": INT, "choice": CHOICE, "bool": SWITCH, "float": FLOAT}
OPEN, CLOSE = 1, -1


def safe(name: str) -> str:
    """A model's name as a part of a knob's name, where Nuke takes letters, digits and _ alone."""
    return re.sub(r"\W", "_", name)


def prefix(model: str) -> str:
    """What the names of a model's own knobs begin with."""
    return f"model_{safe(model)}__"


def user_knob(knob: Knob, before: str) -> UserKnob:
    """One declared knob; before: the beginning of its name in the gizmo."""
    number = knob.kind in ("int", "float")
    default = knob.default
    return UserKnob(
        _CODES[knob.kind], before + knob.name, knob.title, knob.help,
        flags=("+STARTLINE",) if knob.kind in ("bool", "int") else (),
        low=knob.low if number else None, high=knob.high if number else None,
        choices=knob.choices,
        value=str(default).lower() if knob.kind == "bool" else _text(default),
    )  # fmt: skip


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def folded(name: str, title: str, knobs: Iterable[UserKnob]) -> Iterator[UserKnob]:
    """Knobs in a group that can be folded."""
    yield UserKnob(TAB, name, title, group=OPEN)
    yield from knobs
    yield UserKnob(TAB, f"end_{name}", group=CLOSE)


def declared(cards: Iterable[ModelCard]) -> Iterator[UserKnob]:
    """The own knobs of every model in a group each, then those that all models share."""
    for card in cards:
        if card.knobs:
            before = prefix(card.name)
            own = [user_knob(knob, before) for knob in card.knobs]
            yield from folded(f"group_{safe(card.name)}", card.title, own)
    shared = [user_knob(knob, SHARED_PREFIX) for knob in NODE_KNOBS]
    yield from folded("group_shared", "Every model", shared)
