# SPDX-License-Identifier: Apache-2.0
"""Makes gizmo knobs from declared knobs. Only this module knows Nuke's kinds of knobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from matte_nodes.card import Knob, ModelCard
from matte_nodes.hosts.nuke.script import UserKnob
from matte_nodes.node.knobs import NODE_KNOBS

SHARED_PREFIX = "knob_"
AUTO = "auto"

# Numbers of Nuke's knob kinds (NDK, "Knobs by ID").
TEXT, FILE, INT, CHOICE, SWITCH, FLOAT, PLACE, BOX = 1, 2, 3, 4, 6, 7, 12, 15
TAB, BUTTON, LINE, LINK, NOTE = 20, 22, 26, 41, 43
_CODES = {"text": TEXT, "int": INT, "choice": CHOICE, "bool": SWITCH, "float": FLOAT}
OPEN, CLOSE = 1, -1


def safe(name: str) -> str:
    """Return a model's name for use in a knob's name: Nuke allows only letters, digits and _."""
    return re.sub(r"\W", "_", name)


def prefix(model: str) -> str:
    """Return the prefix of the names of a model's own knobs."""
    return f"model_{safe(model)}__"


def user_knob(knob: Knob, before: str) -> UserKnob:
    """Return the gizmo knob for one declared knob. before: the prefix of its name."""
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
    """Yield the knobs between the two knobs that begin and end a foldable group in Nuke."""
    yield UserKnob(TAB, name, title, group=OPEN)
    yield from knobs
    yield UserKnob(TAB, f"end_{name}", group=CLOSE)


def declared(cards: Iterable[ModelCard]) -> Iterator[UserKnob]:
    """Yield each model's own knobs in a group, then the knobs that all models share."""
    for card in cards:
        if card.knobs:
            before = prefix(card.name)
            own = [user_knob(knob, before) for knob in card.knobs]
            yield from folded(f"group_{safe(card.name)}", card.title, own)
    shared = [user_knob(knob, SHARED_PREFIX) for knob in NODE_KNOBS]
    yield from folded("group_shared", "Every model", shared)
