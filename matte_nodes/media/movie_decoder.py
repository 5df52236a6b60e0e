# SPDX-License-Identifier: Apache-2.0
"""Decodes frames of a movie stream by number. The order of requests never changes a pixel."""

from __future__ import annotations

import bisect
import os
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from matte_nodes.errors import MediaError
from matte_nodes.media import ffv1, limits
from matte_nodes.media.image import Rect
from matte_nodes.media.movie_index import build_index
from matte_nodes.reads import Sign

# Decoded frames that are kept, so that a model that looks a few frames around decodes each once.
_KEPT = 4

# Packets that may be read in vain before a search in the file is quicker.
_WORTH_A_SEEK = 16

# AV_PICTURE_TYPE_NONE and _I. Decoders that say nothing (CineForm) are no reason to doubt a container.
_UNSAID, _INTRA = 0, 1

# Decoders that return the alpha of a stream; FFmpeg's own ones for VP8 and VP9 leave it out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

# FFmpeg decoders that fill what is missing in a picture from those decoded before, also after they
# are emptied, and say nothing of it. Each run has a decoder of its own.
_REMEMBER = frozenset({"cfhd"})

# What a decoder of our own is told of the colours, as the container says it.
_COLOR_TAGS = ("color_range", "color_primaries", "color_trc", "colorspace")

# Packets that are looked at for checksums, from the first: a damaged one tells nothing.
_LOOKED_AT = 16


class _NotAKeyError(Exception):
    """A packet is marked as a key frame and is none."""


class _NotFreshError(Exception):
    """A run is damaged, and its decoder has decoded before: what it guesses may come from there."""


