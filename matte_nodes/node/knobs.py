# SPDX-License-Identifier: Apache-2.0
"""The knobs every model shares, and the one place where knob values are checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from matte_nodes.card import Knob, KnobValue, ModelCard
from matte_nodes.errors import KnobValueError, UnknownKnobError
from matte_nodes.node.finesse import FINESSE_KNOBS
from matte_nodes.node.hints import HINT_KNOBS
from matte_nodes.temporal.steady import STEADY_KNOB

NODE_KNOBS: tuple[Knob, ...] = (
    Knob(
        "foreground", "choice", "auto", choices=("auto", "solved", "native"),
        help="Where the foreground's colour comes from: solved on the plate in working space "
        "(auto starts from the model's own), or the model's own as it is (native, clipped).",
    ),
    Knob(
        "view", "choice", "srgb", choices=("srgb", "view", "soft"),
        help="What the network sees: sRGB encoding, the display view, or highlights rolled off.",
    ),
    Knob(
        "exposure", "float", 0.0, low=-16.0, high=16.0, unit="stops",
        help="Exposure of what the network sees; the plate itself is not touched.",
    ),
    Knob(
        "tile", "int", 0, low=-1, high=16384, unit="px",
        help="Side of the tiles that large plates are worked in by models that allow it; "
        "0 is the model's own choice, -1 never.",
    ),
    *FINESSE_KNOBS,
    *HINT_KNOBS,
    Knob(
        "align_background", "bool", False,
        help="Lay a hand-held clean plate over the plate before it is used (by features of the "
        "place); it is left alone when that cannot be trusted.",
    ),
    STEADY_KNOB,
)  # fmt: skip


def all_knobs(card: ModelCard) -> tuple[Knob, ...]:
    """The model's own knobs, then those of the node."""
    return (*card.knobs, *NODE_KNOBS)


def checked(card: ModelCard, given: Mapping[str, KnobValue]) -> dict[str, KnobValue]:
    """Values for every knob of a model: what was given, checked, and the defaults of the rest.

    Old names of renamed knobs are accepted. Raises UnknownKnobError or KnobValueError.
    """
    knobs = all_knobs(card)
    by_name = {name: knob for knob in knobs for name in (knob.name, *knob.aliases)}
    values = {knob.name: knob.default for knob in knobs}
    for name, value in given.items():
        knob = by_name.get(name)
        if knob is None:
            raise UnknownKnobError(_unknown(name, card, by_name))
        values[knob.name] = _checked_value(knob, value)
    return values


def _unknown(name: str, card: ModelCard, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    own = ", ".join(knob.name for knob in card.knobs) or "none of its own"
    return (
        f"Model {card.name!r} has no knob {name!r}.{hint} Its knobs: {own}; every model has: "
        f"{', '.join(knob.name for knob in NODE_KNOBS)}."
    )


def _checked_value(knob: Knob, value: KnobValue) -> KnobValue:
    if knob.kind == "bool":
        if not isinstance(value, bool):
            raise KnobValueError(f"Knob {knob.name!r} is a switch: True or False, not {value!r}.")
        return value
    if knob.kind == "choice":
        if value not in knob.choices:
            raise KnobValueError(
                f"Knob {knob.name!r} is one of {', '.join(knob.choices)}, not {value!r}."
            )
        return value
    if knob.kind == "text":
        if not isinstance(value, str):
            raise KnobValueError(f"Knob {knob.name!r} is a text, not {value!r}.")
        return value
    return _checked_number(knob, value)


def _checked_number(knob: Knob, value: Any) -> KnobValue:
    whole = knob.kind == "int"
    # numpy's numbers are welcome: only what is no number, or none in a float's range, is not.
    is_number = not isinstance(value, bool) and isinstance(value, Real)
    given = float(value) if is_number else math.nan
    if not math.isfinite(given) or (whole and not given.is_integer()):
        raise KnobValueError(
            f"Knob {knob.name!r} is a {'whole number' if whole else 'number'}, not {value!r}."
        )
    number = int(given) if whole else given
    low = -math.inf if knob.low is None else knob.low
    high = math.inf if knob.high is None else knob.high
    if not low <= number <= high:
        unit = f" {knob.unit}" if knob.unit else ""
        raise KnobValueError(
            f"Knob {knob.name!r} lies between {low:g} and {high:g}{unit}, not {value!r}."
        )
    return number
