# SPDX-License-Identifier: Apache-2.0
"""Clip: everything that the rest of the library may ask a clip. Nothing is found by guessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matte_nodes.media.image import Image, Window
    from matte_nodes.media.stat_cache import StatCache

Missing = Literal["error", "hold", "skip"]


class FilePart(NamedTuple):
    """Where a frame is read from."""

    path: Path
    """The file."""
    part: str = ""
    """Which part of it: the layer of a picture, `frame 12` of a movie, "" for the whole file."""


@runtime_checkable
class ClipSource(Protocol):
    """Something that can be connected to a node's input: a clip, or a shot."""

    def as_hint(self, name: str) -> Clip:
        """The clip that the input `name` ("plate", "trimap", ...) is given."""


class Clip(Protocol):
    """Frames of one size by number, in plate space; the node and the renderer read from it.

    To write a clip of your own, derive from `ClipBase`, which has what clips seldom need.
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
    def canvas(self) -> Window:
        """The union of the display window and every frame's data window."""
        ...

    @property
    def display_window(self) -> Window:
        """The visible picture, the same for all frames."""
        ...

    @property
    def taken(self) -> str:
        """What is read, in words: "C of beauty.####.exr"."""
        ...

    @property
    def others(self) -> tuple[str, ...]:
        """What else could be meant, by the names that choose it (`layer`)."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the files leave open, and how it was taken; a sentence each."""
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
        """What the clip says of its colours; "" when it says nothing."""
        ...

    def read(self, frame: int) -> Image:
        """One frame. Thread-safe. MissingFrameError or MediaError name the frame and the file."""
        ...

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """A cheap identity of the frame's content: another stamp means other pixels.

        look: stamps that share one ask the disk for each file once.
        """
        ...

    @property
    def is_constant(self) -> bool:
        """Whether a frame's pixels stay the same while the clip is open, so that nobody looks."""
        ...

    def files(self) -> Mapping[int, Path]:
        """Every file that the clip is read from, by frame (a movie's by its first frame)."""
        ...

    def file_part(self, frame: int) -> FilePart | None:
        """The file that a frame is read from; None for a clip that is not read from files.

        Raises MissingFrameError where the frame has no file.
        """
        ...

    def as_hint(self, name: str) -> Clip:
        """The clip that a node's input is given in place of this one: itself, for most."""
        ...

    def close(self) -> None:
        """Give files and decoders back; reading afterwards is an error or opens them anew."""


class ClipBase:
    """The part of `Clip` that is the same for most clips: still, even in time, without files."""

    name: str
    is_movie = False
    is_constant = False
    time_base: Fraction | None = None
    field_order = 0

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
