# SPDX-License-Identifier: Apache-2.0
"""Clip: the whole interface of a clip. The rest of the library uses nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matte_nodes.media.image import Image, Rect
    from matte_nodes.media.stat_cache import StatCache
    from matte_nodes.reads import Sign

Missing = Literal["error", "hold", "skip"]


class FilePart(NamedTuple):
    """The file, and the part of it, from which a frame is read."""

    path: Path
    """The file."""
    part: str = ""
    """Which part of it: the layer of a picture, `frame 12` of a movie, "" for the whole file."""


@runtime_checkable
class ClipSource(Protocol):
    """Something that can be connected to a node's input: a clip, or a shot."""

    def as_hint(self, name: str) -> Clip:
        """Return the clip for the input `name` ("plate", "trimap", ...)."""


class Clip(Protocol):
    """Frames of one size, by number, in plate space. The node and the renderer read frames from it.

    To write your own clip, derive from `ClipBase`. It has defaults for what most clips share.
    """

    name: str
    """The pattern or path as the user gave it."""
    is_movie: bool
    """Whether the frames lie in one movie file."""

    @property
    def frames(self) -> Sequence[int]:
        """The clip's own numbering, ascending.

        A frame missing inside the range is listed for missing="error" and "hold", and left out
        for "skip".
        """
        ...

    @property
    def canvas(self) -> Rect:
        """The union of the display window and every frame's data window."""
        ...

    @property
    def display_window(self) -> Rect:
        """The visible picture, the same for all frames."""
        ...

    @property
    def taken(self) -> str:
        """The chosen channels and files in words: "C of beauty.####.exr"."""
        ...

    @property
    def others(self) -> tuple[str, ...]:
        """The names of other layers or channels that the user could choose instead."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence for each fact that the files do not state: how the clip interprets it."""
        ...

    @property
    def guesses(self) -> tuple[str, ...]:
        """The same for facts that many files of the kind leave open: not told of in every run."""
        ...

    @property
    def is_tagged(self) -> bool:
        """Whether `colorspace` is what the files say, and not what is usual for their kind."""
        ...

    @property
    def rate(self) -> Fraction | None:
        """Frames a second; None when unknown."""
        ...

    @property
    def time_base(self) -> Fraction | None:
        """The unit, in seconds, of frame times that are not evenly spaced; else None."""
        ...

    @property
    def field_order(self) -> int:
        """0 for whole frames; 2 to 5 where two fields make a frame, in FFmpeg's numbers."""
        ...

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height."""
        ...

    @property
    def colorspace(self) -> str:
        """The colour space that the clip's files state; "" when they state none."""
        ...

    def read(self, frame: int) -> Image:
        """Return one frame.

        Thread-safe. Raises MissingFrameError, MediaError; both name frame and file.
        """
        ...

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return a cheap fingerprint of the frame's content. Equal stamps mean equal pixels.

        look: calls that share it read each file's times only once.
        """
        ...

    @property
    def opened(self) -> Sign | None:
        """The state of the file that stays open, a movie's; None for a clip that opens each frame's
        file anew."""
        ...

    @property
    def is_constant(self) -> bool:
        """Whether a frame's pixels cannot change while the clip is open.

        Then nothing checks them.
        """
        ...

    def files(self) -> Mapping[int, Path]:
        """Return all files of the clip by frame number (a movie's file by its first frame)."""
        ...

    def file_part(self, frame: int) -> FilePart | None:
        """Return the file of a frame; None for a clip that has no files.

        Raises MissingFrameError where the frame has no file.
        """
        ...

    def as_hint(self, name: str) -> Clip:
        """Return the clip that a node uses for its input `name`. Most clips return themselves."""
        ...

    def close(self) -> None:
        """Close files and decoders. A later read raises an error or opens them again."""


class ClipBase:
    """Defaults that fit most clips: evenly spaced frames, no files, nothing assumed."""

    name: str
    is_movie = False
    is_constant = False
    opened: Sign | None = None
    time_base: Fraction | None = None
    field_order = 0
    guesses: tuple[str, ...] = ()
    is_tagged = True

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Nothing is left open."""
        return ()

    @property
    def others(self) -> tuple[str, ...]:
        """Nothing else."""
        return ()

    @property
    def taken(self) -> str:
        """The clip's name."""
        return self.name

    def files(self) -> Mapping[int, Path]:
        """No files."""
        return {}

    def file_part(self, frame: int) -> FilePart | None:
        """No file."""
        return None

    def as_hint(self: Clip, name: str) -> Clip:
        """Itself."""
        return self
