# SPDX-License-Identifier: Apache-2.0
"""A trained network becomes a model that every host knows: its file, its licence, its provenance."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes import __version__, models
from matte_nodes.errors import OutputError
from matte_nodes.models import finetuned
from matte_nodes.paths import weights_folder
from matte_nodes.train import parents, state, systems
from matte_nodes.weights import sha256_of

if TYPE_CHECKING:
    from torch import nn

    from matte_nodes.card import ModelCard

OWN = "your own: made from nothing but your frames and mattes"


def register(
    parent: parents.Parent,
    network: nn.Module,
    name: str,
    shot: str,
    facts: Mapping[str, Any],
    hints: tuple[str, ...] = (),
) -> ModelCard:
    """Write the weights into $MATTE_HOME, register the model, and return its card.

    hints: the connected hints; the model needs those that its parent declares. Raises OutputError
    when the folder cannot be written.
    """

    inner = systems.inner(network)
    told = {
        **facts, "parent": parent.name, "parent_weights": dict(parent.identity), "shot": shot,
        "version": __version__, "licence": terms(parent),
    }  # fmt: skip
    marks = systems.marks(inner, parent.system.architecture)
    declared = parent.card.needs | parent.card.takes
    needs = sorted(parent.card.needs | (declared & set(hints)))
    folder = weights_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".finetune-", dir=folder) as scratch:
            path = Path(scratch) / "weights.safetensors"
            state.save(path, inner.state_dict(), told, marks)
            digest = sha256_of(path)
            found = finetuned.Declaration(
                name, parents.root_of(parent.name), f"{name}-{digest[:8]}.safetensors", digest,
                path.stat().st_size, terms(parent), parent.card.commercial, shot, tuple(needs),
                facts=told,
            )  # fmt: skip
            finetuned.register(found, path, models.taken_names())
    except OSError as error:
        raise OutputError(
            f"The model cannot be written to {folder}: {error.strerror or error}. Make the folder "
            "writable, or set MATTE_HOME to one that is."
        ) from error
    return finetuned.card_of(found, models.parent_card)


def terms(parent: parents.Parent) -> str:
    """Return the licence of what was made from a parent: the parent's terms go on."""
    if parent.card.name == finetuned.SHOT:
        return OWN
    return (
        parent.card.licence
        if parent.card.licence == OWN
        else (f"fine-tuned from {parent.card.name}, whose terms hold: {parent.card.licence}")
    )
