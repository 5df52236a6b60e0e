# SPDX-License-Identifier: Apache-2.0
"""MovieWriter: straight foreground and alpha in one movie, by PyAV.

`.mov`: ProRes 4444 (Y'CbCr 4:4:4 of 10 bits, limited range, alpha of 10 bits coded without loss).
`.mkv`: FFV1, lossless, alpha of 16 bits, full range; RGB of 16 bits, full range, or, for a plate that
is a movie of limited range, Y'CbCr 4:4:4 of 16 bits, limited range, so that codes above white stay.
Matroska rounds times to a millisecond. Colours are clipped to what the codes hold: 0 to 1 in RGB,
-0.07 to 1.09 in Y'CbCr; alpha to 0..1. Frames that are clipped are warned of once. The plate's
sound comes along (`sound`).
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import OutputError
from matte_nodes.media.clip import Clip
from matte_nodes.media.layouts import OutputFrame, over_display
from matte_nodes.media.movie import PIXEL_ASPECT
from matte_nodes.media.movie_rate import DEFAULT_RATE
from matte_nodes.media.movie_tags import Tags, tags_of
from matte_nodes.media.sound import Sound
from matte_nodes.media.timecode import Timecode
from matte_nodes.whole_files import TemporaryFile, describe, prepare_folder

_CONTAINERS = {".mov": "mov", ".mkv": "matroska"}
_LIMITED, _FULL = 1, 2
_LOWEST, _HIGHEST = 4, 1019  # what lies outside is timing (ITU-R BT.709)


class MovieWriter:
    """Writes frames in ascending order; see `open_writer`. The movie appears on `close`.

    Rate, variable frame times, time code and pixel aspect are the plate's; the picture is its
    display window. `exists` is about the whole movie.
    """

    ordered = True

    def __init__(
        self,
        path: Path,
        *,
        colorspace: str,
        provenance: Mapping[str, str],
        rate: Fraction | None,
        like: Clip | None,
        overwrite: bool,
        audio: bool = True,
        layout: str = "movie",
        association: str = "straight",
    ) -> None:
        if not overwrite and path.exists():
            raise OutputError(f"{path}: is already there; nothing written.")
        self._path = path
        self._is_prores = path.suffix.lower() == ".mov"
        self._is_ycbcr = self._is_prores or bool(getattr(like, "is_limited", False))
        self._has_clipped = False
        self._rate = rate or (like.rate if like else None) or DEFAULT_RATE
        times = like.time_base if like else None
        self._keeps_times = times is not None
        self._time_base = times or 1 / self._rate
        self._field_order = like.field_order if like else 0
        self._tags = tags_of(colorspace)
        self._provenance = {
            **{k if k.startswith("matte/") else f"matte/{k}": v for k, v in provenance.items()},
            "matte/layout": layout,
            "matte/association": association,
            "matte/colorspace": colorspace,
        }
        self._lock = threading.Lock()
        self._temporary: TemporaryFile | None = None
        self._container: Any = None
        self._stream: Any = None
        self._first: OutputFrame | None = None
        self._last: tuple[int, int] | None = None
        self._sound = Sound.of(like, path.suffix.lower()) if audio and like is not None else None
        prepare_folder(path.parent)

    def exists(self, frame: int) -> bool:
        """True when the movie is there, whole."""
        return self._path.is_file()

    def write(self, frame: OutputFrame) -> Path:
        """Encode one frame; frames must ascend. OutputError removes what was written so far."""
        with self._lock:
            try:
                if self._container is None:
                    self._open(frame)
                picture = self._picture(frame)
                picture.pts = self._time(frame)
                picture.time_base = self._time_base
                if self._sound is not None and frame.source.time is not None:
                    self._sound.until(self._container, frame.source.time)
                self._last = (frame.frame, picture.pts)
                self._container.mux(self._stream.encode(picture))
            except (av.FFmpegError, OSError) as error:
                self._discard()
                raise self._failed(error) from error
            except OutputError:
                self._discard()
                raise
        return self._path

    def _open(self, first: OutputFrame) -> None:
        self._first = first
        self._temporary = TemporaryFile(self._path)
        form, options = self._format()
        self._container = container = av.open(
            str(self._temporary.path.absolute()), "w", format=form, options=options
        )
        container.metadata.update(self._provenance)
        # Matroska loses it otherwise: the muxer does not take it from the encoder.
        container.metadata[PIXEL_ASPECT] = str(first.source.pixel_aspect)
        self._stream = self._stream_in(container, first)
        words = first.source.metadata.get("smpte:TimeCode")
        code = Timecode.unpack(words, self._rate) if isinstance(words, tuple) else None
        if code is not None:
            self._stream.metadata["timecode"] = str(code)
        if self._sound is not None:
            self._sound.open(container)

    def _format(self) -> tuple[str, dict[str, str]]:
        """The container's name in FFmpeg, and its options."""
        options = {"movflags": "use_metadata_tags+write_colr"} if self._is_prores else {}
        return _CONTAINERS[self._path.suffix.lower()], options

    def _stream_in(self, container: Any, first: OutputFrame) -> Any:
        """Add the stream of pictures."""
        if self._is_prores:
            options = {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"}
            stream = container.add_stream("prores_ks", self._rate, options)
            stream.pix_fmt = "yuva444p10le"
        else:
            options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
            stream = container.add_stream("ffv1", self._rate, options)
            stream.pix_fmt = "yuva444p16le" if self._is_ycbcr else "gbrap16le"
        display = first.source.display_window
        stream.width, stream.height = display.width, display.height
        context = stream.codec_context
        context.time_base = self._time_base
        if self._field_order:
            context.field_order = self._field_order
        context.sample_aspect_ratio = Fraction(first.source.pixel_aspect).limit_denominator(1000)
        context.color_primaries = self._tags.primaries
        context.color_trc = self._tags.transfer
        context.colorspace = self._tags.matrix if self._is_ycbcr else 0
        context.color_range = _LIMITED if self._is_ycbcr else _FULL
        return stream

    def _time(self, frame: OutputFrame) -> int:
        first = self._first
        assert first is not None
        start, now = first.source.time, frame.source.time
        if self._keeps_times and start is not None and now is not None:
            pts = round(now / self._time_base) - round(start / self._time_base)
            if self._last is not None and pts <= self._last[1]:
                pts = self._last[1] + 1  # frames of one time: a movie shows them one after another
        else:
            pts = round((frame.frame - first.frame) / self._rate / self._time_base)
        if self._last is not None and (frame.frame <= self._last[0] or pts <= self._last[1]):
            raise OutputError(
                f"{self._path}: frame {frame.frame} came after frame {self._last[0]}. Write the "
                "frames of a movie in ascending order."
            )
        return pts

    def _picture(self, frame: OutputFrame) -> Any:
        colour = over_display(frame, frame.foreground)
        alpha = over_display(frame, frame.alpha[..., None])[..., 0]
        height, width = alpha.shape
        if (width, height) != (self._stream.width, self._stream.height):
            raise OutputError(
                f"{self._path}: frame {frame.frame} is {width}x{height}, the movie is "
                f"{self._stream.width}x{self._stream.height}."
            )
        picture = av.VideoFrame(width, height, self._stream.pix_fmt)
        self._warn_if_clipped(frame.frame, colour)
        bits = 10 if self._is_prores else 16
        planes = (
            ycbcr_codes(colour, alpha, self._tags, bits)
            if self._is_ycbcr
            else rgb_codes(colour, alpha)
        )
        for plane, codes in zip(picture.planes, planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.dtype("<u2")).reshape(plane.height, -1)
            rows[:, :width] = codes
        picture.color_range = _LIMITED if self._is_ycbcr else _FULL
        picture.colorspace = self._tags.matrix if self._is_ycbcr else 0
        picture.color_primaries = self._tags.primaries
        picture.color_trc = self._tags.transfer
        return picture

    def _warn_if_clipped(self, number: int, colour: NDArray[Any]) -> None:
        white = np.float32((_HIGHEST - 64) / 876 if self._is_ycbcr else 1)
        highest = float(colour.max())
        if self._has_clipped or highest <= white * np.float32(1.001):
            return
        self._has_clipped = True
        warnings.warn(
            f"{self._path}: from frame {number} the foreground is brighter ({highest:.3g}) than this "
            f"movie can hold ({white:.3g}), and is clipped. Write EXR files to keep it.",
            stacklevel=2,
        )

    def close(self) -> None:
        """Finish the movie and move it into place.

        Raises OutputError when that fails; nothing stays.
        """
        with self._lock:
            if self._container is None or self._temporary is None:
                return
            try:
                self._container.mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.end(self._container)
                self._container.close()
                self._temporary.commit()
            except (av.FFmpegError, OSError) as error:
                self._discard()
                raise self._failed(error) from error
            except OutputError:
                self._discard()
                raise
            self._container = self._temporary = None

    def abort(self) -> None:
        """Remove the unfinished movie."""
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        container, self._container = self._container, None
        if container is not None:
            # It is being thrown away; the first error is the one that is told.
            with suppress(av.FFmpegError, OSError, ValueError):
                container.close()
        if self._temporary is not None:
            self._temporary.discard()
            self._temporary = None

    def _failed(self, error: Exception) -> OutputError:
        reason = describe(error, self._path) if isinstance(error, OSError) else str(error)
        return OutputError(f"{self._path}: cannot be written ({reason}).")


def rgb_codes(colour: NDArray[Any], alpha: NDArray[Any]) -> list[NDArray[Any]]:
    """Full-range 16-bit codes of G, B, R and A, the order in which they are stored."""
    planes = (colour[..., 1], colour[..., 2], colour[..., 0], alpha)
    return [_codes(plane, 65535.0) for plane in planes]


def ycbcr_codes(
    colour: NDArray[Any], alpha: NDArray[Any], tags: Tags, bits: int = 10
) -> list[NDArray[Any]]:
    """Limited-range Y', Cb, Cr (ITU-R BT.709 section 4) and full-range alpha, of 10 or 16 bits.

    Colours up to 1.09 are kept: the codes above white and below black that video has (4 to 1019 of
    10 bits). The scaler inside FFmpeg takes 16-bit white as 65280 and comes out 3 codes too bright.
    """
    low, high = (_LOWEST - 64) / 876, (_HIGHEST - 64) / 876
    red, green, blue = (np.clip(colour[..., i], low, high) for i in range(3))
    luma = tags.red * red + (1 - tags.red - tags.blue) * green + tags.blue * blue
    cb = (blue - luma) * np.float32(0.5 / (1 - tags.blue))
    cr = (red - luma) * np.float32(0.5 / (1 - tags.red))
    one = 1 << (bits - 10)  # what a code of 10 bits is
    planes = (
        luma * np.float32(876 * one) + np.float32(64 * one),
        cb * np.float32(896 * one) + np.float32(512 * one),
        cr * np.float32(896 * one) + np.float32(512 * one),
    )
    limits = _LOWEST * one, _HIGHEST * one
    codes = [np.rint(p).clip(*limits).astype(np.uint16) for p in planes]
    return [*codes, _codes(alpha, (1 << bits) - 1)]


def _codes(plane: NDArray[Any], white: float) -> NDArray[Any]:
    codes: NDArray[Any] = np.rint(np.clip(plane, 0, 1) * np.float32(white)).astype(np.uint16)
    return codes
