# SPDX-License-Identifier: Apache-2.0
"""Copies attributes of a plate to the matte.

Carried over: time code, frame rate, key code, camera and lens, capture date, owner, and every
attribute with a name of its own (`camera/lens`, `nuke/node_hash`, user text). Left behind: what
describes the file and not the picture (compression, line order, tiles, windows, bit depth,
thumbnails, checksums, embedded ICC and XMP packets), what describes channels that are not written
(a Cryptomatte manifest), texts of more than 64 KiB, the colour space and chromaticities, which
the output may not share, and our own `matte/...`, which the writer makes anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from matte_nodes.media import array_file, xmp

# Whole names that are left behind, in lower case.
DENIED = {
    "acesimagecontainerflag", "adoptedneutral", "bitspersample", "chromaticities", "chunkcount",
    "colorinteropid", "compression", "compressionquality", "datawindow", "datetime", "description",
    "displaywindow", "hostcomputer", "iccprofile", "imagehistory", "lineorder", "multiview", "name",
    "orientation", "pixelaspectratio", "planarconfig", "planarconfiguration", "preview",
    "resolutionunit", "screenwindowcenter", "screenwindowwidth", "software", "subsamplingfactors",
    "textureformat", "thumbnail_height", "thumbnail_image", "thumbnail_nchannels",
    "thumbnail_width", "tiledesc", "tilelength", "tilewidth", "type", "version", "view",
    "wrapmodes", "xresolution", "yresolution",
}  # fmt: skip
# Beginnings of names that are left behind: the reader's own notes and other formats' containers.
DENIED_PREFIXES = (
    "oiio:", "openexr:", "tiff:", "png:", "jpeg:", "dpx:", "cineon:", "bmp:", "targa:", "gif:",
    "webp:", "jpeg2000:", "pnm:", "rgbe:", "icc", "xmp:", "cicp", "photoshop:", "matte/",
    "stereo", "mip", "dwa", "cryptomatte/", "exif:makernote", "animation:",
)  # fmt: skip

# A longer text describes something else than the picture: a manifest, a scene, a script.
_LONGEST_TEXT = 1 << 16

_MOVIES = (".mov", ".mkv", ".webm", ".mp4", ".m4v", ".avi", ".mxf")

# How attributes of a special type are handed to OpenImageIO; others follow from the value.
_TYPES = {
    "smpte:timecode": "timecode",
    "framespersecond": "rational",
    "smpte:keycode": "keycode",
}


def is_carried(name: str) -> bool:
    """Whether an attribute of this name is copied from the plate to the matte."""
    lower = name.lower()
    return lower not in DENIED and not lower.startswith(DENIED_PREFIXES)


def carried(spec: Any) -> dict[str, Any]:
    """Return the attributes of an ImageSpec that are copied, by name."""
    found: dict[str, Any] = {}
    for attribute in spec.extra_attribs:
        try:
            if is_carried(attribute.name):
                value = attribute.value
                if not (isinstance(value, str) and len(value) > _LONGEST_TEXT):
                    found[attribute.name] = value
        except UnicodeDecodeError:  # text in a code page nobody named: not worth a frame
            continue
    return found


def put(spec: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes on an ImageSpec. Values without a type there (nested values) are left out."""
    for name, value in attributes.items():
        kind = _TYPES.get(name.lower()) or _kind(value)
        if kind == "rational" and not (isinstance(value, tuple) and len(value) == 2):
            continue
        if kind:
            spec.attribute(name, oiio.TypeDesc(kind), value)


def own_attribute(path: Path, name: str) -> str | None:
    """Return one of our own texts (`matte/...`) of a file that we wrote; None without it."""
    return own_attributes(path).get(name) or None


def own_attributes(path: Path) -> dict[str, str]:
    """Return our own texts (`matte/...`) of a picture or movie by name; empty when it has none."""
    if array_file.is_array(path):
        return _ours(array_file.facts(path).items())
    if path.suffix.lower() in _MOVIES:
        return _of_movie(path)
    if path.suffix.lower() == ".webp":
        return xmp.facts_of_webp(path)
    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return {}
    try:
        spec = source.spec()
        # TIFF has one text for everything: one line for each of ours.
        lines = spec.get_string_attribute("ImageDescription").splitlines()
        pairs = [line.split("=", 1) for line in lines if "=" in line]
        found = _ours((name, value) for name, value in pairs)
        for attribute in spec.extra_attribs:
            with contextlib.suppress(UnicodeDecodeError):
                found |= _ours([(attribute.name, attribute.value)])
        return found
    finally:
        source.close()


def _of_movie(path: Path) -> dict[str, str]:
    import av

    try:
        with av.open(str(path)) as container:
            return _ours(container.metadata.items())
    except (av.FFmpegError, OSError):
        return {}


def _ours(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    # Matroska writes the names of tags in capitals.
    return {
        name.lower(): value
        for name, value in pairs
        if name.lower().startswith("matte/") and isinstance(value, str) and value
    }


def _kind(value: object) -> str:
    if isinstance(value, bool | int):
        return "int" if -(2**31) <= int(value) < 2**31 else ""
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if not isinstance(value, tuple) or not value:
        return ""
    if all(isinstance(item, int) for item in value):
        return {2: "int2", 3: "int3"}.get(len(value), f"int[{len(value)}]")
    if all(isinstance(item, int | float) for item in value):
        small = {2: "float2", 3: "vector", 9: "matrix33", 16: "matrix"}
        return small.get(len(value), f"float[{len(value)}]")
    if all(isinstance(item, str) for item in value):
        return f"string[{len(value)}]"
    return ""
