# SPDX-License-Identifier: Apache-2.0
"""A data set on disk: a folder with plate/ and alpha/, and optionally trimap/ and other roles.

Each folder holds stills or sequences. Stills match by stem (GT01.png and GT01.jpg). Sequences are
subfolders: they match by the subfolder's name, their frames by number.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from matte_nodes.errors import InputError, MediaError
from matte_nodes.media.array_file import is_array
from matte_nodes.media.still import read_image

if TYPE_CHECKING:
    from matte_nodes.card import Float

Role = Literal["plate", "alpha", "trimap", "background", "foreground"]
ROLES: tuple[Role, ...] = ("plate", "alpha", "trimap", "background", "foreground")
NEEDED: tuple[Role, ...] = ("plate", "alpha")
STILL_SUFFIXES = frozenset(
    {".bmp", ".cin", ".dpx", ".exr", ".hdr", ".jp2", ".jpeg", ".jpg"}
    | {".png", ".ppm", ".psd", ".tga", ".tif", ".tiff", ".webp"}
)
MOVIE_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mxf", ".webm"})
_NUMBER = re.compile(r"(\d+)(?!.*\d)")


@dataclass(frozen=True)
class Frame:
    """One frame of an item."""

    number: int | None
    files: dict[Role, Path]


@dataclass(frozen=True)
class Item:
    """A still or a sequence of a data set."""

    name: str
    sequence: bool
    frames: tuple[Frame, ...]

    def paths(self, role: Role) -> tuple[Path, ...]:
        """Return the files of one role in frame order; empty when the data set has none."""
        return tuple(frame.files[role] for frame in self.frames if role in frame.files)


def find_items(directory: str | os.PathLike[str]) -> list[Item]:
    """Return the items of a data set folder, sorted by name. Files of other kinds are ignored.

    Raises InputError, with file names, when plate/ or alpha/ is missing or empty, when two files
    could be the same still or frame, when a still or frame has no counterpart in another folder,
    and for movies.
    """
    root = Path(directory)
    folders = {role: _Folder.read(root / role) for role in ROLES if (root / role).is_dir()}
    for role in NEEDED:
        if role not in folders:
            raise InputError(f"{root} has no folder {role}/. A data set needs plate/ and alpha/.")
    plate = folders["plate"]
    if not plate.stills and not plate.sequences:
        raise InputError(
            f"{plate.path} holds no pictures and no folders with pictures. Put the plates there."
        )
    for role, folder in folders.items():
        _refuse_strays(role, folder, plate)
    items = [_still(name, folders) for name in plate.stills]
    items += [_sequence(name, folders) for name in plate.sequences]
    return sorted(items, key=lambda item: item.name)


def read_matte(path: str | os.PathLike[str]) -> Float:
    """Read a matte or trimap file as (H, W) float32, 0..1 (codes divided by the largest code).

    One channel is used directly. From several channels it takes alpha, if it is not 1 everywhere,
    else red, green and blue if they are equal. Raises MediaError for a file that cannot be read or
    whose channels differ.
    """
    pixels, names = _read(path)
    if "A" in names and pixels.shape[2] > 1:
        alpha = pixels[..., names.index("A")]
        if (alpha != 1).any():
            return np.ascontiguousarray(alpha)
    colour = [index for index, name in enumerate(names) if name != "A"] or [0]
    first = pixels[..., colour[0]]
    if any((pixels[..., index] != first).any() for index in colour[1:]):
        raise MediaError(f"{path} is a colour picture ({', '.join(names)}): a matte is grey.")
    return np.ascontiguousarray(first)


def read_colour(path: str | os.PathLike[str]) -> Float:
    """Read a foreground or background file as (H, W, 3) float32, straight, in the file's encoding.

    Grey is repeated to three channels. Raises MediaError for a file that cannot be read.
    """
    pixels, names = _read(path)
    order = [names.index(name) for name in "RGB"] if set("RGB") <= set(names) else [0, 0, 0]
    return np.ascontiguousarray(pixels[..., order])


@dataclass
class _Folder:
    """The files of one role: stills by name, and sequences by name and frame number."""

    path: Path
    stills: dict[str, Path] = field(default_factory=dict)
    sequences: dict[str, dict[int, Path]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> _Folder:
        folder = cls(path)
        for entry in sorted(path.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folder.sequences[entry.name] = _numbered(entry)
            elif _is_picture(entry):
                if entry.stem in folder.stills:
                    raise _ambiguous(folder.stills[entry.stem], entry)
                folder.stills[entry.stem] = entry
        both = sorted(folder.stills.keys() & folder.sequences.keys())
        if both:
            raise _ambiguous(folder.stills[both[0]], path / both[0])
        return folder


def _numbered(folder: Path) -> dict[int, Path]:
    frames: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not _is_picture(file):
            continue
        found = _NUMBER.search(file.stem)
        if found is None:
            raise InputError(f"{file} has no frame number in its name.")
        number = int(found[1])
        if number in frames:
            raise _ambiguous(frames[number], file)
        frames[number] = file
    if not frames:
        raise InputError(f"{folder} contains no frames.")
    return dict(sorted(frames.items()))


def _is_picture(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in MOVIE_SUFFIXES:
        raise InputError(
            f"{file} is a movie: a data set contains each sequence as a folder of frames."
        )
    return suffix in STILL_SUFFIXES


def _still(name: str, folders: dict[Role, _Folder]) -> Item:
    files: dict[Role, Path] = {}
    for role, folder in folders.items():
        if name not in folder.stills:
            raise _missing(folders["plate"].stills[name], folder.path / f"{name}.*")
        files[role] = folder.stills[name]
    return Item(name, False, (Frame(None, files),))


def _sequence(name: str, folders: dict[Role, _Folder]) -> Item:
    plates = folders["plate"].sequences[name]
    files: dict[int, dict[Role, Path]] = {number: {} for number in plates}
    for role, folder in folders.items():
        if role == "background" and name in folder.stills:
            found = dict.fromkeys(plates, folder.stills[name])
        elif name in folder.sequences:
            found = folder.sequences[name]
        else:
            raise _missing(folders["plate"].path / name, folder.path / name)
        for number, plate in plates.items():
            if number not in found:
                raise _missing(plate, folder.path / name / f"frame {number}")
            files[number][role] = found[number]
        strays = [file for number, file in found.items() if number not in plates]
        if strays:
            raise _missing(strays[0], folders["plate"].path / name)
    return Item(name, True, tuple(Frame(number, files[number]) for number in plates))


def _refuse_strays(role: Role, folder: _Folder, plate: _Folder) -> None:
    for name, file in folder.stills.items():
        if name not in plate.stills and not (role == "background" and name in plate.sequences):
            raise _missing(file, plate.path / f"{name}.*")
    for name in folder.sequences:
        if name not in plate.sequences:
            raise _missing(folder.path / name, plate.path / name)


def _missing(file: Path, counterpart: Path) -> InputError:
    return InputError(f"{file} has no counterpart {counterpart}: add it, or take the first away.")


def _ambiguous(first: Path, second: Path) -> InputError:
    return InputError(f"{first} and {second} could both be meant: keep one of them.")


def _read(path: str | os.PathLike[str]) -> tuple[Float, list[str]]:
    import OpenImageIO

    if is_array(Path(path)):
        image = read_image(Path(path))
        return image.floats(), list(image.channels)
    config = OpenImageIO.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    file = OpenImageIO.ImageInput.open(os.fspath(path), config)
    if file is None:
        raise MediaError(f"{path} cannot be read as a picture: {OpenImageIO.geterror()}")
    try:
        spec = file.spec()
        white = {"uint8": 255, "uint16": 65535}.get(str(spec.format))
        pixels = file.read_image(0, 0, 0, spec.nchannels, str(spec.format) if white else "float")
        if pixels is None:
            raise MediaError(f"{path} cannot be read whole: {file.geterror()}")
        # OpenImageIO multiplies by 1 / 255, which is a rounding off: 51 is then not quite 0.2
        values = np.divide(pixels, np.float32(white or 1), dtype=np.float32)
        return values, list(spec.channelnames)
    finally:
        file.close()
