# SPDX-License-Identifier: Apache-2.0
"""Timeline: which frames of a clip a frame's matte depends on. Places count the frames from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matte_nodes.temporal.segments import Segments
    from matte_nodes.temporal.stat_cache import Look


@dataclass(frozen=True)
class Timeline:
    """The dependencies between the frames of one shot."""

    name: str
    """The plate's name, for messages."""
    frames: Sequence[int]
    """The plate's own numbering."""
    segments: Segments
    """The takes, and the place where a warm start begins."""
    has_memory: bool = False
    """Whether the model carries memory from each frame to the next."""
    offsets: tuple[int, ...] = ()
    """The neighbours that one step of the model sees, as frame offsets."""
    is_steadied: bool = False
    """Whether a frame's alpha is averaged with those of its two neighbours."""
    warm_up: int | None = None
    """Frames that a warm start steps before the first one; None for an exact start."""

    def start(self, place: int, look: Look) -> int:
        """Return the place of the first step that this frame's memory depends on.

        Itself without one.
        """
        return self.segments.start(place, look) if self.has_memory else place

    def neighbours(self, place: int, look: Look) -> list[int]:
        """Return the places of the neighbours that a step sees, clamped at the ends of the take."""
        return [self.segments.clamp(place, place + offset, look) for offset in self.offsets]

    def steadied_by(self, place: int, look: Look) -> list[int]:
        """Return the places whose predictions a frame is finished from.

        Itself, and those that steady it.
        """
        if not self.is_steadied:
            return [place]
        clamp = self.segments.clamp
        return sorted({clamp(place, place - 1, look), place, clamp(place, place + 1, look)})
