# SPDX-License-Identifier: Apache-2.0
"""The registry: our own models, one module each, and those of other packages by entry point.

A third party's package declares, under the entry point group `matte_nodes.models`, a name and
the ModelCard it stands for (`my-model = "my_package:CARD"`). docs/adding-a-model.md walks through.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from matte_nodes.architecture import Architecture
from matte_nodes.card import ModelCard
from matte_nodes.errors import ModelError, UnknownModelError
from matte_nodes.models import finetuned

ENTRY_POINT_GROUP = "matte_nodes.models"
_OWN = (
    "rvm",
    "rvm_people",
    "closed_form",
    "green_screen",
    "deep_image_matting",
    "mmnet",
    "background_matting",
    "adamatting",
    "gfm",
    "modnet",
    "background_matting_v2",
    "selfie",
    "u2netp",
    "click",
    "edgetam",
    "sam2",
    "trimap_cues",
    "closed_form_refined",
    "clean_plate_cues",
    "birefnet",
    "vitmatte",
    "isnet",
    "u2net",
    "ben2",
)


@cache
def _own() -> dict[str, ModelCard]:
    cards = (import_module(f".{module}", __package__).CARD for module in _OWN)
    return {card.name: card for card in cards}


@cache
def _new_names() -> dict[str, str]:
    return {old: card.name for card in _own().values() for old in card.old_names}


@cache
def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def own_names() -> list[str]:
    """Return names of the models of this package."""
    return list(_own())


def installed_names() -> list[str]:
    """Return names of our own models and of those of other packages."""
    return [*_own(), *sorted(set(_others()) - set(_own()))]


def taken_names() -> list[str]:
    """Return names that a new model cannot have: those of installed models, and their old names."""
    return [*installed_names(), *old_names()]


def current_name(name: str) -> str:
    """Return the name that a model of ours has today, from one that it had before.

    Else the name itself.
    """
    return _new_names().get(name, name)


def old_names() -> list[str]:
    """Return names that models of ours had before. They are accepted wherever a model is named."""
    return list(_new_names())


def names() -> list[str]:
    """Return names of all registered models: our own, those of packages, those fine-tuned here."""
    known = installed_names()
    return [*known, *(name for name in finetuned.names() if name not in known)]


def card(name: str) -> ModelCard:
    """The declaration of a registered model, of `MODEL:VARIANT`, or of an ONNX file by its path.

    Raises UnknownModelError with the closest names, ModelError when another package's declaration
    cannot be loaded or is not a ModelCard.
    """
    if not isinstance(name, str):
        raise UnknownModelError(f"A model is a name or a ModelCard, not {name!r}.")
    name = current_name(name)
    if name in _own():
        return _own()[name]
    base, mark, variant = name.partition(":")
    if mark and current_name(base) in _own():
        return _own()[current_name(base)].on_variant(variant)
    if name.lower().endswith(".onnx"):
        from matte_nodes.models.onnx_file import card_of

        return card_of(name)
    point = _others().get(name)
    if point is None and (own := finetuned.card(name, parent_card)) is not None:
        return own
    if point is None:
        import difflib

        close = difflib.get_close_matches(name, names(), 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownModelError(f"There is no model {name!r}.{hint} Known: {', '.join(names())}.")
    try:
        found = point.load()
    except Exception as error:
        raise ModelError(f"Model {name!r} of {point.value} cannot be loaded: {error}") from error
    if not isinstance(found, ModelCard) or found.name != name:
        raise ModelError(
            f"{point.value} is not a ModelCard named {name!r}; report it to its author."
        )
    return found


def parent_card(name: str) -> ModelCard:
    """Return the card that a fine-tuning begins with: a registered model's, or that of "shot".

    "shot" is a new network for one shot. It can be fine-tuned and not run, so it is not registered.
    """
    if name == finetuned.SHOT:
        hidden: ModelCard = import_module(".shot_network", __package__).BASE
        return hidden
    return card(name)


class ModelWarning(UserWarning):
    """A registered model that cannot be used; the others can."""


def cards() -> list[ModelCard]:
    """Return all declarations, in the order of `names`.

    A broken one of another package is warned of.
    """
    found = []
    for name in names():
        try:
            found.append(card(name))
        except ModelError as error:
            warnings.warn(str(error), ModelWarning, 2)
    return found


def architecture(card: ModelCard) -> Architecture | None:
    """Return the declaration of a card's torch network; None for a model without one.

    Raises ModelError when it cannot be imported or is not an Architecture.
    """
    if card.architecture is None:
        return None
    try:
        found = card.architecture()
    except Exception as error:
        raise ModelError(f"The network of {card.name!r} cannot be imported: {error}") from error
    if not isinstance(found, Architecture):
        raise ModelError(
            f"The card of {card.name!r} declares {found!r} as its architecture; it must be a "
            "matte_nodes.Architecture. Report it to its author."
        )
    return found


def architectures() -> list[Architecture]:
    """Return all networks that the registered cards declare, each once, our own first.

    A broken one of another package gives a warning.
    """
    found: dict[str, Architecture] = {}
    for declared in cards():
        try:
            one = architecture(declared)
        except ModelError as error:
            warnings.warn(str(error), ModelWarning, 2)
            continue
        if one is not None:
            found.setdefault(one.id, one)
    return list(found.values())


def of_architecture(id: str) -> ModelCard:
    """Return the model that runs a network's published weights.

    It has the architecture's id as its name, or it is the first that declares it. Raises
    UnknownModelError when no registered card declares it.
    """
    declaring = []
    for declared in cards():
        found = architecture(declared) if declared.architecture is not None else None
        if found is not None and found.id == id:
            declaring.append(declared)
    named = [declared for declared in declaring if declared.name == id]
    if not declaring:
        raise UnknownModelError(f"No model has the network {id!r}.")
    return (named or declaring)[0]
