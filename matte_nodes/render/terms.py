# SPDX-License-Identifier: Apache-2.0
"""Terms that a matte inherits from the files it is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matte_nodes.card import Terms, strictest
from matte_nodes.media.metadata import own_attributes

if TYPE_CHECKING:
    from matte_nodes.shot.shot import Shot


@dataclass(frozen=True)
class Inherited:
    """Terms of one input file that a model made."""

    name: str
    """Which input it is: "plate", or the name of a hint."""
    model: str
    """The model that made the file, as its provenance names it."""
    licence: str
    """The licence in the file's provenance."""
    commercial: Terms
    """Whether these terms allow commercial use. A missing or unknown word is "unclear"."""


def inherited(shot: Shot, frames: Iterable[int]) -> list[Inherited]:
    """Return the terms in the provenance of a shot's plate and hint files, for these frames.

    A mask that a non-commercial model made stays non-commercial when it comes as a file. Files
    without our provenance add nothing. Of the plate, the first frame is read; of hints, all.
    """
    wanted = list(frames)
    files = [("plate", path) for path in _files(shot.clip, wanted[:1])]
    for name, hint in shot.hints.items():
        sources = {hint.source_frame(frame) for frame in wanted}
        used = sorted(source for source in sources if source is not None)
        files += [(name, path) for path in _files(hint.clip, used)]
    terms = [_terms(name, path) for name, path in files]
    return list(dict.fromkeys(one for one in terms if one is not None))


def combined(own: Terms, others: Iterable[Inherited]) -> Terms:
    """Return the strictest of a chain's own terms and the inherited ones."""
    return strictest([own, *(one.commercial for one in others)])


def _files(clip: object, frames: Iterable[int]) -> list[Path]:
    files = getattr(clip, "files", None)
    if files is None:
        return []
    paths = files()
    return list(dict.fromkeys(paths[frame] for frame in frames if frame in paths))


def _terms(name: str, path: Path) -> Inherited | None:
    facts = own_attributes(path)
    if "matte/model" not in facts:
        return None
    return Inherited(
        name,
        facts["matte/model"],
        facts.get("matte/licence", "not stated"),
        strictest([facts.get("matte/commercial", "unclear")]),
    )
