# SPDX-License-Identifier: Apache-2.0
"""`--model auto`: the best model for what was connected, among those that can run here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from matte_nodes import models, weights
from matte_nodes.card import ModelCard
from matte_nodes.errors import WeightsError

# In order of preference. Trimap: the order of errors on the photographs of alphamatting.com
# (bench/bench_trimap.py); published checkpoints, which only a user can bring, were not measured.
# Clean plate: an imported checkpoint before the small shipped network.
FOR_TRIMAP = (
    "closed-form-refined",
    "closed-form",
    "deep-image-matting",
    "adamatting",
    "deep-image-matting-small",
)
FOR_BACKGROUND = ("background-matting-v2", "background-matting", "background-matting-small")
FOR_PEOPLE = ("rvm", "modnet", "selfie")
REFINERS = ("closed-form-refined", "closed-form", "deep-image-matting-small")
COARSE = frozenset({"selfie", "u2netp"})


@dataclass(frozen=True)
class Choice:
    """What `auto` chose: the model, a trimap model that refines it (or None), and why."""

    model: str
    refine: str | None
    why: str

    @property
    def sentence(self) -> str:
        """The choice, the reason and the licence, for the user."""
        card = models.card(self.model)
        chain = f" refined by {self.refine}" if self.refine else ""
        return (
            f"auto: {self.model}{chain}, because {self.why}. Licence: {card.licence}; commercial "
            f"use: {card.commercial}."
        )


def choose(hints: Collection[str], *, live: bool = False) -> Choice:
    """The best model whose weights are here for these hints ("trimap", "background", ...).

    live: speed counts: nothing is refined. Raises WeightsError when nothing can run, saying what
    to pull.
    """
    if "points" in hints and "trimap" not in hints:
        return Choice("click", None if live else refiner(), "a subject was clicked on")
    if "trimap" in hints:
        for name in FOR_TRIMAP:
            if _can_run(name, hints):
                return Choice(name, None, "a trimap was given")
    if "background" in hints:
        for name in FOR_BACKGROUND:
            if _can_run(name, hints):
                return Choice(name, None, "a clean plate was given")
    # First what is stronger: models on weights of their publishers, then those on our own.
    for name, own in [(name, False) for name in FOR_PEOPLE] + [(name, True) for name in FOR_PEOPLE]:
        if not _can_run(name, hints, own=own):
            continue
        refines = name in COARSE and not live
        return Choice(
            name, refiner() if refines else None, "people are expected when no hint is given"
        )
    raise WeightsError(
        "No model can run here yet. For people: `matte models pull rvm` (licence unclear) or "
        "`matte models pull selfie` (Apache-2.0). Or give a trimap."
    )


def refiner() -> str | None:
    """The best trimap model that can run here, or None."""
    return next((name for name in REFINERS if _can_run(name, {"trimap"}, own=True)), None)


def _can_run(name: str, hints: Collection[str], *, own: bool = False) -> bool:
    card = models.card(name)
    if card.checkpoint is not None and not own and not weights.imported(card).is_file():
        return False
    return card.needs <= set(hints) and is_ready(card)


def is_ready(card: ModelCard) -> bool:
    """Whether everything that the model runs on is on this machine."""
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in card.packages):
        return False
    return weights.ready(card)
