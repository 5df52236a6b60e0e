# SPDX-License-Identifier: Apache-2.0
"""MovieClip: frame-exact random access to a movie, counted from 1, by PyAV."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media import movie_pixels
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.movie_decoder import Decoder
from matte_nodes.media.protocol import ClipBase, FilePart
from matte_nodes.media.stat_cache import StatCache
from matte_nodes.media.timecode import Timecode

# Where a movie says its pixel aspect when its container has no place that is kept (Matroska).
PIXEL_ASPECT = "matte/pixel_aspect"


class MovieClip(ClipBase):
    """A movie's picture stream; frame n is the n-th frame that is shown.

    Of several streams it is the one that is marked as default, else the first.

    A frame is decoded from its own key frame, so order never changes a pixel (`Decoder`). Variable
    frame rates keep their times in `Image.time`. threads: of the decoder. Raises MediaError when
    the file is not a movie, holds no frames or is not
    whole; damage inside a frame that the decoder conceals, as players do, goes unseen.
    """

    is_movie = True
    is_tagged = True

    def __init__(
        self,
        name: str,
        *,
        path: Path | None = None,
        rate: Fraction | None = None,
        threads: int = 1,
    ) -> None:
        self.name = name
        self._path = path or Path(name)
        self._lock = threading.RLock()
        self._decoder = decoder = Decoder(name, self._path, threads)
        self.opened = decoder.opened
        try:
            first = decoder.first()
            decoder.index = decoder.index.starting_at(first.pts)
            decoder.open()
            self._describe(first, rate)
        except MediaError as error:
            self.close()
            raise MediaError(f"{name}: {error}") from error

    def _describe(self, first: Any, rate: Fraction | None) -> None:
        stream = self._decoder.stream
        self.frames: Sequence[int] = range(1, len(self._decoder.index.pts) + 1)
        own = stream.average_rate or stream.guessed_rate
        self.rate: Fraction | None = rate or (Fraction(own) if own else None)
        self._unit = Fraction(stream.time_base)
        # Where a rate is told, the frames are even in time.
        self.time_base = None if rate else self._varying_time_base(stream)
        self.codec: str = stream.codec_context.name
        self.is_limited = not movie_pixels.is_full_range(first)
        """Whether its codes reach beyond black and white."""
        turn = movie_pixels.Turn.of(first)
        turned = turn.swaps
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        self.canvas = self.display_window = Rect(0, 0, width, height)
        notes = self._notes()
        aspect = float(stream.sample_aspect_ratio or 0) or _positive(notes.get(PIXEL_ASPECT))
        self.pixel_aspect = 1.0 / aspect if turned else aspect
        self.colorspace = movie_pixels.colorspace(first, self.codec)
        if int(first.color_trc) in (0, movie_pixels.UNSAID):
            self.is_tagged = "matte/colorspace" in notes
            self.colorspace = notes.get("matte/colorspace", self.colorspace)
        self.guesses = movie_pixels.guesses(first)
        self.timecode = Timecode.parse(notes.get("timecode", ""), self.rate)
        order = int(stream.codec_context.field_order)
        self._slant = turn.slant
        self.field_order = order if order in (2, 3, 4, 5) else 2 if first.interlaced_frame else 0

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence each: fields used as whole frames, other streams, a slanted picture."""
        found = []
        if self.field_order:
            found.append(
                f"{self.name} is interlaced and is taken as whole frames, so moving edges are "
                "combed; deinterlace it first"
            )
        if self._decoder.others:
            count = 1 + self._decoder.others
            which = f"{self._decoder.which} is taken"
            found.append(f"{self.name} has {count} streams of pictures; {which}")
        if self._slant:
            found.append(f"{self.name} is shown turned by {self._slant} degrees, which is left out")
        return tuple(found)

    def _notes(self) -> dict[str, str]:
        """Return texts of the container and its streams (time code tracks too), by lower-case name."""
        container = self._decoder.container
        notes: dict[str, str] = {}
        for part in (*reversed(list(container.streams)), container, self._decoder.stream):
            notes.update({key.lower(): text for key, text in part.metadata.items()})
        return notes

    def _varying_time_base(self, stream: Any) -> Fraction | None:
        """Return the unit of the frames' times when they are not evenly spaced, else None."""
        pts = self._decoder.index.pts
        base, start = Fraction(stream.time_base), pts[0]
        if not self.rate:
            return base
        step = 1 / (self.rate * base)
        # One unit either way is rounding: Matroska counts in milliseconds.
        even = all(abs(time - start - n * step) <= 1 for n, time in enumerate(pts))
        return None if even else base

    def read(self, frame: int) -> Image:
        """One frame: uint8 or uint16 RGB(A) or Y, full range, encoded as in the movie.

        Thread-safe. Raises MissingFrameError outside the movie, MediaError naming the frame when it
        cannot be decoded.
        """
        if not 1 <= frame <= len(self.frames):
            raise MissingFrameError(
                f"{self.name}: there is no frame {frame} (the movie has 1 to {len(self.frames)})."
            )
        try:
            with self._lock:
                decoded = self._decoder.frame(frame)
            if decoded.is_corrupt:
                raise MediaError("it is damaged.")
            pixels, channels = movie_pixels.to_array(decoded)
        except MediaError as error:
            raise MediaError(f"{self.name}: frame {frame}: {error}") from error
        if pixels.shape[:2] != (self.canvas.height, self.canvas.width):
            raise MediaError(
                f"{self.name}: frame {frame} is {pixels.shape[1]}x{pixels.shape[0]}, frame 1 is "
                f"{self.canvas.width}x{self.canvas.height}; a clip has one size."
            )
        return Image(
            pixels=pixels,
            channels=channels,
            data_window=self.canvas,
            display_window=self.display_window,
            pixel_aspect=self.pixel_aspect,
            colorspace=self.colorspace,
            metadata=self._metadata(frame),
            time=float((decoded.pts - self._decoder.index.pts[0]) * self._unit),
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
        """Return the movie's path, size in bytes, time of change, and the frame's number."""
        try:
            stat = self._path.stat()
        except OSError as error:
            raise MediaError(f"{self.name}: the movie is gone ({error.strerror}).") from error
        return f"{self._path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}:{frame}"

    def file_part(self, frame: int) -> FilePart:
        """Return the movie, and the frame's number."""
        return FilePart(self._path, f"frame {frame}")

    def files(self) -> Mapping[int, Path]:
        """Return the movie's file by its first frame number."""
        return {1: self._path}

    def close(self) -> None:
        """Close the file and forget decoded frames; the next read opens it anew."""
        with self._lock:
            self._decoder.close()


def _positive(text: str | None) -> float:
    try:
        number = float(text or 1)
    except ValueError:
        return 1.0
    return number if 0 < number < float("inf") else 1.0
