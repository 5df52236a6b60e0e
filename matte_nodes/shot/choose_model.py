# SPDX-License-Identifier: Apache-2.0
"""`--model auto`: the best model for what was connected, among those that can run here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from matte_nodes import models, weights
from matte_nodes.card import Job, ModelCard
from matte_nodes.errors import WeightsError

if TYPE_CHECKING:
    from matte_nodes.shot.look import Seen

# The ranks are in the cards (`ModelCard.auto`). Trimap: the order of errors on the photographs of
# alphamatting.com (bench/bench_trimap.py); published checkpoints, which only a user can bring, were
# not measured. Clean plate: an imported checkpoint before the small shipped network.


SELECT = "select"
"""The name of the chain from clicks to mattes: `click`, then the best trimap model here."""


@dataclass(frozen=True)
class ModelChoice:
    """The choice of `auto`: a model, a trimap model that refines it (or None), and the reason."""

    model: str
    refine: str | None
    why: str

    @property
    def reason(self) -> str:
        """The choice and the reason, for the user and for the provenance."""
        chain = f" refined by {self.refine}" if self.refine else ""
        return f"auto: {self.model}{chain}, because {self.why}"

    @property
    def sentence(self) -> str:
        """The choice, the reason and the licence, for the user."""
        card = models.card(self.model)
        return f"{self.reason}. Licence: {card.licence}; commercial use: {card.commercial}."


Look: TypeAlias = "Callable[[ModelCard, ModelCard], Seen]"
"""Called with a model for people and one for what stands out; says whether there are people."""


def choose(hints: Collection[str], *, live: bool = False, look: Look | None = None) -> ModelChoice:
    """Return the best model whose weights are here for these hints ("trimap", "background", ...).

    live: speed counts: nothing is refined. look: looks at a plate without hints; without it people
    are expected. Raises WeightsError when nothing can run, saying what to pull.
    """
    jobs: tuple[tuple[Job, str], ...] = (
        ("trimap", "a trimap was given"),
        ("points", "a subject was clicked on"),
        ("background", "a clean plate was given"),
    )
    for hint, why in jobs:
        if hint not in hints:
            continue
        for card in ranked(hint):
            if _can_run(card, hints):
                return ModelChoice(card.name, refiner() if card.coarse and not live else None, why)
    people = _first("people", hints)
    salient = _first("anything", hints)
    if people is None and salient is None:
        pulls = " or ".join(
            f"`matte models pull {card.name}` (licence: {card.licence})"
            for card in ranked("people")
            if card.weights
        )
        raise WeightsError(f"No model can run here yet. For people: {pulls}. Or give a trimap.")
    chosen, why = people or salient, "people are expected when no hint is given"
    if people is None:
        why = "no model for people is here"
    elif live or look is None:
        pass
    elif salient is None:
        why = (
            "no model for other subjects is here (`matte models pull u2netp`), so people are "
            "expected"
        )
    else:
        seen = look(people, salient)
        chosen, why = people if seen.people else salient, seen.why(people.name, salient.name)
    assert chosen is not None
    return ModelChoice(chosen.name, refiner() if chosen.coarse and not live else None, why)


def foreseen() -> dict[str, str]:
    """Return what `auto` would take now, in words, by what is given: a hint, or "" for none.

    A host shows it before the plate is looked at. Without a hint the look at the plate decides.
    """
    found = {}
    for hint in ("trimap", "points", "background", ""):
        try:
            choice = choose({hint} if hint else ())
        except WeightsError:
            found[hint] = "nothing: no model for this has its weights here"
            continue
        found[hint] = _chain_in_words(choice.model, choice.refine)
    people, salient = _first("people", ()), _first("anything", ())
    if people is not None and salient is not None:
        other = _chain_in_words(salient.name, refiner() if salient.coarse else None)
        if other != found[""]:
            found[""] += f" for people, {other} for anything else (it looks at the plate)"
    return found


def _chain_in_words(model: str, refine: str | None) -> str:
    return f"{model} refined by {refine}" if refine else model


def _first(job: Job, hints: Collection[str]) -> ModelCard | None:
    """The first model of a job that can run: on weights of its publisher, else on our own."""
    able = [card for own in (False, True) for card in ranked(job) if _can_run(card, hints, own=own)]
    return able[0] if able else None


def members(name: str) -> list[str]:
    """Return the models that a name stands for: those of the named chain `select`, or the one model."""
    return [item for item in ("click", refiner()) if item] if name == SELECT else [name]


def refiner() -> str | None:
    """Return the best trimap model that can run here, or None."""
    able = (card.name for card in ranked("refine") if _can_run(card, {"trimap"}, own=True))
    return next(able, None)


def ranked(job: Job) -> list[ModelCard]:
    """Return the registered models that may be chosen for a job, the preferred first."""
    able = [card for card in models.cards() if job in card.auto]
    return sorted(able, key=lambda card: card.auto[job])


def parent_for(hint: str) -> str | None:
    """Return the network that a fine-tuning with this hint begins with, or None."""
    able = (card.name for card in ranked("finetune") if hint in card.needs and is_ready(card))
    return next(able, None)


def _can_run(card: ModelCard, hints: Collection[str], *, own: bool = False) -> bool:
    """Whether a model can run with these hints. own: on weights of this project too."""
    if card.checkpoint is not None and not own and not weights.published(card):
        return card.checkpoint.optional and card.needs <= set(hints) and is_ready(card)
    return card.needs <= set(hints) and is_ready(card)


def is_ready(card: ModelCard) -> bool:
    """Whether everything that the model runs on is on this machine."""
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in card.packages):
        return False
    return weights.ready(card)
