# SPDX-License-Identifier: Apache-2.0
"""An index of a movie's frames by number. It is built once from the packets, without decoding."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import av

from matte_nodes.errors import MediaError

# Codecs that may store the two fields of a frame in packets of their own.
_FIELD_CODECS = {"h264", "mpeg2video", "vc1"}


@dataclass(frozen=True)
class MovieIndex:
    """The packets of a stream in file order, and the frames that are decoded from them."""

    times: tuple[int, ...]
    """When the frame of each packet is shown, in units of the stream's time base."""
    keys: tuple[int, ...]
    """Places of the packets that decoding can start from, ascending; places count from 0."""
    numbers: tuple[int, ...]
    """The number of each packet's frame, from 1 in the order shown; 0 for a hidden one."""
    sizes: tuple[int, ...]
    """Bytes of each packet. After a search some containers begin inside of one."""

    @staticmethod
    def of(packets: Sequence[tuple[int, bool, bool, int]], *, fields: bool = False) -> MovieIndex:
        """Return the index of packets (time, is a key frame, is shown, bytes) in the order of the file.

        fields: packets of one time are the fields of one frame; otherwise they are frames of their
        own, shown in the order of the file.
        """
        times = tuple(packet[0] for packet in packets)
        keys = tuple(place for place, packet in enumerate(packets) if packet[1])
        shown = sorted((packets[n][0], n) for n in range(len(packets)) if packets[n][2])
        numbers = [0] * len(packets)
        count, last = 0, None
        for time, place in shown:
            count += not (fields and time == last)
            numbers[place], last = count, time
        return MovieIndex(times, keys, tuple(numbers), tuple(packet[3] for packet in packets))

    @cached_property
    def pts(self) -> tuple[int, ...]:
        """When each frame is shown; frame n is pts[n - 1]."""
        found = {n: time for n, time in zip(self.numbers, self.times, strict=True) if n > 0}
        return tuple(found[n] for n in sorted(found))

    @cached_property
    def places(self) -> dict[int, int]:
        """The place of each frame's first packet."""
        return {n: p for p, n in reversed(list(enumerate(self.numbers))) if n > 0}

    @cached_property
    def of_time(self) -> dict[int, list[int]]:
        """The places of all packets of a time."""
        found: dict[int, list[int]] = {}
        for place, time in enumerate(self.times):
            found.setdefault(time, []).append(place)
        return found

    def place_of(self, time: int, size: int, guess: int | None) -> int | None:
        """Return the index of a packet that was read; None when no packet or several match."""
        if (
            guess is not None
            and guess < len(self.times)
            and (self.times[guess], self.sizes[guess]) == (time, size)
        ):
            return guess
        places = self.of_time.get(time, [])
        return places[0] if len(places) == 1 and self.sizes[places[0]] == size else None

    @property
    def has_equal(self) -> bool:
        """Whether two packets have the same time."""
        return len(self.of_time) < len(self.times)

    @property
    def is_intra(self) -> bool:
        """Whether every packet is a key frame."""
        return len(self.keys) == len(self.times)

    def key_of(self, number: int) -> int:
        """Return the key frame (an index of `keys`) for decoding a frame; -1 when there is none."""
        place = self.places[number]
        at = bisect.bisect_right(self.keys, place) - 1
        if at >= 0 and self.times[place] < self.times[self.keys[at]]:
            at -= 1  # shown before the key frame: it refers to frames before that
        return at

    def run(self, first: int, last: int) -> Iterator[int]:
        """Yield places of the packets to decode from key frame `first` for the frames of `last`.

        Frames that are shown before the first key frame are left out: they cannot be decoded. The
        key frame after the last is decoded too where frames of the last refer to it.
        """
        start = self.keys[first] if first >= 0 else 0
        end = self.keys[last + 1] if last + 1 < len(self.keys) else len(self.times)
        leading = self.leading(last + 1)
        for place in range(start, end + (1 + len(leading) if leading else 0)):
            if place in self.leading(first):
                continue
            yield place

    def leading(self, key: int) -> range:
        """Return places of the packets behind a key frame whose frames are shown before it."""
        if not 0 <= key < len(self.keys):
            return range(0)
        start = end = self.keys[key] + 1
        while end < len(self.times) and self.times[end] < self.times[start - 1]:
            end += 1
        return range(start, end)

    def without_key(self, key: int) -> MovieIndex:
        """Return the index without one of its key frames (an index of `keys`)."""
        return replace(self, keys=self.keys[:key] + self.keys[key + 1 :])

    def starting_at(self, first: int) -> MovieIndex:
        """Return the index without frames shown before a time: they need frames that the file lacks."""
        dropped = bisect.bisect_left(self.pts, first)
        return replace(self, numbers=tuple(max(n - dropped, 0) for n in self.numbers))


