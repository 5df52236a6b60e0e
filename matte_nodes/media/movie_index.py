# SPDX-License-Identifier: Apache-2.0
"""Which frames a movie shows, by number: made once from its packets, nothing is decoded."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av

from matte_nodes.errors import MediaError


@dataclass(frozen=True)
class MovieIndex:
    """pts: presentation times in units of time_base, ascending; frame n is pts[n - 1].

    keys: presentation times of the frames that decoding can start from, ascending.
    """

    pts: tuple[int, ...]
    keys: tuple[int, ...]

    def key_before(self, pts: int, back: int = 0) -> int | None:
        """The last key frame shown at or before a time, or the one `back` further back."""
        at = bisect.bisect_right(self.keys, pts) - 1 - back
        return self.keys[at] if at >= 0 else None

    def between(self, start: int, end: int) -> int:
        """How many frames are shown from one time up to another; 0 when the end is earlier."""
        return max(bisect.bisect_left(self.pts, end) - bisect.bisect_left(self.pts, start), 0)

    def starting_at(self, first: int) -> MovieIndex:
        """The index without frames shown before a time: they refer to what is not in the file."""
        return MovieIndex(self.pts[bisect.bisect_left(self.pts, first) :], self.keys)


def build_index(container: Any, stream: Any, name: str) -> MovieIndex:
    """Read all packets of a stream (1 GB a second from the disk's cache, no decoding).

    Packets that an edit list hides are not counted. Raises MediaError when there are none, when
    they carry no times (a raw stream outside a container), or when the file ends early.
    """
    shown: set[int] = set()
    keys: set[int] = set()
    packets = end = 0
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            packets += 1
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                raise MediaError(
                    f"{name}: its frames carry no times; put the stream into a container "
                    "(mov, mp4, mkv) first"
                )
            if packet.is_keyframe:
                keys.add(pts)
            if not packet.is_discard:
                shown.add(pts)
                end = max(end, pts + (packet.duration or 0))
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{name}: the movie is damaged or not whole after {packets} frames ({error})"
        ) from error
    slots = _slots(shown) if container.format.name == "avi" else packets
    if stream.frames and slots < stream.frames:
        raise MediaError(
            f"{name}: the movie is not whole: {slots} of its {stream.frames} frames are there"
        )
    if not shown or not keys:
        raise MediaError(f"{name}: the movie holds no frames")
    said, found = _said_duration(container, stream), end * stream.time_base
    if said and said - found > 2 / (stream.average_rate or 1):
        raise MediaError(
            f"{name}: the movie is not whole: it ends after {float(found):.2f} of its "
            f"{float(said):.2f} seconds"
        )
    return MovieIndex(tuple(sorted(shown)), tuple(sorted(keys)))


def _slots(shown: set[int]) -> int:
    """How many frames an AVI counts: a repeated one is an empty chunk, which no packet comes for.

    Repeats of the last frame are not seen: as many are allowed for as are anywhere between two.
    """
    times = sorted(shown)
    gap = max((b - a for a, b in pairwise(times)), default=1)
    return times[-1] + gap if times else 0


def _said_duration(container: Any, stream: Any) -> Fraction | None:
    """The seconds that a Matroska file says its picture lasts; it holds no count of frames."""
    if "matroska" not in container.format.name:
        return None
    text = next((v for k, v in stream.metadata.items() if k.upper() == "DURATION"), "")
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    if match:
        hours, minutes, seconds = match.groups()
        return Fraction(seconds) + 60 * int(minutes) + 3600 * int(hours)
    if len(container.streams) == 1 and container.duration:
        return Fraction(container.duration, 1_000_000)
    return None
