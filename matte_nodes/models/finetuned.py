# SPDX-License-Identifier: Apache-2.0
"""Models that `matte finetune` made on this machine: kept in $MATTE_HOME, registered by name.

A model is a declaration `models/NAME.json` and a file in the weights folder. Every process reads a
changed declaration again, so a running service sees a new model at once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from matte_nodes.card import LoadContext, Model, ModelCard, Terms, Weights, checked_terms
from matte_nodes.errors import ModelError, UsageError
from matte_nodes.paths import check_plain_name, models_folder, weights_folder
from matte_nodes.whole_files import write_text

SHOT = "shot"
SHOT_FILE = "shot.safetensors"
"""The name of the weights file that the network of one shot is loaded from."""
FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
Registered = Callable[[str], ModelCard]
"""`models.card`: this module knows no other model."""
_cards: dict[str, tuple[Declaration, ModelCard]] = {}


@dataclass(frozen=True)
class Declaration:
    """The declaration file of a fine-tuned model.

    parent: the model it began as, or "shot", a small network trained from scratch. needs: hints it was made
    with. file, sha256, size: its weights. shot: the clip's name. facts: provenance (key frames,
    errors before and after, steps, the parent's weights).
    """

    name: str
    parent: str
    file: str
    sha256: str
    size: int
    licence: str
    commercial: Terms
    shot: str
    needs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def names() -> list[str]:
    """Return names of the fine-tuned models, sorted."""
    folder = models_folder()
    return sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []


def declaration(name: str) -> Declaration | None:
    """Return what is written of a fine-tuned model, or None.

    Raises ModelError when it cannot be read.
    """
    if not NAME.fullmatch(name):
        return None
    path = models_folder() / f"{name}.json"
    try:
        state = path.stat()
    except OSError:
        return None
    return _read(path, state.st_size, state.st_mtime_ns)


def card(name: str, registered: Registered) -> ModelCard | None:
    """Return the card of a fine-tuned model, or None.

    Raises ModelError when it or its parent cannot be used.

    The very same card as long as the declaration is the same: a service finds loaded models by it.
    """
    found = declaration(name)
    if found is None:
        return None
    kept = _cards.get(name)
    if kept is None or kept[0] is not found:
        kept = _cards[name] = (found, card_of(found, registered))
    return kept[1]


def card_of(found: Declaration, registered: Registered) -> ModelCard:
    """Return the parent's card with the fine-tuned weights, licence, provenance and limits in it."""
    base = registered(found.parent)
    keys = found.facts.get("keys", ())
    told = f"key frames {', '.join(map(str, keys))}" if keys else "its own frames, without keys"
    weights = Weights(
        found.file, found.sha256, found.size, (), found.licence, found.commercial,
        f"made on this machine by matte finetune from {found.parent}",
    )  # fmt: skip
    return replace(
        base,
        name=found.name,
        title=f"{base.title}, for {found.shot}",
        summary=f"{base.title} fine-tuned for the shot {found.shot}.",
        load=_loader(base, found),
        needs=frozenset(found.needs),  # type: ignore[arg-type]
        takes=base.takes - frozenset(found.needs),
        weights=(weights,),
        checkpoint=None,
        auto={},
        old_names=(),
        training_data=f"{told} of {found.shot}"
        + (f"; before that: {base.training_data}" if base.training_data else ""),
        limits=f"For {found.shot} and shots that look like it. {base.limits}".strip(),
    )


def check_name(name: str, taken: Collection[str]) -> None:
    """Raise UsageError for a name that no model can have, or that another one has.

    taken: `models.taken_names()`.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"A model's name is lower-case letters, digits and dashes, not {name!r}.")
    if name in taken or name in (SHOT, "auto"):
        raise UsageError(f"There is a model {name!r} already: choose another name (--name).")


def register(found: Declaration, weights: Path, taken: Collection[str]) -> Path:
    """Move the weights into the weights folder, write the declaration, and return its path.

    weights: a finished file. taken: as for `check_name`. An older model of this name is replaced.
    """
    check_name(found.name, taken)
    old = declaration(found.name) if found.name in names() else None
    target, path = weights_folder() / found.file, models_folder() / f"{found.name}.json"
    for folder in (target.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    os.replace(weights, target)
    text = {"format": FORMAT, **{k: getattr(found, k) for k in Declaration.__dataclass_fields__}}
    write_text(path, json.dumps(text, indent=1, default=list) + "\n")
    if old is not None and old.file != found.file:
        (weights_folder() / old.file).unlink(missing_ok=True)
    return path


def remove(name: str) -> None:
    """Take a fine-tuned model away, its weights too. Raises UsageError when there is none."""
    found = declaration(name)
    if found is None:
        raise UsageError(f"No fine-tuned model {name!r}. You have: {', '.join(names()) or 'none'}.")
    (models_folder() / f"{name}.json").unlink(missing_ok=True)
    (weights_folder() / found.file).unlink(missing_ok=True)


def _loader(base: ModelCard, found: Declaration) -> Callable[[LoadContext], Model]:
    def load(context: LoadContext) -> Model:
        path = context.weights[found.file]
        if base.checkpoint is not None:
            return base.load(replace(context, weights={}, checkpoint=path))
        if found.parent == SHOT:
            return base.load(replace(context, weights={SHOT_FILE: path}))
        return base.load(replace(context, weights={base.weights[0].file: path}))

    return load


@cache
def _read(path: Path, size: int, mtime: int) -> Declaration:
    del size, mtime
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        if text.pop("format") != FORMAT:
            raise ModelError(f"{path} was written by another version of matte-nodes.")
        text["needs"] = tuple(text["needs"])
        found = Declaration(**text)
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise ModelError(
            f"{path} cannot be read ({error}): fine-tune again, or remove the file."
        ) from error
    if found.name != path.stem:
        raise ModelError(
            f"{path} declares the model {found.name!r}. Name the file after the model."
        )
    check_plain_name(found.file, path)
    return replace(found, commercial=checked_terms(found.commercial, path))
