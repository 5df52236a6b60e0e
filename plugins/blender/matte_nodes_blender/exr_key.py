# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the content key in the header of a baked EXR, without a pixel and without a library."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from .mapping import sequence

_MAGIC = b"\x76\x2f\x31\x01"
_NAME = b"matte/key"
_LARGEST = 1 << 20
_LINES = {b"\0": 1, b"\1": 1, b"\2": 1, b"\3": 16}
"""Lines of a block: without compression, rle, zips, zip."""
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
    """Return the content key of a baked file; "" for one that has none, or that is cut short."""
    try:
        with open(path, "rb") as file:
            head = file.read(_LARGEST)
            return _key(head) if _whole(file, head) else ""
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


def _whole(file: BinaryIO, head: bytes) -> bool:
    """Whether the last block that an EXR (of lines) names is in the file to its end."""
    _, y0, _, y1 = struct.unpack("<4i", _attribute(head, b"dataWindow"))
    lines = _LINES.get(_attribute(head, b"compression"), 0)
    end = _end(head)
    if not lines or end < 0:
        return True  # of a kind that no bake is: not ours to judge
    blocks = -(-(y1 - y0 + 1) // lines)
    file.seek(end)
    table = struct.unpack(f"<{blocks}Q", file.read(8 * blocks))
    if not all(table):  # a writer fills the table in at the end
        return False
    file.seek(max(table) + 4)
    (size,) = struct.unpack("<i", file.read(4))
    return os.fstat(file.fileno()).st_size >= max(table) + 8 + int(size)


def _end(data: bytes) -> int:
    """Return where the header ends; -1 when it is not in the data."""
    for name, after, length in _attributes(data):
        if not name:
            return after
        if after + length > len(data):
            break
    return -1


def _attribute(data: bytes, name: bytes) -> bytes:
    for own, after, length in _attributes(data):
        if own == name:
            return data[after : after + length]
    return b""


def _attributes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of each attribute; at last b"" and the place behind the header."""
    at = 8
    while data[:4] == _MAGIC and data[at : at + 1] not in (b"\0", b""):
        end = data.index(b"\0", at)
        after = data.index(b"\0", end + 1) + 1
        (length,) = struct.unpack_from("<i", data, after)
        yield data[at:end], after + 4, max(length, 0)
        at = after + 4 + max(length, 0)
    if data[at : at + 1] == b"\0":
        yield b"", at + 1, 0
