# SPDX-License-Identifier: Apache-2.0
"""The knobs that every model has; checks knob values and limits which stage may read which knob."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, get_args

from matte_nodes.card import STAGES, Knob, KnobValue, ModelCard, Stage
from matte_nodes.errors import KnobValueError, ModelError, UnknownKnobError
from matte_nodes.node.align_background import Align
from matte_nodes.node.finesse import FINESSE_KNOBS
from matte_nodes.node.hints import HINT_KNOBS
from matte_nodes.node.match_background import Match

NODE_KNOBS: tuple[Knob, ...] = (
    Knob(
        "foreground", "choice", "auto", choices=("auto", "solved", "native"), stage="finish",
        help="Where the foreground's colour comes from: solved on the plate in working space "
        "(auto starts from the model's own), or the model's own as it is (native, clipped).",
    ),
    Knob(
        "view", "choice", "srgb", choices=("srgb", "view", "soft"), stage="view",
        help="What the network sees: sRGB encoding, the display view, or highlights rolled off.",
    ),
    Knob(
        "exposure", "float", 0.0, low=-16.0, high=16.0, unit="stops", stage="view",
        help="Exposure of what the network sees; the plate itself is not touched.",
    ),
    Knob(
        "tile", "int", 0, low=-1, high=16384, unit="px", stage="step", live=False,
        help="Side of the tiles that large plates are worked in by models that allow it; "
        "0 is the model's own choice, -1 never.",
    ),
    *FINESSE_KNOBS,
    *HINT_KNOBS,
    Knob(
        "align_background", "choice", "auto", choices=get_args(Align), stage="view", live=False,
        help="Lays a hand-held clean plate over the plate, by features of the place. auto: where "
        "the camera has moved and it then fits better; on: wherever the features can be trusted; "
        "off: never.",
    ),
    Knob(
        "match_background", "choice", "auto", choices=get_args(Match), stage="view", live=False,
        help="Gives the clean plate the plate's exposure: a gain and a gamma for each channel. "
        "auto: where they differ; off: never.",
    ),
    Knob(
        "close_holes", "bool", True, stage="finish", live=False,
        help="With a clean plate: closes holes in the subject where the plate does not show the "
        "clean plate, or where a segmentation is solid.",
    ),
    Knob(
        "steady", "float", 0.0, low=0.0, high=1.0, stage="finish", neighbours=True, live=False,
        help="Takes flicker out of the alpha of models without memory: how much of the two "
        "neighbouring frames, carried along by the motion, is mixed in. 0 is off.",
    ),
)  # fmt: skip


def all_knobs(card: ModelCard) -> tuple[Knob, ...]:
    """Return the model's own knobs, then those of the node."""
    return (*card.knobs, *NODE_KNOBS)


class StageKnobs(Mapping[str, KnobValue]):
    """The knob values that one stage may read: those of its own knobs and of earlier stages.

    A stage that reads a later stage's knob would make pixels that its cache key does not know, so
    that raises ModelError.
    """

    def __init__(self, card: ModelCard, values: Mapping[str, KnobValue], stage: Stage) -> None:
        readable = STAGES[: STAGES.index(stage) + 1]
        self._stage = stage
        self._later = {knob.name: knob.stage for knob in all_knobs(card)}
        self._values = {n: v for n, v in values.items() if self._later.get(n) in readable}

    def __getitem__(self, name: str) -> KnobValue:
        if name not in self._values and name in self._later:
            raise ModelError(
                f"Knob {name!r} is declared for the stage {self._later[name]!r}, but the stage "
                f"{self._stage!r} reads it. Declare it with stage={self._stage!r}."
            )
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class LoadKnobs(Mapping[str, KnobValue]):
    """The knob values that a model is loaded with. They remember which of them loading reads.

    A program that keeps loaded models calls `close` after loading, and asks `serve` whether a
    model fits other values too.
    """

    def __init__(self, values: Mapping[str, KnobValue]) -> None:
        self._values = values
        self._read: dict[str, KnobValue] = {}
        self._closed = False

    def close(self) -> None:
        """Loading has ended: from now on a knob that it did not read raises ModelError."""
        self._closed = True

    def serve(self, other: Mapping[str, KnobValue]) -> bool:
        """Whether a model loaded with these is the one that would be loaded with the others."""
        return all(other.get(name) == value for name, value in self._read.items())

    @property
    def read(self) -> frozenset[str]:
        """The names of the knobs that were read so far."""
        return frozenset(self._read)

    def __getitem__(self, name: str) -> KnobValue:
        value = self._values[name]
        if self._closed and name not in self._read:
            # The loaded model may already serve a job with another value.
            raise ModelError(
                f"The model reads the knob {name!r} of its LoadContext after it was loaded. Read "
                "it in `load`, or take it from the knobs that `step` is given."
            )
        self._read[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def active_neighbour_knobs(values: Mapping[str, KnobValue]) -> tuple[Knob, ...]:
    """Return the knobs that are set so that a finished frame is also made from the frames beside it."""
    return tuple(k for k in NODE_KNOBS if k.neighbours and values[k.name] != k.default)


def checked(card: ModelCard, given: Mapping[str, KnobValue]) -> dict[str, KnobValue]:
    """Return values for every knob of a model: what was given, checked, and the defaults of the rest.

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
        if isinstance(value, bool) and {"on", "off"} <= set(knob.choices):
            value = "on" if value else "off"  # it was a switch before, or it looks like one
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
