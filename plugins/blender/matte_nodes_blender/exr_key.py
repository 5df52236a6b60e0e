# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the content key in the header of a baked EXR, without a pixel and without a library."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from .mapping import sequence

_MAGIC = b"\x76\x2f\x31\x01"
_NAME = b"matte/key"
_LARGEST = 1 << 20
KEPT = 12
"""Signs of a key that a .blend keeps: a file of 1000 frames stays small."""
_known: dict[str, tuple[int, int, str]] = {}


def keys(folder: str, frames: Iterable[int]) -> dict[int, str]:
    """Return the first signs of each frame's key; "" for a file that has none.

    A file whose size and time did not change is not opened again. Frames that are not there are
    left out.
    """
    names = sequence(os.path.join(folder, "matte.0000.exr"))
    assert names is not None
    there, found = names.there(), {}
    for frame in frames:
        if frame in there:
            path, now = names.path(frame), there[frame]
            known = _known.get(path)
            if known is None or known[:2] != (now.st_size, now.st_mtime_ns):
                known = _known[path] = now.st_size, now.st_mtime_ns, key(path)[:KEPT]
            found[frame] = known[2]
    return found


def key(path: str) -> str:
    """Return the content key of a baked file; "" for one that has none or cannot be read."""
    try:
        with open(path, "rb") as file:
            return _key(file.read(_LARGEST))
    except (OSError, ValueError, struct.error, UnicodeDecodeError):
        return ""


def size(path: str) -> tuple[int, int]:
    """Return width and height of an EXR's display window; (0, 0) for a file that is none."""
    try:
        with open(path, "rb") as file:
            found = _attribute(file.read(_LARGEST), b"displayWindow")
        x0, y0, x1, y1 = struct.unpack("<4i", found)
    except (OSError, ValueError, struct.error):
        return 0, 0
    return x1 - x0 + 1, y1 - y0 + 1


def _key(data: bytes) -> str:
    return _attribute(data, _NAME).decode("ascii")


def _attribute(data: bytes, name: bytes) -> bytes:
    if data[:4] != _MAGIC:
        return b""
    at = 8
    while data[at : at + 1] not in (b"\0", b""):
        end = data.index(b"\0", at)
        after = data.index(b"\0", end + 1) + 1
        (length,) = struct.unpack_from("<i", data, after)
        if data[at:end] == name:
            return data[after + 4 : after + 4 + max(length, 0)]
        at = after + 4 + max(length, 0)
    return b""
