# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the file or movie frame that Blender shows at a scene frame (measured on 3.4.1 and 5.0.1)."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)\Z", re.DOTALL)


class ImageFrames(NamedTuple):
    """The numbers on an Image node: frames, start frame, offset, cyclic."""

    length: int
    start: int
    offset: int
    cyclic: bool = False

    def number(self, frame: int) -> int:
        """Return the file's number, or the movie's frame counted from 1, at a frame of the scene.

        Before its start the node asks for the file before its first one.
        """
        place = frame - self.start + 1
        if self.cyclic and self.length:
            place = place % self.length or self.length
        else:
            place = min(max(place, 0), self.length)
        return place + self.offset

    def shift(self) -> list[int]:
        """Return the numbers that decide which file is shown when. The length only if cyclic."""
        how = [self.start, self.offset]
        return [*how, self.length] if self.cyclic else how

    def moving(self) -> tuple[int, int] | None:
        """First and last scene frame between which the picture changes; None when without end."""
        if self.cyclic:
            return None
        return self.start, self.start + max(self.length, 1) - 1


class ClipFrames(NamedTuple):
    """The numbers on a movie clip: start frame, offset, the number in its path (1 for movies).

    length: as Blender counts, a sequence from its offset on, a movie from its beginning.
    """

    length: int
    start: int
    offset: int
    first: int = 1
    movie: bool = False

    def number(self, frame: int) -> int:
        """Return the file's number, or the movie's frame counted from 1.

        There is nothing outside.
        """
        return self.first + frame - self.start + self.offset

    def shift(self) -> list[int]:
        """Return the numbers that decide which file is shown when. The length is not among them."""
        return [self.start, self.offset, self.first]

    def moving(self) -> tuple[int, int] | None:
        """First and last scene frame that the clip has."""
        length = self.length - self.offset if self.movie else self.length
        return self.start, self.start + max(length, 1) - 1


class Sequence(NamedTuple):
    """The names of a numbered sequence: the last number of the name, before its ending, counts."""

    folder: str
    head: str
    digits: int
    tail: str
    number: int

    def path(self, number: int) -> str:
        """Return the file with this number, as Blender looks for it."""
        name = f"{self.head}{max(number, 0):0{self.digits}d}{self.tail}"
        return os.path.join(self.folder, name)

    @property
    def pattern(self) -> str | None:
        """With # for the digits; None where the name itself holds signs that mean a number."""
        if re.search(r"[#@%]", self.head + self.tail):
            return None
        return os.path.join(self.folder, f"{self.head}{'#' * self.digits}{self.tail}")

    def there(self) -> dict[int, os.stat_result]:
        """Size and times of the files that exist, by number."""
        found = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    number = self._number(entry.name)
                    if number is not None:
                        found[number] = entry.stat()
        except OSError:
            pass
        return found

    def _number(self, name: str) -> int | None:
        if not (name.startswith(self.head) and name.endswith(self.tail)):
            return None
        text = name[len(self.head) : len(name) - len(self.tail)]
        if not text.isdigit() or len(text) < self.digits:
            return None
        return int(text) if len(text) == self.digits or text[0] != "0" else None


def sequence(path: str) -> Sequence | None:
    """Return the sequence that a file belongs to; None when its name has no number."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    found = _LAST_NUMBER.match(stem)
    if found is None:
        return None
    head, digits, tail = found.groups()
    return Sequence(folder, head, len(digits), tail + ending, int(digits))
