# SPDX-License-Identifier: Apache-2.0
"""MovieClip: frame-exact random access to a movie, counted from 1, by PyAV."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media import movie_pixels
from matte_nodes.media.image import Image, Window
from matte_nodes.media.movie_index import build_index
from matte_nodes.media.protocol import ClipBase, FilePart
from matte_nodes.media.stat_cache import StatCache
from matte_nodes.media.timecode import Timecode

# Decoded frames that are kept, so that a model that looks a few frames around decodes each once.
_KEPT = 4

# Frames that may be decoded in vain before a search in the file is quicker.
_WORTH_A_SEEK = 4

# Where a movie says its pixel aspect when its container has no place that is kept (Matroska).
PIXEL_ASPECT = "matte/pixel_aspect"


class MovieClip(ClipBase):
    """A movie's first picture stream; frame n is the n-th frame that is shown.

    Reads in ascending order decode forward without seeking; any other read seeks to the key frame
    before it and decodes from there, so order never changes a pixel. Variable frame rates keep
    their times in `Image.time`. threads: of the decoder. Raises MediaError when the file is not a
    movie, holds no frames or is not whole; damage inside a frame that the decoder conceals, as
    players do, is not told by it and goes unseen.
    """

    is_movie = True

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self.name = name
        self._path = Path(name)
        self._threads = threads
        self._lock = threading.RLock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._container: Any = None
        self._decoding: Iterator[Any] = iter(())
        self._position: int | None = None
        try:
            self._open()
            self._index = build_index(self._container, self._stream, name)
            self._restart(None)
            try:
                first = next(self._frames(), None)
                if first is None:
                    raise MediaError("no frame of the movie can be decoded")
                self._index = self._index.starting_at(first.pts)
                self._keep(first)
                self._describe(first)
            except MediaError as error:
                raise MediaError(f"{name}: {error}") from error
        except MediaError:
            self.close()
            raise

    def _describe(self, first: Any) -> None:
        stream = self._stream
        self.frames: Sequence[int] = range(1, len(self._index.pts) + 1)
        rate = stream.average_rate or stream.guessed_rate
        self.rate: Fraction | None = Fraction(rate) if rate else None
        self.time_base = self._varying_time_base()
        self.codec: str = stream.codec_context.name
        turned = round(first.rotation / 90) % 2
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        self.canvas = self.display_window = Window(0, 0, width, height)
        notes = self._notes()
        aspect = float(stream.sample_aspect_ratio or 0) or _positive(notes.get(PIXEL_ASPECT))
        self.pixel_aspect = 1.0 / aspect if turned else aspect
        self.colorspace = movie_pixels.colorspace(first, self.codec)
        if not self.colorspace or int(first.color_trc) in (0, movie_pixels.UNSAID):
            self.colorspace = notes.get("matte/colorspace", self.colorspace)
        self.timecode = Timecode.parse(notes.get("timecode", ""), self.rate)

    def _notes(self) -> dict[str, str]:
        """Texts of the container and its streams (time code tracks too), by lower-case name."""
        notes: dict[str, str] = {}
        for part in (*reversed(list(self._container.streams)), self._container, self._stream):
            notes.update({key.lower(): text for key, text in part.metadata.items()})
        return notes

    def _varying_time_base(self) -> Fraction | None:
        """The unit of the frames' times when they are not evenly spaced, else None."""
        base, start = Fraction(self._stream.time_base), self._index.pts[0]
        if not self.rate:
            return base
        step = 1 / (self.rate * base)
        # One unit either way is rounding: Matroska counts in milliseconds.
        even = all(abs(pts - start - n * step) <= 1 for n, pts in enumerate(self._index.pts))
        return None if even else base

    def _open(self) -> None:
        try:
            self._container = av.open(str(self._path.absolute()))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{self.name}: cannot be read as a movie ({error})") from error
        streams = [s for s in self._container.streams.video if not _is_cover(s)]
        if not streams:
            raise MediaError(f"{self.name}: the file holds no moving picture")
        self._stream = streams[0]
        self._stream.codec_context.thread_count = self._threads
        self._stream.thread_type = "AUTO" if self._threads > 1 else "NONE"
        self._unit = Fraction(self._stream.time_base)

    def _restart(self, key: int | None) -> None:
        """Start decoding at a key frame, or (None) at the beginning of the file.

        The file is opened anew for that: transport streams cannot be searched to their beginning.
        """
        if key is None or self._container is None:
            self.close()
            self._open()
        if key is not None:
            try:
                self._container.seek(key, stream=self._stream)
            except (av.FFmpegError, OSError) as error:
                raise MediaError(f"it cannot be searched ({error})") from error
        self._decoding = self._container.decode(self._stream)
        self._position = None

    def _frames(self) -> Iterator[Any]:
        """Frames from here on, in the order shown."""
        try:
            for frame in self._decoding:
                if frame.pts is None:
                    frame.pts = frame.dts
                self._position = frame.pts
                yield frame
        except (av.FFmpegError, OSError) as error:
            self._position = None
            raise MediaError(f"the movie is damaged ({error})") from error

    def _keep(self, frame: Any) -> None:
        self._kept[frame.pts] = frame
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _decoded(self, frame: int) -> Any:
        """The decoded frame of this number."""
        pts = self._index.pts[frame - 1]
        with self._lock:
            if pts in self._kept:
                return self._kept[pts]
            key = self._index.key_before(pts)
            if not self._is_near(pts, key):
                self._restart(key)
            back = 1
            while True:
                found = self._forward_to(pts)
                if found is not None:
                    return found
                # Some containers land behind the key frame that was asked for: begin further back.
                if key is None:
                    raise MediaError("it cannot be decoded, the movie is damaged")
                key = self._index.key_before(pts, back)
                back *= 2
                self._restart(key)

    def _is_near(self, pts: int, key: int | None) -> bool:
        """True when decoding on from here is cheaper than going to the key frame."""
        here = self._position
        if here is None or here >= pts:
            return False
        return key is None or self._index.between(here, key) <= _WORTH_A_SEEK

    def _forward_to(self, pts: int) -> Any:
        for decoded in self._frames():
            self._keep(decoded)
            if decoded.pts == pts:
                return decoded
            if decoded.pts > pts:
                return None
        return None

    def read(self, frame: int) -> Image:
        """One frame: uint8 or uint16 RGB(A) or Y, full range, encoded as in the movie.

        Thread-safe. MissingFrameError outside the movie, MediaError naming the frame when it
        cannot be decoded.
        """
        if not 1 <= frame <= len(self.frames):
            raise MissingFrameError(
                f"{self.name}: there is no frame {frame} (the movie has 1 to {len(self.frames)})"
            )
        try:
            decoded = self._decoded(frame)
            if decoded.is_corrupt:
                raise MediaError("it is damaged")
            pixels, channels = movie_pixels.to_array(decoded)
        except MediaError as error:
            raise MediaError(f"{self.name}: frame {frame}: {error}") from error
        if pixels.shape[:2] != (self.canvas.height, self.canvas.width):
            raise MediaError(
                f"{self.name}: frame {frame} is {pixels.shape[1]}x{pixels.shape[0]}, frame 1 is "
                f"{self.canvas.width}x{self.canvas.height}; a clip has one size"
            )
        return Image(
            pixels=pixels,
            channels=channels,
            data_window=self.canvas,
            display_window=self.display_window,
            pixel_aspect=self.pixel_aspect,
            colorspace=self.colorspace,
            metadata=self._metadata(frame),
            time=float((decoded.pts - self._index.pts[0]) * self._unit),
            alpha_associated=False if "A" in channels else None,
        )

    def _metadata(self, frame: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self.rate is not None:
            data["framesPerSecond"] = (self.rate.numerator, self.rate.denominator)
        if self.timecode is not None:
            data["smpte:TimeCode"] = self.timecode.plus(frame - 1).packed()
        return data

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Path, size in bytes and time of change of the movie, and the frame's number."""
        try:
            stat = self._path.stat()
        except OSError as error:
            raise MediaError(f"{self.name}: the movie is gone ({error.strerror})") from error
        return f"{self._path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}:{frame}"

    def file_part(self, frame: int) -> FilePart:
        """The movie, and the frame's number."""
        return FilePart(self._path, f"frame {frame}")

    def files(self) -> Mapping[int, Path]:
        """The movie's file, by its first frame."""
        return {1: self._path}

    def close(self) -> None:
        """Close the file and forget decoded frames; the next read opens it anew."""
        with self._lock:
            self._kept.clear()
            self._decoding = iter(())
            self._position = None
            if self._container is not None:
                self._container.close()
                self._container = None


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(stream.disposition)


def _positive(text: str | None) -> float:
    try:
        number = float(text or 1)
    except ValueError:
        return 1.0
    return number if 0 < number < float("inf") else 1.0
