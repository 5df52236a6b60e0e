# SPDX-License-Identifier: Apache-2.0
"""Opens clips: a sequence of files, a still, a movie or a folder becomes frames by number."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import MediaError
from matte_nodes.media.animated import SubimageClip, animated_frames
from matte_nodes.media.arrays import ArrayClip
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.layers import Purpose
from matte_nodes.media.pattern import Pattern, as_spelled, group, list_folder
from matte_nodes.media.protocol import Clip, ClipBase, ClipSource, FilePart, Missing
from matte_nodes.media.sequence import SequenceClip
from matte_nodes.media.still import Want
from matte_nodes.whole_files import is_temporary

__all__ = [
    "MOVIES",
    "STILLS",
    "ArrayClip",
    "Clip",
    "ClipBase",
    "ClipSource",
    "FilePart",
    "Missing",
    "open_clip",
    "paste",
]

# What a folder is searched for; a file that is named outright is tried whatever it is called.
STILLS = {
    ".exr", ".png", ".tif", ".tiff", ".dpx", ".cin", ".jpg", ".jpeg", ".tga", ".bmp", ".webp",
    ".hdr", ".jp2", ".ppm", ".pgm", ".gif", ".heic", ".heif", ".hif", ".avif", ".jxl", ".psd",
}  # fmt: skip
MOVIES = {
    ".mov", ".mp4", ".m4v", ".mkv", ".mxf", ".avi", ".webm", ".mts", ".m2ts", ".ts", ".mpg",
    ".mjpeg", ".mjpg", ".mpeg", ".ogv", ".3gp", ".flv", ".wmv", ".y4m", ".dv", ".vob", ".gxf", ".nut",
}  # fmt: skip

# Pictures that may hold an animation, which is read as a movie.
_ANIMATED = {".gif", ".png", ".apng", ".webp"}


def open_clip(
    spec: str | os.PathLike[str],
    *,
    missing: Missing = "error",
    layer: str = "",
    view: str = "",
    purpose: Purpose = "picture",
    rate: Fraction | None = None,
    threads: int = 1,
) -> Clip:
    """Return a clip from a pattern, a file, a movie or a folder that holds exactly one sequence.

    spec: `plate.####.exr`, `plate.%04d.exr` or `plate.@@@.exr` (see `pattern`); a file that exists
    is taken literally, whatever its name looks like: a movie by its extension, else a still, which
    is a clip of one frame numbered 1 (also `plate.1042.exr`: give the pattern to get its number).
    A file of an unknown kind is tried as a picture, then as a movie. An animated picture is a
    movie. missing: what a frame inside the range without a file is: an error when it is read, the
    nearest earlier frame held, or left out. layer, view: of an EXR, in place of the main picture;
    purpose: `mask` looks for one channel (see `layers`). rate: frames a second, in place of what
    the files say. threads: decoding threads
    of a movie (the pipeline shares the cores). Raises MediaError when nothing readable is there,
    or when numbers are so far apart that they cannot be one shot's.
    """
    name = os.fspath(spec)
    if not name:  # Path would take it for the current folder
        raise MediaError("No clip was given. Give a pattern (plate.####.exr), a movie or a folder.")
    path = as_spelled(Path(name))
    how = _How(missing, Want(layer, view, purpose), rate, threads)
    try:
        name.encode()  # readers take names as UTF-8
        if path.is_dir():
            return _open_folder(name, path, how)
        if path.exists():
            return _open_file(name, path, how)
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, no permission
        raise MediaError(f"{name!r}: cannot be opened ({error}).") from error
    pattern = Pattern.parse(name)
    if pattern is None:
        raise MediaError(f"{name}: there is no such file or folder.")
    files, left_out = pattern.search()
    if not files:
        raise MediaError(f"{name}: no file matches; looked in {pattern.folder.absolute()}.")
    return how.sequence(name, files, left_out)


@dataclass(frozen=True)
class _How:
    """How a clip is opened; see `open_clip`."""

    missing: Missing
    want: Want
    rate: Fraction | None
    threads: int

    def sequence(self, name: str, files: Mapping[int, Path], left_out: Sequence[str] = ()) -> Clip:
        return SequenceClip(
            name,
            files,
            missing=self.missing,
            want=self.want,
            rate=self.rate,
            left_out=left_out,
        )

    def movie(self, name: str, path: Path) -> Clip:
        from matte_nodes.media.movie import MovieClip  # PyAV: only where there is a movie

        if self.want.layer or self.want.view:
            raise MediaError(f"{name}: a movie has no layers and no views.")
        return MovieClip(name, path=path, rate=self.rate, threads=self.threads)


def _open_file(name: str, path: Path, how: _How) -> Clip:
    if not path.is_file():  # a pipe would be waited for without end
        raise MediaError(f"{name}: is a pipe or a device, not a file; write it to a file first.")
    suffix = path.suffix.lower()
    if suffix in MOVIES:
        return how.movie(name, path)
    if suffix in _ANIMATED and (frames := animated_frames(path)):
        if suffix == ".webp":  # PyAV does not read it
            return SubimageClip(name, path, frames, rate=how.rate)
        return how.movie(name, path)
    if suffix in STILLS:
        return how.sequence(name, {1: path})
    clip = how.sequence(name, {1: path})
    try:
        _ = clip.canvas
    except MediaError as no_picture:
        try:
            return how.movie(name, path)
        except MediaError as no_movie:
            raise MediaError(
                f"{name}: is neither a picture ({_reason(no_picture, name)}) nor a movie "
                f"({_reason(no_movie, name)})."
            ) from no_movie
    return clip


def _reason(error: MediaError, name: str) -> str:
    return str(error).replace(f"{name}: ", "").removeprefix("frame 1: ").rstrip(".")


def _open_folder(name: str, folder: Path, how: _How) -> Clip:
    names = [n for n in list_folder(folder) if not n.startswith(".") and not is_temporary(n)]
    media = [n for n in names if Path(n).suffix.lower() in STILLS | MOVIES]
    pictures = [n for n in media if Path(n).suffix.lower() in STILLS]
    sequences = group(folder, pictures)
    numbered = {path.name for files in sequences.values() for path in files.values()}
    rest = [n for n in media if n not in numbered]
    if len(sequences) == 1 and not rest:
        return how.sequence(name, next(iter(sequences.values())))
    if len(rest) == 1 and not sequences:
        return _open_file(str(folder / rest[0]), folder / rest[0], how)
    if not media:
        raise MediaError(f"{name}: the folder holds no pictures and no movies.")
    found = [f"{p.prefix}{'#' * p.padding}{p.suffix}" for p in sequences] + rest
    listed = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
    raise MediaError(f"{name}: the folder holds more than one clip ({listed}); name one of them.")


def paste(image: Image, canvas: Rect, fill: float = 0.0) -> NDArray[Any]:
    """Return an image's pixels placed on a canvas and cut at its edges.

    No copy when sizes are equal.

    Returns (canvas height, canvas width, C) of the image's type; what the image does not cover is
    `fill`, in the codes of that type.
    """
    data = image.data_window
    if data == canvas:
        return image.pixels
    result = np.full((canvas.height, canvas.width, image.pixels.shape[2]), fill, image.pixels.dtype)
    left, top = max(data.x, canvas.x), max(data.y, canvas.y)
    right = min(data.x + data.width, canvas.x + canvas.width)
    bottom = min(data.y + data.height, canvas.y + canvas.height)
    if right > left and bottom > top:
        result[top - canvas.y : bottom - canvas.y, left - canvas.x : right - canvas.x] = (
            image.pixels[top - data.y : bottom - data.y, left - data.x : right - data.x]
        )
    return result