def build_index(
    container: Any, stream: Any, name: str, path: Path, count_decoded: Callable[[], int]
) -> MovieIndex:
    """Read all packets of a stream (1 GB a second from the disk's cache, nothing is decoded).

    Packets that an edit list hides are not counted. count_decoded: decodes all and counts frames;
    asked where packets may be fields. Raises MediaError when there are none, when they carry no
    times (a raw stream outside a container), or when the file ends early.
    """
    packets: list[tuple[int, bool, bool, int]] = []
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                raise MediaError(
                    f"{name}: its frames carry no times; put the stream into a container "
                    "(mov, mp4, mkv) first."
                )
            packets.append((pts, packet.is_keyframe, not packet.is_discard, packet.size))
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{name}: the movie is damaged or not whole after {len(packets)} frames ({error})."
        ) from error
    index = MovieIndex.of(packets)
    if not index.pts or not index.keys:
        raise MediaError(f"{name}: the movie holds no frames.")
    _check_whole((container, stream), name, path, list(index.pts), len(packets))
    if index.has_equal and stream.codec_context.name in _FIELD_CODECS:
        fields = count_decoded() < len(index.pts)
        index = MovieIndex.of(packets, fields=fields)
    return index


def _check_whole(
    source: tuple[Any, Any], name: str, path: Path, shown: list[int], packets: int
) -> None:
    """Raise MediaError when the file ends before its own tables say.

    Durations are not asked: programs that cut without encoding leave the old ones.
    """
    container, stream = source
    form = container.format.name
    slots = _slots(shown) if form == "avi" else packets
    if stream.frames and slots < stream.frames and form.startswith("mov"):
        slots = _without_edits(path, stream.index)
    if stream.frames and slots < stream.frames:
        raise MediaError(
            f"{name}: the movie is not whole: {slots} of its {stream.frames} frames are there."
        )
    if "matroska" in form:
        end, size = _matroska_end(path), path.stat().st_size
        if end is not None and end > size:
            raise MediaError(
                f"{name}: the movie is not whole: {size} of its {end} bytes are there."
            )


def _without_edits(path: Path, index: int) -> int:
    """Return how many frames a QuickTime file holds, those outside its edit list too."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return sum(1 for packet in container.demux(container.streams[index]) if packet.size)


def _slots(shown: list[int]) -> int:
    """Return how many frames an AVI counts: a repeated one is an empty chunk, which no packet comes for.

    Repeats of the last frame are not seen: as many are allowed for as are anywhere between two.
    """
    times = sorted(shown)
    gap = max((b - a for a, b in pairwise(times)), default=1)
    return times[-1] + gap if times else 0


def _matroska_end(path: Path) -> int | None:
    """Return where a Matroska file says that its segment ends, in bytes.

    None when it does not say.
    """
    with path.open("rb") as file:
        for wanted in (0x1A45DFA3, 0x18538067):  # EBML header, Segment (RFC 8794, RFC 9559)
            found, size = _element(file)
            if found != wanted or size is None:
                return None
            if wanted == 0x18538067:
                return file.tell() + size
            file.seek(size, 1)
    return None


def _element(file: BinaryIO) -> tuple[int, int | None]:
    """Return the id and the size of an EBML element; a size of ones alone is unknown (None)."""
    found, _ = _variable(file, keep_marker=True)
    size, bits = _variable(file, keep_marker=False)
    return found, None if size == (1 << bits) - 1 else size


def _variable(file: BinaryIO, *, keep_marker: bool) -> tuple[int, int]:
    """Return an EBML integer of variable length and its number of bits."""
    start = file.read(1)
    if not start or not start[0]:
        return 0, 0
    length = 9 - start[0].bit_length()
    number = int.from_bytes(start + file.read(length - 1), "big")
    bits = 7 * length
    return (number if keep_marker else number & ((1 << bits) - 1)), bits
