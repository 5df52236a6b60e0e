# SPDX-License-Identifier: Apache-2.0
"""SequenceClip: numbered picture files (or one still) as a clip, by OpenImageIO."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media import limits
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.protocol import ClipBase, FilePart, Missing
from matte_nodes.media.stat_cache import StatCache
from matte_nodes.media.still import PICTURE, Header, Want, read_header, read_image

# A gap longer than this, and longer than a hundred times the files, is a mistake: another shot's
# file, or dates and times taken for frame numbers.
_LONGEST_GAP = 10_000

_FLOATS = ("half", "float", "double")


class SequenceClip(ClipBase):
    """Files by frame number; see `open_clip` for what `missing` means.

    want: which layer and view of the files. rate: frames a second, in place of what the files say.
    left_out: files beside these whose numbers have another padding.

    Headers are read when a window is first asked for, all of them once (0.03 to 0.1 ms a file when
    it is cached), so that a clip of mixed sizes or with a broken header fails before any work.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[int, Path],
        *,
        missing: Missing = "error",
        want: Want = PICTURE,
        rate: Fraction | None = None,
        left_out: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._left_out = left_out
        self._want, self._rate = want, rate
        self._files = dict(sorted(files.items()))
        self._present = list(self._files)
        self._missing = missing
        first, last = self._present[0], self._present[-1]
        self.frames: Sequence[int] = (
            tuple(self._present) if missing == "skip" else range(first, last + 1)
        )
        self._lock = threading.Lock()
        self._scanned: tuple[Header, Rect] | None = None
        self._mixed: tuple[str, ...] = ()

    def file_part(self, frame: int) -> FilePart:
        """Return a frame's file and layer. Raises MissingFrameError when it has no file."""
        want = self._want
        part = " ".join(filter(None, (want.layer, want.view)))
        return FilePart(self._path(frame), f"{part} mask" if want.purpose == "mask" else part)

    def check_gaps(self) -> None:
        """Raise MediaError for numbers so far apart that they cannot be frames of one shot."""
        if self._missing == "skip":
            return
        longest = max(_LONGEST_GAP, 100 * len(self._present))
        for before, after in pairwise(self._present):
            if after - before > longest:
                raise MediaError(
                    f"{self.name}: frames {before + 1}-{after - 1} have no file, between "
                    f"{self._files[before].name!r} and {self._files[after].name!r}: these numbers "
                    "may be dates, or one file is of another shot. Name one of them, move it away, "
                    "or leave the gap out (--missing skip)."
                )

    def _path(self, frame: int) -> Path:
        """Return the file that a frame is read from.

        Raises MissingFrameError where there is none.
        """
        if frame in self._files:
            return self._files[frame]
        first, last = self._present[0], self._present[-1]
        if not first <= frame <= last:
            raise MissingFrameError(
                f"{self.name}: there is no frame {frame} (it has {first} to {last})."
            )
        if self._missing == "hold":
            return self._files[self._present[bisect.bisect(self._present, frame) - 1]]
        raise MissingFrameError(
            f"{self.name}: frame {frame} has no file (the clip has {first} to {last}); "
            "render it, or hold or skip missing frames."
        )

    def files(self) -> Mapping[int, Path]:
        """Return all files of the clip by frame number."""
        return self._files

    def _scan(self) -> tuple[Header, Rect]:
        with self._lock:
            if self._scanned is None:
                items = iter(self._files.items())
                first, path = next(items)
                head = self._header(first, path)
                canvas = head.display_window.union(head.data_window)
                for frame, path in items:
                    header = self._header(frame, path)
                    self._same_size(head.display_window, frame, header.display_window)
                    self._same_kind(head, frame, header)
                    if header.colorspace != head.colorspace and not self._mixed:
                        self._mixed = (
                            f"{self.name} says {header.colorspace or 'no colour space'} in frame "
                            f"{frame} and {head.colorspace or 'none'} in frame {first}; all frames "
                            f"are taken as frame {first}",
                        )
                    canvas = canvas.union(header.data_window)
                limits.check_size(f"{self.name}: the union of its data windows", canvas)
                self._scanned = head, canvas
            return self._scanned

    def _header(self, frame: int, path: Path) -> Header:
        try:
            return read_header(path, self._want)
        except MediaError as error:
            raise MediaError(f"frame {frame}: {error}") from error

    def _same_size(self, expected: Rect, frame: int, found: Rect) -> None:
        if found != expected:
            first = self._present[0]
            raise MediaError(
                f"{self.name}: frame {frame} is {_size(found)}, frame {first} is "
                f"{_size(expected)}; a clip has one size."
            )

    def _same_kind(self, expected: Header, frame: int, found: Header) -> None:
        """Raise MediaError where codes and floats, or colours and grey, are one clip."""
        kinds = [("floats" if header.dtype in _FLOATS else "codes") for header in (found, expected)]
        if kinds[0] == kinds[1] and self._want.purpose == "picture":
            kinds = [("colours" if "R" in h.channels else "grey") for h in (found, expected)]
        if kinds[0] != kinds[1]:
            raise MediaError(
                f"{self.name}: frame {frame} is of {kinds[0]}, frame {self._present[0]} of "
                f"{kinds[1]}; a clip has one kind of pixels."
            )

    @property
    def canvas(self) -> Rect:
        """The union of the display window and every frame's data window."""
        return self._scan()[1]

    @property
    def display_window(self) -> Rect:
        """The picture as it is shown, the same for all frames."""
        return self._scan()[0].display_window

    @property
    def pixel_type(self) -> str:
        """The type of the first file's pixels: uint8, uint16, half, float, or another of its reader."""
        return self._scan()[0].dtype

    @property
    def is_float(self) -> bool:
        """Whether the first file's pixels are floats."""
        return self.pixel_type in _FLOATS

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height."""
        return self._scan()[0].pixel_aspect

    @property
    def colorspace(self) -> str:
        """The colour space that the first file states; "" when it states none (integer files)."""
        return self._scan()[0].colorspace

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, as the user or the files state it; else None."""
        if self._rate is not None:
            return self._rate
        rate = self._scan()[0].rate
        return None if rate is None else Fraction(*rate)

    @property
    def taken(self) -> str:
        """The chosen channels and files in words."""
        said = self._scan()[0].said
        return f"{said} of {self.name}" if said else self.name

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence for each fact that the files do not state: how the clip interprets it."""
        told = [f"{self.name} {text}" for text in self._scan()[0].assumptions]
        if self._left_out:
            first, others = self._left_out[0], len(self._left_out) - 1
            more = f" and {others} more" if others else ""
            told.append(f"{self.name} leaves out {first!r}{more}: the number has another padding")
        return (*told, *self._mixed)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of other masks in the files that the user could choose instead."""
        return self._scan()[0].others

    def read(self, frame: int) -> Image:
        """Return one frame with the pixels of its file. Thread-safe.

        Raises MissingFrameError for a frame without a file, MediaError naming frame and file when
        it is damaged or of another size than the rest.
        """
        path = self._path(frame)
        try:
            image = read_image(path, self._want)
        except MediaError as error:
            raise MediaError(f"frame {frame}: {error}") from error
        head, canvas = self._scan()
        self._same_size(head.display_window, frame, image.display_window)
        if canvas.union(image.data_window) != canvas:
            raise MediaError(
                f"{self.name}: frame {frame} was replaced since the clip was opened, and its pixels "
                f"reach out of the clip's canvas ({_size(canvas)}). Start again"
            )
        if frame == self._present[0] and image.colorspace != head.colorspace:
            raise MediaError(
                f"{self.name}: frame {frame} was replaced since the clip was opened, and says "
                f"{image.colorspace or 'no colour space'}, not {head.colorspace or 'none'}. Start "
                "again"
            )
        return image

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return path, size in bytes and time of change of the frame's file."""
        path = self._path(frame)
        try:
            stat = path.stat()
        except OSError as error:
            raise MissingFrameError(f"Frame {frame}: {path} is gone ({error.strerror}).") from error
        return f"{path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}"

    def close(self) -> None:
        """Does nothing: no file stays open between reads."""


def _size(window: Rect) -> str:
    at = f" at {window.x},{window.y}" if window.x or window.y else ""
    return f"{window.width}x{window.height}{at}"