class Decoder:
    """A movie's picture stream: the one marked as default, else the first.

    A frame is decoded from its own key frame, always from there, by a decoder that knows nothing
    of what came before. So a damaged stream, whose decoder guesses what is missing, gives the same
    pixels in every order too: emptying a decoder leaves some of its state, so a run that turns out
    to be damaged is decoded again by one from a file that is opened anew. Ascending reads go on
    where they are and never search the file: packets between key frames are decoded once, a key
    frame twice where frames before it need it.
    """

    def __init__(self, name: str, path: Path, threads: int) -> None:
        self._name, self._threads = name, threads
        self._path = path.absolute()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._shown: Iterator[tuple[int, Any]] = iter(())
        self._run: tuple[int, int] | None = None
        self._number = 0
        self._packets: Iterator[Any] = iter(())
        self._place: int | None = 0
        self._ahead: list[tuple[int, Any]] = []
        self._is_used = self._is_fresh = self._is_suspect = False
        self._is_for_one_run = False
        self.others, self.which = 0, ""
        self.container: Any = None
        self.stream: Any = None
        self.opened: Sign | None = None
        """The state of the file that frames are numbered by."""
        self.open()
        self.index = build_index(self.container, self.stream, name, self._path, self._count_decoded)
        self._has_checksums = self._context.name == "ffv1" and self._finds_checksums()

    def open(self) -> None:
        """Open the file anew, at its beginning."""
        self.close()
        try:
            before = self._sign()
            self.container = av.open(str(self._path))
            self.opened = self.opened or before
            is_still = self.opened.is_still(before) and before == self._sign()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{self._name}: cannot be read as a movie ({error}).") from error
        if not is_still:
            raise MediaError(f"{self._name} was changed after it was opened. Connect it again.")
        streams = [s for s in self.container.streams.video if not _is_cover(s)]
        if not streams:
            raise MediaError(f"{self._name}: the file contains no video.")
        marked = [s for s in streams if s.disposition & Disposition.default]
        self.stream = marked[0] if len(marked) == 1 else streams[0]
        self.others = len(streams) - 1
        self.which = "the one marked as default" if len(marked) == 1 else "the first"
        if self.stream.codec_context is None:
            raise MediaError(
                f"{self._name}: no decoder knows its codec, or the file is damaged. Convert it, or "
                f"copy it again."
            )
        size = Rect(0, 0, self.stream.width or 1, self.stream.height or 1)
        limits.check_size(f"{self._name}: its picture", size)
        self._context = self._new_context()
        self._packets, self._place = self.container.demux(self.stream), 0
        self._is_used = self._is_suspect = False

    def _sign(self) -> Sign:
        path = os.path.abspath(self._path)
        return Sign.of(path, os.stat(path))

    def _new_context(self) -> Any:
        context: Any = self.stream.codec_context
        decoder, threads = _WITH_ALPHA.get(context.name), self._threads
        # By the container's own element; programs that also tag it spell the tag in capitals.
        notes = {key.lower(): text for key, text in self.stream.metadata.items()}
        if notes.get("alpha_mode") != "1":
            decoder = None
        self._is_for_one_run = context.name in _REMEMBER
        if self._is_for_one_run:
            decoder, threads = context.name, 1
        if decoder is not None:
            own: Any = av.CodecContext.create(decoder, "r")
            own.width, own.height = self.stream.width, self.stream.height
            if self._is_for_one_run:
                own.extradata = context.extradata
                for name in _COLOR_TAGS:
                    setattr(own, name, getattr(context, name))
            context = own
        context.thread_count = threads
        context.thread_type = "AUTO" if threads > 1 else "NONE"
        return context

    def first(self) -> Any:
        """Return the first frame that can be decoded. Raises MediaError when there is none."""
        frame = next(self._straight(), None)
        if frame is None:
            raise MediaError("no frame of the movie can be decoded.")
        return frame

    def _finds_checksums(self) -> bool:
        self.open()
        first = (packet for packet in self._packets if packet.size)
        return any(ffv1.is_whole(bytes(packet)) for packet in islice(first, _LOOKED_AT))

    def _count_decoded(self) -> int:
        return sum(1 for _ in self._straight())

    def _straight(self) -> Iterator[Any]:
        """Yield all frames from the beginning of the file."""
        self.open()
        try:
            for packet in self._packets:
                for frame in self._context.decode(packet):
                    if frame.pts is None:
                        frame.pts = frame.dts
                    yield frame
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"the movie is damaged ({error}).") from error
        finally:
            self._place = None

    def frame(self, number: int) -> Any:
        """Return the decoded frame of a number from 1.

        Raises MediaError when it cannot be decoded.
        """
        if number in self._kept:
            return self._kept[number]
        last, back = self._key_of(number), 0
        while True:
            first = max(last - back, -1)
            begins = self._run != (first, last) or self._number >= number
            if begins:
                self._begin(first, last)
            try:
                found = self._forward_to(number)
            except _NotFreshError:
                self._run, self._is_suspect = None, True
                continue
            except _NotAKeyError:
                # Some containers mark frames that nothing can be decoded from.
                self.index = self.index.without_key(first)
                self._run, last, back = None, self._key_of(number), 0
                continue
            if found is not None:
                self._keep(number, found)
                return found
            self._run, self._is_suspect = None, True
            if not (self._is_fresh and begins):
                continue
            if first < 0 or self.index.is_intra:
                raise MediaError("it cannot be decoded, the movie is damaged.")
            back = 2 * back + 1

    def _forward_to(self, number: int) -> Any:
        assert self._run is not None
        first = self._run[0]
        key = 0 if first < 0 else self.index.numbers[self.index.keys[first]]
        for here, decoded in self._shown:
            if here == key and not (decoded.key_frame or decoded.pict_type in (_UNSAID, _INTRA)):
                self._kept.pop(here, None)
                raise _NotAKeyError
            if here == number:  # a damaged run may show it late
                return decoded
        return None

    def _key_of(self, number: int) -> int:
        return 0 if self._is_one_run else self.index.key_of(number)

    @property
    def _is_one_run(self) -> bool:
        """Frames that do not refer to each other can be decoded beside each other."""
        return self.index.is_intra and self._threads > 1 and not self._is_for_one_run

    def close(self) -> None:
        """Close the file and forget decoded frames."""
        self._kept.clear()
        self._ahead.clear()
        self._shown, self._run, self._packets = iter(()), None, iter(())
        self._place = None
        if self.container is not None:
            self.container.close()
            self.container = None

    def _begin(self, first: int, last: int) -> None:
        if self.container is None or self._is_suspect:
            self._open_again()
        self._is_fresh, self._is_used = not self._is_used, True
        # Before anything is decoded: a search empties the decoder.
        self._go_to(next(self.index.run(first, last)))
        if self._is_for_one_run:
            self._context = self._new_context()
        else:
            self._context.flush_buffers()
        self._run, self._number = (first, last), 0
        self._shown = self._decode(first, last)

    def _decode(self, first: int, last: int) -> Iterator[tuple[int, Any]]:
        """Yield frames of a run with their numbers, in the order shown."""
        index = self.index
        end = len(index.keys) - 1 if self._is_one_run else last
        numbers: dict[int, list[int]] = {}
        try:
            for place in index.run(first, end):
                packet = self._packet(place)
                if self._has_checksums and not ffv1.is_whole(bytes(packet)):
                    if self._is_one_run:
                        continue
                    self._run = None
                    raise MediaError("its checksum is not right, the movie is damaged.")
                numbers.setdefault(index.times[place], []).append(index.numbers[place])
                yield from self._numbered(self._context.decode(packet), numbers, (first, last))
            yield from self._numbered(self._context.decode(None), numbers, (first, last))
        except (av.FFmpegError, OSError, ValueError, StopIteration) as error:
            self._suspect()
            self._run = None
            raise MediaError(f"the movie is damaged ({error}).") from error

    def _suspect(self) -> None:
        """Note that the run is damaged. Raises _NotFreshError when it must be decoded again."""
        self._is_suspect = True
        if not self._is_fresh:
            raise _NotFreshError

    def _leaves_out(self, number: int, last: int) -> bool:
        """Whether this run should have shown other frames since the one before this number."""
        key = self.index.numbers[self.index.keys[last]] if self.index.keys else 1
        between = range(max(self._number + 1, key), number)
        return any(self._key_of(n) == last for n in between)

    def _numbered(
        self, decoded: list[Any], numbers: dict[int, list[int]], run: tuple[int, int]
    ) -> Iterator[tuple[int, Any]]:
        """Frames with their numbers. Those that this run is the right one for are kept: another
        run may conceal what is damaged in another way."""
        for frame in decoded:
            if frame.pts is None:
                frame.pts = frame.dts
            waiting = [n for n in numbers.get(frame.pts, ()) if n > 0]
            if not waiting:
                continue
            numbers[frame.pts].remove(waiting[0])
            if frame.is_corrupt or self._leaves_out(waiting[0], run[1]):
                self._suspect()
            self._number = max(self._number, waiting[0])
            if run == (self._key_of(waiting[0]),) * 2:
                self._keep(waiting[0], frame)
            yield waiting[0], frame

    def _keep(self, number: int, frame: Any) -> None:
        self._kept[number] = frame
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _packet(self, place: int) -> Any:
        """Return the packet at a place.

        Those read last are kept, as the next run begins with them.
        """
        known = next((packet for at, packet in self._ahead if at == place), None)
        while known is None:
            at, packet = self._next()
            if at is None:
                continue
            if at > place:
                raise MediaError("its packets come in another order than before.")
            if at == place:
                known = packet
            self._remember(at, packet)
        return known

    def _go_to(self, place: int) -> None:
        """Make this packet the next or one that is kept; search the file where that is quicker."""
        kept = {at for at, _ in self._ahead}
        here = self._place
        if here is None or place - here > _WORTH_A_SEEK or not kept.issuperset(range(place, here)):
            self._search(place)

    def _remember(self, place: int, packet: Any) -> None:
        """Keep a key frame and its leading frames: a run ends behind them, the next begins there."""
        at = _last_at(self.index.keys, place)
        key = self.index.keys[at] if at >= 0 else 0
        self._ahead = [item for item in self._ahead if item[0] >= key]
        if place == key or place < self.index.leading(at).stop:
            self._ahead.append((place, packet))

    def _read_before(self, place: int) -> Any:
        return next((packet for at, packet in self._ahead if at == place), None)

    def _next(self) -> tuple[int | None, Any]:
        """Return the next packet of the file and its place; None while that is not known."""
        packet = next(self._packets)
        while not packet.size:  # the end: PyAV adds an empty one
            packet = next(self._packets)
        time = packet.pts if packet.pts is not None else packet.dts
        at = self.index.place_of(time, packet.size, self._place)
        self._place = None if at is None else at + 1
        return at, packet

    def _search(self, place: int) -> None:
        """Go to a place before or at this one, by the time of a key frame or to the beginning.

        Among packets of one time a search cannot tell where it landed. Some containers land behind
        the key frame that was asked for. In both cases an earlier one is asked for.
        """
        index, back = self.index, 1
        self._ahead.clear()
        at = _last_at(index.keys, place)
        while at >= 0:
            time = index.times[index.keys[at]]
            if len(index.of_time[time]) == 1:
                try:
                    self.container.seek(time, stream=self.stream)
                except (av.FFmpegError, OSError) as error:
                    raise MediaError(f"it cannot be searched ({error}).") from error
                self._packets, self._place = self.container.demux(self.stream), None
                found, packet = self._until_known(place)
                if found is not None and found <= place:
                    self._ahead.append((found, packet))
                    return
            at, back = at - back, back * 2
        # Transport streams cannot be searched to their beginning: the file is opened anew.
        run, shown = self._run, self._shown
        self._open_again()
        self._is_used = True
        self._run, self._shown = run, shown

    def _open_again(self) -> None:
        """Open the file anew; frames that are decoded stay."""
        kept = self._kept.copy()
        self.open()
        self._kept = kept

    def _until_known(self, place: int) -> tuple[int | None, Any]:
        for _ in range(_WORTH_A_SEEK):
            try:
                found, packet = self._next()
            except (StopIteration, av.FFmpegError):
                break
            if found is not None:
                return found, packet
        return None, None


def _last_at(keys: tuple[int, ...], place: int) -> int:
    return bisect.bisect_right(keys, place) - 1


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)
