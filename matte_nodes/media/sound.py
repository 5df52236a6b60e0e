# SPDX-License-Identifier: Apache-2.0
"""Sound: the plate's sound beside the pictures of a movie that is written.

Packets are copied where the container takes their codec, else the sound is encoded anew. The sound
begins and ends with the pictures: frames that are not written leave their sound out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from matte_nodes.media.clip import Clip

_COPIED = {
    ".mov": ("aac", "alac", "mp3", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "ac3"),
    ".mp4": ("aac", "alac", "mp3", "ac3", "opus"),
    ".mkv": ("aac", "alac", "mp3", "ac3", "opus", "vorbis", "flac", "pcm_s16le", "pcm_s24le"),
    ".webm": ("opus", "vorbis"),
}
"""By the movie's suffix: the codecs that its container takes as they are."""

_ANEW = {".mov": "pcm_s16le", ".mp4": "aac", ".mkv": "flac", ".webm": "libopus"}
"""What other sound becomes."""


class Sound:
    """The first sound stream of a movie, written packet by packet between pictures."""

    def __init__(self, path: Path, suffix: str, first: Fraction) -> None:
        self._path, self._suffix, self._first = path, suffix, first
        self._begin: float | None = None
        self._source: Any = None
        self._stream: Any = None
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._resampler: Any = None
        self._copied = False
        self._samples = 0
        self._last = 0.0

    @classmethod
    def of(cls, clip: Clip, suffix: str) -> Sound | None:
        """The sound of a plate; None when it has none, or when such files have none."""
        if suffix not in _ANEW or not clip.is_movie:
            return None
        path = next(iter(clip.files().values()), None)
        if path is None:
            return None
        with suppress(av.FFmpegError, OSError), av.open(str(path)) as container:
            if container.streams.audio:
                video = container.streams.video[0]
                start, base = video.start_time or 0, video.time_base
                return cls(path, suffix, Fraction(start) * base if base else Fraction(0))
        return None

    def open(self, container: Any) -> None:
        """Add the stream to a movie whose header is not written yet."""
        self._source = av.open(str(self._path))
        given = self._source.streams.audio[0]
        self._copied = given.codec_context.name in _COPIED[self._suffix]
        if self._copied:
            self._stream = container.add_stream_from_template(given)
        else:
            rate = 48000 if _ANEW[self._suffix] == "libopus" else given.rate
            layout = "stereo" if given.channels > 1 else "mono"
            self._stream = container.add_stream(_ANEW[self._suffix], rate, layout=layout)
            wanted = self._stream.codec_context.format or "s16"
            self._resampler = av.AudioResampler(wanted, layout, rate)
        self._packets = self._read(given)

    def until(self, container: Any, time: float) -> None:
        """Write the sound before a picture's time, in seconds from the movie's first picture.

        The first call says where the sound begins.
        """
        if self._begin is None:
            self._begin = time
        self._last = time
        self._write(container, time)

    def end(self, container: Any) -> None:
        """Write the sound of the last picture, and what the encoder still holds."""
        if self._begin is None:
            return
        rate = self._source.streams.video[0].average_rate or Fraction(24)
        self._write(container, self._last + float(1 / rate))
        if not self._copied:
            container.mux(self._stream.encode(None))
        self.close()

    def close(self) -> None:
        """Close the plate's file."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _read(self, given: Any) -> Iterator[tuple[float, float, Any]]:
        """(begin, end, packet or samples), in seconds from the first picture."""
        for packet in self._source.demux(given):
            for part in [packet] if self._copied else packet.decode():
                if part.pts is None:
                    continue
                begin = float(part.pts * part.time_base - self._first)
                if self._copied:
                    length = float((part.duration or 0) * part.time_base)
                else:
                    length = part.samples / part.sample_rate
                yield begin, begin + length, part

    def _write(self, container: Any, time: float) -> None:
        assert self._begin is not None
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            if self._waiting is None or self._waiting[0] >= time:
                return
            begin, end, part = self._waiting
            self._waiting = None
            if (begin + end) / 2 < self._begin:
                continue  # before the first picture
            if self._copied:
                shift = round(self._begin / float(part.time_base)) + round(
                    float(self._first) / float(part.time_base)
                )
                part.pts = max(0, part.pts - shift)
                part.dts = part.pts
                part.stream = self._stream
                container.mux(part)
                continue
            for samples in self._resampler.resample(part):
                samples.pts = self._samples
                samples.time_base = Fraction(1, samples.sample_rate)
                self._samples += samples.samples
                container.mux(self._stream.encode(samples))
