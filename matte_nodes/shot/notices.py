# SPDX-License-Identifier: Apache-2.0
"""What does not fit in the frames of a shot: told once for each kind, counted for all frames."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable

from matte_nodes.frame_range import spelled
from matte_nodes.media.as_array import InputWarning
from matte_nodes.node.frame import Complaint


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, 4)


class Notices:
    """Complaints about a shot's frames. `say` is called with the first one of each kind.

    clip: the name of the plate. It may be used from several threads.
    """

    def __init__(self, clip: str, say: Callable[[str], None] = _warn) -> None:
        self._clip, self.say = clip, say
        self._frames: dict[str, dict[int, str]] = {}
        self._lock = threading.Lock()

    def add(self, frame: int, complaints: Iterable[Complaint]) -> None:
        """Keep complaints about a frame."""
        for complaint in complaints:
            with self._lock:
                known = self._frames.setdefault(complaint.kind, {})
                is_first = not known
                known[frame] = complaint.text
            if is_first:
                self.say(f"Frame {frame} of {self._clip}: {complaint.text}")

    def of(self, frame: int) -> str:
        """All that was complained of about a frame; "" for nothing."""
        with self._lock:
            found = [known[frame] for known in self._frames.values() if frame in known]
        return "; ".join(found)

    def summary(self) -> list[str]:
        """One sentence for each kind that more than one frame has."""
        with self._lock:
            kinds = {kind: sorted(known) for kind, known in self._frames.items()}
        return [
            f"The {kind.removesuffix(' fit')} {'does not fit' if kind.endswith(' fit') else 'is odd'} "
            f"in {len(frames)} frames: {spelled(frames)}."
            for kind, frames in kinds.items()
            if len(frames) > 1
        ]
