# SPDX-License-Identifier: GPL-3.0-or-later
"""The declarations of models and knobs, as the library hands them out and a .blend keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

AUTO = "auto"
SHARED = "*"
"""Stands for the model's name with knobs that every model shares."""

_CARD = (
    "name",
    "title",
    "summary",
    "needs",
    "takes",
    "memory",
    "commercial",
    "limits",
    "old_names",
    "licence",
    "training_data",
    "weights_state",
    "ready",
)
_KNOB = (
    "name",
    "kind",
    "default",
    "help",
    "low",
    "high",
    "choices",
    "unit",
    "aliases",
    "label",
    "title",
    "neighbours",
)


class Declarations:
    """The available models: cards by name, and the knobs that all models share.

    version: of the library that said so, "" when nobody was asked yet. auto: what `auto` would
    take, in words, by the hint that is given ("" for none).
    """

    def __init__(self, found: Mapping[str, Any] | None = None) -> None:
        found = found or {}
        self.version = str(found.get("version") or "")
        self.cards = {str(card["name"]): _taken(card) for card in found.get("models") or ()}
        self.shared = [_knob(knob) for knob in found.get("knobs") or ()]
        self.auto = {str(k): str(v) for k, v in (found.get("auto") or {}).items()}

    @classmethod
    def read(cls, text: str) -> Declarations:
        """Read declarations from the text in a .blend. A damaged text counts as empty."""
        try:
            return cls(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def text(self) -> str:
        """For a .blend."""
        found = {
            "version": self.version,
            "models": list(self.cards.values()),
            "knobs": self.shared,
            "auto": self.auto,
        }
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    def __bool__(self) -> bool:
        return bool(self.cards)

    def card(self, model: str) -> dict[str, Any] | None:
        """Return a model's card, by its name or by one that it had before.

        None when it is not known.
        """
        old = (card for card in self.cards.values() if model in card["old_names"])
        return self.cards.get(model) or next(old, None)

    def knobs(self, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Owner (the model, or SHARED) and declaration of every knob that a model has."""
        for knob in (self.card(model) or {}).get("knobs", ()):
            yield model, knob
        for knob in self.shared:
            yield SHARED, knob

    def lacks_weights(self, model: str) -> bool:
        """Whether it is known that a model cannot run on that machine yet."""
        return (self.card(model) or {}).get("ready") is False

    def refiners(self) -> list[str]:
        """Return the models that can solve the edge of another model's matte."""
        return [name for name in self.cards if self.needs(name) == ["trimap"]]

    def foreseen(self, given: Iterable[str]) -> str:
        """Return what `auto` would take for these hints, in words; "" when that is not known."""
        hints = set(given)
        first = next((hint for hint in ("trimap", "points", "background") if hint in hints), "")
        return self.auto.get(first, "")

    def needs(self, model: str) -> list[str]:
        """Return the hints that a model must be given."""
        return list((self.card(model) or {}).get("needs", ()))

    def takes(self, model: str) -> list[str] | None:
        """Return the hints that a model can use; None when that is not known."""
        card = self.card(model)
        return None if card is None else list(card.get("takes", ()))

    def is_still(self, model: str, values: Mapping[str, Any]) -> bool:
        """Whether a frame depends on no other frame; auto may choose any model.

        values: of the knobs. Some mix in the frames beside it, whatever the model.
        """
        memory = (self.card(model) or {}).get("memory") or {}
        beside = [knob for _, knob in self.knobs(model) if knob["neighbours"]]
        alone = all(values.get(k["name"], k["default"]) == k["default"] for k in beside)
        return memory.get("kind") == "still" and alone


def merged(all_of_them: Iterable[Declarations]) -> Declarations:
    """Return every model and shared knob that any of them knows.

    The first that does is believed.
    """
    whole = Declarations()
    for found in all_of_them:
        whole.version = whole.version or found.version
        whole.auto = whole.auto or found.auto
        for name, card in found.cards.items():
            whole.cards.setdefault(name, card)
        have = {name for knob in whole.shared for name in (knob["name"], *knob["aliases"])}
        whole.shared += [knob for knob in found.shared if knob["name"] not in have]
    return whole


def _taken(card: Mapping[str, Any]) -> dict[str, Any]:
    knobs = [_knob(knob) for knob in card.get("knobs") or ()]
    return {**_part(card, _CARD), "knobs": knobs}


def _knob(knob: Mapping[str, Any]) -> dict[str, Any]:
    """Return a knob's declaration.

    A .blend may hold older ones, without `title` and `neighbours`.
    """
    found = _part(knob, _KNOB)
    if found["title"] is None:
        found["title"] = found["label"] or found["name"]
    if found["neighbours"] is None:
        found["neighbours"] = True  # unknown: rather ask for too many frames than for too few
    return found


def _part(whole: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    usual: dict[str, Any] = {"aliases": [], "choices": [], "needs": [], "takes": []}
    usual["old_names"] = []
    return {name: whole.get(name, usual.get(name)) for name in names}
