# SPDX-License-Identifier: Apache-2.0
"""Checks of a document before it becomes the session's: its files, models, knobs and frames."""

from __future__ import annotations

import os

from matte_nodes import models
from matte_nodes.errors import UnknownKnobError, UsageError
from matte_nodes.node.knobs import all_knobs, checked
from matte_nodes.shot.choose_model import SELECT
from matte_nodes.studio.document import Document
from matte_nodes.studio.places import Places

_NO_MODEL = ("", "auto", SELECT)


def check(document: Document, places: Places) -> None:
    """Refuse a document that names files outside of the places, models or knobs that are not here.

    Raises InputError or UsageError.
    """
    for path in (document.plate, *document.hints.values()):
        places.clip(_absolute(path))
    for path in (document.behind, document.ocio):
        if path and not path.startswith("ocio://"):
            places.path(_absolute(path))
    for name in (document.model, document.refine, document.segmentation_model):
        if is_file(name):
            places.path(_absolute(name))
        if name not in _NO_MODEL:
            models.card(name)
    _check_knobs(document)


def is_file(model: str) -> bool:
    """Whether a model is named by the path of a file."""
    return model.lower().endswith(".onnx")


def _absolute(path: str) -> str:
    """The path; UsageError for a relative one: what is checked must be what is opened."""
    if not os.path.isabs(path):
        raise UsageError(f"The session names {path!r:.200}, which is not an absolute path.")
    return path


def check_span(document: Document, frames: tuple[int, ...]) -> None:
    """Refuse a range that the plate does not have."""
    if document.span is not None and not (
        frames[0] <= document.span[0] <= document.span[1] <= frames[-1]
    ):
        first, last = document.span
        raise UsageError(f"The plate has frames {frames[0]}-{frames[-1]}, not {first}-{last}.")


def _check_knobs(document: Document) -> None:
    """Each value by the declaration of each model that has such a knob, in use or not."""
    for name, value in document.knobs.items():
        having = [
            card
            for card in models.cards()
            if any(name in (knob.name, *knob.aliases) for knob in all_knobs(card))
        ]
        named = [card for card in having if card.name == document.model]
        if not having:
            raise UnknownKnobError(f"No model has a knob {name!r}.")
        checked((named or having)[0], {name: value})
