# SPDX-License-Identifier: Apache-2.0
"""Segments: where a shot's memory restarts: at its first frame, at cuts, or at a warm start."""

from __future__ import annotations

import bisect
from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from matte_nodes.temporal.stat_cache import Look


class CutFinder(Protocol):
    """Says whether a new take begins at a place of the clip."""

    def is_cut(self, place: int, look: Look) -> bool: ...


class Segments:
    """The takes of a clip, and the place where a warm-started shot begins.

    Places count the clip's frames from 0. cuts: first frames of new takes, by frame number, or a
    finder. warm: the place where a warm start begins to step (0: none).
    """

    def __init__(
        self, frames: Sequence[int], cuts: Iterable[int] | CutFinder = (), warm: int = 0
    ) -> None:
        self._count, self._warm = len(frames), warm
        self._finder: CutFinder | None = None
        self._cuts: list[int] = []
        if isinstance(cuts, Iterable):
            places = {number: place for place, number in enumerate(frames)}
            for number in sorted(set(cuts)):
                if number not in places:
                    raise UsageError(
                        f"Frame {number} cannot be a cut: the clip has only "
                        f"{frames[0]}-{frames[-1]}. A cut is the first frame of a new take."
                    )
                self._cuts.append(places[number])
        else:
            self._finder = cuts

    def is_cut(self, place: int, look: Look) -> bool:
        """Whether a new take begins here; never at the clip's first frame."""
        if place <= 0 or place >= self._count:
            return False
        if self._finder is not None:
            return self._finder.is_cut(place, look)
        at = bisect.bisect_left(self._cuts, place)
        return at < len(self._cuts) and self._cuts[at] == place

    def start(self, place: int, look: Look) -> int:
        """Return where the memory of this place starts: its take's first frame, or the warm start."""
        low = self._warm if place >= self._warm else 0
        if self._finder is None:
            at = bisect.bisect_right(self._cuts, place)
            return max(low, self._cuts[at - 1] if at else 0)
        while place > low and not self._finder.is_cut(place, look):
            place -= 1
        return place

    def is_exact(self, start: int, look: Look) -> bool:
        """Whether memory that starts here is that of a straight render."""
        return start == 0 or self.is_cut(start, look)

    def clamp(self, place: int, wanted: int, look: Look) -> int:
        """Return the place nearest to the wanted one that lies in the same take."""
        wanted = min(max(wanted, 0), self._count - 1)
        while place < wanted and not self.is_cut(place + 1, look):
            place += 1
        while place > wanted and not self.is_cut(place, look):
            place -= 1
        return place

    def found(self, places: Container[int], look: Look) -> list[int]:
        """Return the cuts among these places."""
        return [
            place for place in range(self._count) if place in places and self.is_cut(place, look)
        ]
