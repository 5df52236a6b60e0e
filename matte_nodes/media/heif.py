# SPDX-License-Identifier: Apache-2.0
"""Reads HEIC and AVIF by packages that you install: `pi-heif` (or `pillow-heif`), and Pillow.

OpenImageIO's wheels have no reader for them. The container's turns and mirrors are applied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import MediaError
from matte_nodes.media import limits, still_color
from matte_nodes.media.image import Rect

HEIC, AVIF = (".heic", ".heif", ".hif"), (".avif",)

# Where a file's boxes are looked for: they stand before its pixels.
_BOXES = 1 << 20

_CURES = {
    HEIC: "Install a reader: pip install pi-heif (BSD-3, with libheif and libde265, LGPL). Or convert "
    "it to TIFF or PNG of 16 bits (macOS: sips -s format tiff; elsewhere: heif-convert).",
    AVIF: "Install a reader: pip install 'pillow>=11.3'. Or convert it to PNG of 16 bits (avifdec).",
}


@dataclass(frozen=True)
class Decoded:
    """A picture as it is shown."""

    pixels: NDArray[Any]
    """(H, W, 3 or 4) uint8 or uint16, straight."""
    colorspace: str
    """As `still_color` says it."""


def is_heif(path: Path) -> bool:
    """Whether a file is HEIC or AVIF by its name."""
    return path.suffix.lower() in (*HEIC, *AVIF)


def cure(path: Path) -> str:
    """What to do about a file that cannot be read here."""
    return next(text for ends, text in _CURES.items() if path.suffix.lower() in ends)


def size(path: Path) -> Rect:
    """Return the window of a picture, without decoding it. Raises MediaError."""
    source = _opened(path)
    width, height = source.size
    if path.suffix.lower() in AVIF and source.getexif().get(274, 1) >= 5:
        width, height = height, width
    return Rect(0, 0, width, height)


def facts(path: Path) -> tuple[bool, bool, str]:
    """Return whether a picture has 16 bits, whether it has alpha, and its colour space."""
    source = _opened(path)
    return ";16" in source.mode, "A" in source.mode, _space(path, source)


def read(path: Path) -> Decoded:
    """Return the first picture of a file. Raises MediaError."""
    limits.check_size(f"{path}: its picture", size(path))
    source = _opened(path)
    try:
        if path.suffix.lower() in AVIF:
            from PIL import ImageOps

            turned = ImageOps.exif_transpose(source)
            pixels = np.array(turned.convert("RGBA" if "A" in turned.mode else "RGB"))
        else:
            pixels = _widened(np.array(source), source)
    except (OSError, ValueError, RuntimeError, SyntaxError) as error:
        raise MediaError(f"{path}: the file is damaged or not whole ({error}).") from error
    return Decoded(pixels, _space(path, source))


def _opened(path: Path) -> Any:
    """Return what the reader knows of a file before it is decoded."""
    reader = _reader(path)
    try:
        if path.suffix.lower() in AVIF:
            return reader.open(path)
        return reader.open_heif(path, convert_hdr_to_8bit=False)
    except (OSError, ValueError, RuntimeError, SyntaxError) as error:
        raise MediaError(f"{path}: cannot be read as a picture ({error}).") from error


def _reader(path: Path) -> Any:
    names = ("PIL.Image",) if path.suffix.lower() in AVIF else ("pi_heif", "pillow_heif")
    for name in names:
        try:
            found = import_module(name)
            if name != "PIL.Image" or import_module("PIL.features").check("avif"):
                return found
        except ImportError:
            continue
    raise MediaError(f"{path}: there is no reader for {path.suffix.lower()} here. {cure(path)}")


def _widened(pixels: NDArray[Any], source: Any) -> NDArray[Any]:
    """Codes of 10 and 12 bits come shifted up, so that white is 65472: fill the low bits."""
    bits = int(source.info.get("bit_depth", 8))
    if pixels.dtype == np.uint16 and 8 < bits < 16:
        return np.asarray(pixels | (pixels >> bits))
    return pixels


def _space(path: Path, source: Any) -> str:
    profile = source.info.get("icc_profile")
    if profile:
        return still_color.of_profile(bytes(profile))
    with path.open("rb") as file:
        boxes = file.read(_BOXES)
    at = boxes.find(b"colrnclx")
    if at < 0 or at + 12 > len(boxes):
        return ""
    primaries, transfer = struct.unpack_from(">HH", boxes, at + 8)
    return "" if transfer == 2 else still_color.of_code(primaries, transfer)
