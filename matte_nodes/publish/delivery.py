# SPDX-License-Identifier: Apache-2.0
"""A delivery: the frames in a folder, the plate they were made from, and their measurements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from matte_nodes.color import PlateColor
from matte_nodes.errors import MatteError, MediaError
from matte_nodes.media.clip import STILLS
from matte_nodes.media.pattern import Pattern, group, list_folder
from matte_nodes.publish.measures import Measured, Measurer
from matte_nodes.publish.picture import DeliveredPicture, read_matte
from matte_nodes.shot.bind import BoundHint, as_clip, guessed
from matte_nodes.shot.overlap import overlapped
from matte_nodes.whole_files import is_temporary

if TYPE_CHECKING:
    from matte_nodes.media.clip import Clip
    from matte_nodes.media.image import Image

Use = Literal["commercial", "non-commercial"]


@dataclass(frozen=True)
class DeliveredFrame:
    """One frame of a delivery: its header and measurements, or the reason why it cannot be read."""

    number: int
    """Frame number in the delivery."""
    path: Path
    """The delivered file."""
    trouble: str = ""
    """Why the frame cannot be read; "" for a readable frame."""
    picture: DeliveredPicture | None = None
    """The file's header, without pixels."""
    measured: Measured | None = None
    """Measurements of the pixels."""
    plate: Image | None = None
    """The plate of this frame, without pixels."""


class Delivery:
    """Frames that are to be handed over.

    folder: a folder that holds one sequence, or its pattern. plate, trimap: clips as `matte run`
    takes them, or None. frames: first and last expected frame; None means the range of the plate,
    or of the files. colorspace: the plate's colour space; None reads it from the files.
    output_colorspace: the space that was ordered; None is the plate's own space or its linear
    counterpart. use: "commercial" or "non-commercial". may_be_empty: frames without a subject are
    correct. Raises MediaError when there are no files.
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
                raise MediaError(
                    "A trimap is checked on the frames of the plate. Give the plate too."
                )
            self.trimap = BoundHint("trimap", trimap, self.plate, hint_keys)
        self._colorspace, self._ordered = colorspace, output_colorspace
        self.expected = self._expected(*frames)
        self._frames: list[DeliveredFrame] | None = None

    def _expected(self, first: int | None, last: int | None) -> Sequence[int]:
        there = self.plate.frames if self.plate is not None else list(self.files)
        low = first if first is not None else there[0]
        high = last if last is not None else there[-1]
        if self.plate is not None:
            return [number for number in there if low <= number <= high]
        return range(low, high + 1)

    @property
    def folder(self) -> Path:
        """The folder of the frames."""
        return self.pattern.folder

    @cached_property
    def color(self) -> PlateColor | None:
        """Colour transforms of the plate; None without a plate or without a known colour space."""
        if self.plate is None:
            return None
        return PlateColor(self._colorspace or guessed(self.plate), output=self._ordered)

    def look(self, said: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Read every frame once. said: called with the number of frames read so far."""
        self._frames = list(self._read(said))

    @property
    def frames(self) -> Sequence[DeliveredFrame]:
        """The existing frames of the expected range, in order. Reads them on first use."""
        if self._frames is None:
            self._frames = list(self._read(lambda done, total: None))
        return self._frames

    @property
    def readable(self) -> Sequence[tuple[DeliveredFrame, DeliveredPicture, Measured]]:
        """The frames that can be read, with their pictures."""
        return [
            (frame, frame.picture, frame.measured)
            for frame in self.frames
            if frame.picture is not None and frame.measured is not None
        ]

    def _read(self, said: Callable[[int, int], None]) -> Iterator[DeliveredFrame]:
        """Read files ahead in threads. Measuring needs the frames in order."""
        measurer = Measurer(self.plate, self.trimap, lambda: self.color)
        expected = set(self.expected)
        todo = [number for number in self.files if number in expected]

        def measured(number: int, read: DeliveredPicture | str) -> DeliveredFrame:
            return self._frame(number, read, measurer)

        for count, (_, frame) in enumerate(
            overlapped(todo, self._opened, measured, lambda number, frame: frame), 1
        ):
            yield frame
            said(count, len(todo))

    def _opened(self, number: int) -> DeliveredPicture | str:
        try:
            return read_matte(self.files[number])
        except MatteError as error:
            return str(error).rstrip(".")

    def _frame(
        self, number: int, read: DeliveredPicture | str, measurer: Measurer
    ) -> DeliveredFrame:
        path = self.files[number]
        if isinstance(read, str):
            measurer.gap()
            return DeliveredFrame(number, path, trouble=read)
        plate = None
        if self.plate is not None and number in self.plate.frames:
            plate = self.plate.read(number)
        measured = measurer.of(number, read, plate)
        return DeliveredFrame(
            number,
            path,
            picture=read.without_pixels(),
            measured=measured,
            plate=None if plate is None else replace(plate, pixels=plate.pixels[:0].copy()),
        )


OPTIONS = tuple(signature(Delivery).parameters)[1:]
"""Names of all that can be said of a delivery besides its folder."""


def _sequence(folder: str) -> tuple[Pattern, Mapping[int, Path]]:
    path = Path(os.path.abspath(folder))
    if not path.is_dir():
        pattern = Pattern.parse(path)
        if pattern is None:
            raise MediaError(
                f"{folder}: there is no such folder, and the name is not a pattern of frames. "
                "Check the path."
            )
        files = pattern.find()
        if not files:
            raise MediaError(f"{folder}: no file matches.")
        return pattern, files
    names = [n for n in list_folder(path) if not n.startswith(".") and not is_temporary(n)]
    sequences = group(path, [n for n in names if Path(n).suffix.lower() in STILLS])
    if len(sequences) != 1:
        found = ", ".join(str(pattern) for pattern in sequences) or "none"
        raise MediaError(
            f"{folder}: a delivery is one sequence, but the folder holds {found}. Name one of them."
        )
    return next(iter(sequences.items()))
