# SPDX-License-Identifier: Apache-2.0
"""Writers that put mattes into files. `open_writer` picks one by the output's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from matte_nodes.errors import OutputError
from matte_nodes.media.clip import Clip
from matte_nodes.media.finish import Finish
from matte_nodes.media.layouts import LAYOUTS, Layout, OutputFrame, choose_layout
from matte_nodes.media.pattern import Pattern

__all__ = [
    "LAYOUTS",
    "Layout",
    "OutputFrame",
    "Writer",
    "check_name",
    "check_not_input",
    "is_movie_output",
    "open_writer",
]


class Writer(Protocol):
    """Writes mattes to files.

    ordered: frames must come in ascending order, from one thread at a time (movies); otherwise any
    order and any thread will do.
    """

    ordered: bool

    def write(self, frame: OutputFrame) -> Path:
        """Write one frame and return its file. Raises OutputError and leaves no partial file."""

    def exists(self, frame: int) -> bool:
        """Whether the complete result of this frame exists."""

    def close(self) -> None:
        """Finish. A movie gets its final name only now."""

    def abort(self) -> None:
        """Stop: keep complete files and remove partial ones. Never raises."""


def is_movie_output(spec: str | os.PathLike[str]) -> bool:
    """True when this name would be written as one file of many frames."""
    suffix = Path(os.fspath(spec)).suffix.lower()
    if suffix == ".webp":
        return Pattern.parse(spec) is None
    return suffix in LAYOUTS["movie"].extensions or suffix in (".webm", ".gif", ".mp4")


def check_name(spec: str | os.PathLike[str], layout: str = "auto", over: str = "") -> str:
    """The layout that a name would be written in; OutputError for a name that cannot be written.

    Nothing is touched on disk.
    """
    name = os.fspath(spec)
    path = Path(name)
    try:
        is_folder = path.is_dir() or name.endswith(("/", os.sep))
        if "\0" in name:
            raise ValueError("the name contains a NUL character")
        name.encode()  # writers take names as UTF-8
    except (OSError, ValueError) as error:  # a name too long, or no text
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{name!r}: cannot be written ({reason}).") from error
    if {".hevc", ".heic", ".heics"} & {suffix.lower() for suffix in path.suffixes[-2:]}:
        raise OutputError(
            f"{name}: HEVC with alpha needs Apple's own encoder, which is not in PyAV. Write a .mov "
            "(ProRes 4444) and convert it on a Mac (avconvert --preset "
            "PresetHEVCHighestQualityWithAlpha --source cut.mov --output cut-hevc.mov), or write a "
            ".webm for other browsers than Safari."
        )
    if is_folder:
        raise OutputError(f"{name}: is a folder; name the files, as in {path / 'matte.####.exr'}.")
    return choose_layout(layout, path.suffix.lower(), name, over)


def open_writer(
    spec: str | os.PathLike[str],
    *,
    layout: str = "auto",
    colorspace: str,
    provenance: Mapping[str, str],
    rate: Fraction | None,
    like: Clip | None = None,
    overwrite: bool = True,
    finish: Finish | None = None,
    several: bool = True,
) -> Writer:
    """Return a writer for `matte.####.exr` (also %04d, @@@), one still, or a movie.

    layout: a name of LAYOUTS, or `auto`: nuke for EXR, alpha for PNG and TIFF, movie for mov and
    mkv. colorspace: of the foreground, named in the file. provenance: texts that go into every
    file; names get `matte/` in front where they lack it. rate: frames a second; movies without
    one run at 24. like: the plate, whose times and time code a movie takes over. overwrite: False
    refuses to replace files. Folders are made; OutputError is raised now when they cannot be
    written to, when the layout does not fit the file, or when the name is a folder. finish: how
    cut-outs are finished. several: whether one WebP or GIF file may get more than one frame.
    """
    name = os.fspath(spec)
    path = Path(name)
    finish = finish or Finish()
    chosen = check_name(spec, layout, finish.over)
    if chosen != "movie" and is_movie_output(spec) and (several or path.suffix.lower() != ".webp"):
        from matte_nodes.media.cutout_movie import CutoutMovie

        return CutoutMovie(
            path, chosen, finish, colorspace=colorspace, provenance=provenance, rate=rate,
            like=like, overwrite=overwrite,
        )  # fmt: skip
    if chosen == "movie":
        from matte_nodes.media.movie_writer import MovieWriter

        return MovieWriter(
            path,
            colorspace=colorspace,
            provenance=provenance,
            rate=rate,
            like=like,
            overwrite=overwrite,
            audio=finish.audio,
        )
    from matte_nodes.media.sequence_writer import SequenceWriter

    return SequenceWriter(
        Pattern.parse(name) or path,
        chosen,
        colorspace=colorspace,
        provenance=provenance,
        rate=rate,
        overwrite=overwrite,
        finish=finish,
    )


def check_not_input(spec: str | os.PathLike[str], clip: Clip) -> None:
    """Raise OutputError when writing `spec` would replace a file that `clip` is read from.

    Files are compared by identity, so links and other spellings of a path are found too.
    """
    inputs: dict[tuple[int, int], Path] = {}
    files = clip.files()
    for file in files.values():
        identity = _identity(file)
        if identity is not None:
            inputs[identity] = file
    pattern = None if is_movie_output(spec) else Pattern.parse(spec)
    path = Path(os.fspath(spec))
    for target in [path] if pattern is None else map(pattern.path, files):
        identity = _identity(target)
        if identity in inputs:
            raise OutputError(
                f"{os.fspath(spec)}: would overwrite the input {inputs[identity]}; choose another "
                "name or folder for the output."
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_dev, stat.st_ino
