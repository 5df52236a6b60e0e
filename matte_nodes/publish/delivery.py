# SPDX-License-Identifier: Apache-2.0
"""A delivery: the frames in a folder, the plate they were made from, and what a look at them says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from matte_nodes.errors import MatteError, MediaError
from matte_nodes.media.clip import STILLS
from matte_nodes.media.pattern import Pattern, group, is_temporary, list_folder
from matte_nodes.publish.measures import Measured, Measurer
from matte_nodes.publish.picture import Picture, read_matte
from matte_nodes.shot.bind import BoundHint, as_clip, guessed
from matte_nodes.shot.overlap import overlapped

if TYPE_CHECKING:
    from matte_nodes.media.clip import Clip
    from matte_nodes.media.image import Image

Use = Literal["commercial", "non-commercial"]


@dataclass(frozen=True)
class Frame:
    """One frame: its header as a Picture without pixels, its numbers, its plate without pixels;
    or why it cannot be read."""

    number: int
    path: Path
    trouble: str = ""
    picture: Picture | None = None
    measured: Measured | None = None
    plate: Image | None = None


class Delivery:
    """Frames to be handed over.

    folder: a folder with one sequence, or its pattern. plate, trimap: clips as `matte run` takes
    them, or None. frames: first and last that there should be; None: the plate's, or what lies
    there. colorspace: the plate's, None as the files say. output_colorspace: what was ordered,
    None for the plate's own or its linear counterpart. use: what the result is for.
    may_be_empty: frames without a subject are right. Raises MediaError when nothing is there.
    """

    def __init__(
        self,
        folder: str,
        *,
        plate: str | None = None,
        trimap: str | None = None,
        hint_keys: str = "exact",
        frames: tuple[int | None, int | None] = (None, None),
        colorspace: str | None = None,
        output_colorspace: str | None = None,
        use: Use = "commercial",
        may_be_empty: bool = False,
    ) -> None:
        self.pattern, self.files = _sequence(folder)
        self.use, self.may_be_empty = use, may_be_empty
        self.plate: Clip | None = None if plate is None else as_clip(plate, "plate")
        self.trimap: BoundHint | None = None
        if trimap is not None:
            if self.plate is None:
                raise MediaError("A trimap is checked on the plate's frames: give the plate too.")
            self.trimap = BoundHint("trimap", trimap, self.plate, hint_keys)
        self._colorspace, self._ordered = colorspace, output_colorspace
        self.expected = self._expected(*frames)

    def _expected(self, first: int | None, last: int | None) -> Sequence[int]:
        there = self.plate.frames if self.plate is not None else list(self.files)
        low = first if first is not None else there[0]
        high = last if last is not None else there[-1]
        if self.plate is not None:
            return [number for number in there if low <= number <= high]
        return range(low, high + 1)

    @property
    def folder(self) -> Path:
        """Where the frames lie."""
        return self.pattern.folder

    @cached_property
    def color(self) -> Any:
        """Transforms of the plate (PlateColor), None without a plate or for one nobody can name."""
        from matte_nodes.color import PlateColor

        if self.plate is None:
            return None
        return PlateColor(self._colorspace or guessed(self.plate), output=self._ordered)

    def look(self, said: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Read every frame once; `said` is told how many are done."""
        self._frames = list(self._read(said))

    @property
    def frames(self) -> Sequence[Frame]:
        """The frames that are there and expected, in order; read now if they were not yet."""
        if not hasattr(self, "_frames"):
            self.look()
        return self._frames

    @property
    def readable(self) -> Sequence[tuple[Frame, Picture, Measured]]:
        """Frames with what was read of them."""
        return [
            (frame, frame.picture, frame.measured)
            for frame in self.frames
            if frame.picture is not None and frame.measured is not None
        ]

    def _read(self, said: Callable[[int, int], None]) -> Iterator[Frame]:
        """Files are read ahead while frames are measured, which needs their order."""
        measurer = Measurer(self)
        expected = set(self.expected)
        todo = [number for number in self.files if number in expected]

        def measured(number: int, read: Picture | str) -> Frame:
            return self._frame(number, read, measurer)

        for count, (_, frame) in enumerate(
            overlapped(todo, self._opened, measured, lambda number, frame: frame), 1
        ):
            yield frame
            said(count, len(todo))

    def _opened(self, number: int) -> Picture | str:
        try:
            return read_matte(self.files[number])
        except MatteError as error:
            return str(error)

    def _frame(self, number: int, read: Picture | str, measurer: Measurer) -> Frame:
        path = self.files[number]
        if isinstance(read, str):
            measurer.gap()
            return Frame(number, path, trouble=read)
        plate = None
        if self.plate is not None and number in self.plate.frames:
            plate = self.plate.read(number)
        measured = measurer.of(number, read, plate)
        return Frame(
            number, path, picture=read.without_pixels(), measured=measured,
            plate=None if plate is None else replace(plate, pixels=plate.pixels[:0].copy()),
        )  # fmt: skip


OPTIONS = tuple(signature(Delivery).parameters)[1:]
"""Names of all that can be said of a delivery besides its folder."""


def _sequence(folder: str) -> tuple[Pattern, Mapping[int, Path]]:
    path = Path(os.path.abspath(folder))
    if not path.is_dir():
        pattern = Pattern.parse(path)
        if pattern is None:
            raise MediaError(f"{folder}: there is no such folder, and it is no pattern of frames.")
        files = pattern.find()
        if not files:
            raise MediaError(f"{folder}: no file matches.")
        return pattern, files
    names = [n for n in list_folder(path) if not n.startswith(".") and not is_temporary(n)]
    sequences = group(path, [n for n in names if Path(n).suffix.lower() in STILLS])
    if len(sequences) != 1:
        found = ", ".join(str(pattern) for pattern in sequences) or "none"
        raise MediaError(f"{folder}: a delivery is one sequence; there is {found}. Name one.")
    return next(iter(sequences.items()))
