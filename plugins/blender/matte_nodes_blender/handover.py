# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes each connected input to the library: as its file, or as a rendered file.

In doubt it is rendered: what the compositor shows at the socket is then what is matted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from .mapping import ClipFrames, ImageFrames, Sequence, sequence
from .trouble import Trouble

INPUTS = ("plate", "trimap", "background", "segmentation")
MASKS = ("trimap", "segmentation")
READ = (".exr", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".hdr", ".bmp", ".tga", ".webp")
_SHOWN = 4
_SPACES = {"Linear Rec.709": "Linear"}
"""Names that Blender changed: the same file must keep its bake."""


class Media(NamedTuple):
    """An Image or Movie Clip node at the end of the way upstream.

    kind: still, sequence or movie. path: absolute, as the node has it. space: name of its colour
    space. frames: which number is shown when (None for a still). doubt: why the file alone does
    not say what the node shows, "" when it does. size: width and height, (0, 0) when Blender has
    not read it. alpha: its pictures may be transparent.
    """

    kind: str
    path: str
    space: str
    frames: ImageFrames | ClipFrames | None = None
    doubt: str = ""
    size: tuple[int, int] = (0, 0)
    alpha: bool = False


class Source(NamedTuple):
    """The source of one input: media, or (None) a graph with its fingerprint.

    print_: names all nodes and values upstream. still: the graph shows one picture for ever.
    files: absolute paths of the pictures and clips in the graph, and whether each is a sequence.
    alpha: something in the graph makes an alpha.
    """

    media: Media | None
    print_: str = ""
    still: bool = False
    files: tuple[tuple[str, bool], ...] = ()
    alpha: bool = False

    @property
    def transparent(self) -> bool:
        """Whether its pictures may be transparent."""
        return self.media.alpha if self.media is not None else self.alpha


class Handed(NamedTuple):
    """One input on its way.

    how: file (path is a file or a pattern), links (a file for each frame) or render. still: one
    picture serves every frame. space: colour space of a file's pixels, "" for the scene's own.
    reason: why it has to be rendered.
    """

    how: str
    path: str = ""
    space: str = ""
    still: bool = False
    files: dict[int, str] | None = None
    reason: str = ""


def is_still(source: Source) -> bool:
    """Whether it shows one picture at all frames."""
    return source.media.kind == "still" if source.media else source.still


def handed(name: str, source: Source, first: int, last: int, *, alone: bool = False) -> Handed:
    """Return how an input is passed to the library for frames first to last.

    alone: no other input moves, so that a still plate is one frame. Raises Trouble when a file
    that is needed is not there.
    """
    media, still = source.media, is_still(source)
    if media is None:
        return Handed("render", still=still, reason="it is no plain image or clip")
    check(name, media, first, last)
    reason = media.doubt or _unlike(name, media)
    if reason:
        return Handed("render", still=still, reason=reason)
    if media.kind == "still":
        if name == "plate" and not alone:
            return Handed("links", space=media.space, files=_files(media, first, last))
        return Handed("file", media.path, media.space, still=True)
    assert media.frames is not None
    found = sequence(media.path)
    same = all(media.frames.number(n) == n for n in range(first, last + 1))
    if same and found is not None and found.pattern:
        return Handed("file", found.pattern, media.space)
    return Handed("links", space=media.space, files=_files(media, first, last))


def check(name: str, media: Media, first: int, last: int) -> None:
    """Raises Trouble that names the files of first..last that are not there."""
    if media.kind != "sequence":
        if not os.path.isfile(media.path):
            raise Trouble(f"The file of the {name} is not there: {media.path}")
        return
    found = sequence(media.path)
    if found is None:
        raise Trouble(
            f"The {name} is set to be a sequence, but {media.path} has no number in its name."
        )
    assert media.frames is not None
    have = found.there()
    lacking = [n for n in range(first, last + 1) if media.frames.number(n) not in have]
    if lacking:
        listed = ", ".join(str(n) for n in lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        where = found.path(media.frames.number(lacking[0]))
        raise Trouble(
            f"The {name} has no picture at frame {listed}{more} of the scene: {where} is not "
            "there. Render it, or choose another range."
        )


def stamp(source: Source, first: int, last: int) -> str:
    """Changes when a file that feeds the input does, or the graph: by size and time of writing."""
    facts: list[Any] = [source.print_]
    media = source.media
    for path, many in source.files:
        named = sequence(path) if many else None
        if named is not None:
            facts += [(n, _sign(entry)) for n, entry in sorted(named.there().items())]
        else:
            facts.append(_signed(path))
    if media is not None and media.kind == "sequence":
        found = sequence(media.path)
        have = found.there() if found else {}
        assert media.frames is not None
        for number in sorted({media.frames.number(n) for n in range(first, last + 1)}):
            facts.append((number, _sign(have.get(number))))
    elif media is not None:
        facts.append(_signed(media.path))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def stamp_of(files: Iterable[str]) -> str:
    """Changes when one of these files does."""
    facts = [(os.path.basename(path), _signed(path)) for path in sorted(files)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def paths(source: Source) -> list[str]:
    """Return the files that an input is made of; of a sequence the one that its node names."""
    own = [source.media.path] if source.media else []
    return [*own, *(path for path, _ in source.files)]


def identity(source: Source) -> list[Any]:
    """Return a text that identifies the connected pictures, so that other pictures get another folder.

    No folder is part of it: a project that was moved keeps its results.
    """
    media = source.media
    if media is None:
        return ["graph", source.print_]
    found = sequence(media.path) if media.kind == "sequence" else None
    name = os.path.basename(media.path) if found is None else found.head + "#" + found.tail
    return [
        media.kind,
        name,
        _SPACES.get(media.space, media.space),
        media.frames and media.frames.shift(),
        bool(media.doubt),
        source.print_,
    ]


def moving(sources: Iterable[Source], first: int, last: int) -> tuple[int, int]:
    """Return the part of first..last in which anything changes; beyond, the ends are held.

    A plate of 100 frames in a scene of 250 has 100 frames to matte.
    """
    spans = []
    for source in sources:
        if is_still(source):
            continue
        span = source.media.frames.moving() if source.media and source.media.frames else None
        if span is None:
            return first, last
        spans.append(span)
    if not spans:
        return first, last
    begin = max(first, min(span[0] for span in spans))
    end = min(last, max(span[1] for span in spans))
    return (begin, end) if begin <= end else (first, last)


def _unlike(name: str, media: Media) -> str:
    if name in MASKS:
        # A file says nothing of which of its channels, and in which light, the artist means.
        return "it is a mask: what the compositor sees counts"
    if media.kind == "movie":
        # Measured: the edges of colours in a 4:2:0 movie are up to 0.1 apart between two decoders.
        return "it is a movie: what Blender's decoder makes of it counts"
    if not media.path.lower().endswith(READ):
        return "its kind of file is left to Blender"
    return ""


def _files(media: Media, first: int, last: int) -> dict[int, str]:
    found: Sequence | None = sequence(media.path) if media.kind == "sequence" else None
    if found is None or media.frames is None:
        return dict.fromkeys(range(first, last + 1), media.path)
    return {n: found.path(media.frames.number(n)) for n in range(first, last + 1)}


def _signed(path: str) -> tuple[int, int] | None:
    try:
        return _sign(os.stat(path))
    except OSError:
        return None


def _sign(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_size, found.st_mtime_ns)
