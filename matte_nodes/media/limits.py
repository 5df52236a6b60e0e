# SPDX-License-Identifier: Apache-2.0
"""Limits for the size of inputs: a small file can demand more memory than the machine has.

The limits are far above real plates and can be raised by environment variables.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from matte_nodes.errors import MediaError, UsageError
from matte_nodes.media.image import Rect

PIXELS = "MATTE_MAX_PIXELS"
_PIXELS = 1 << 28  # 16384 x 16384

ATTRIBUTES = 4096
"""Attributes of an EXR file. The time to open one grows with the square: 50,000 take 70 s."""

_EXR = b"v/1\x01"
_LONGEST_NAME = 256


def most_pixels() -> int:
    """Return the largest allowed number of pixels: $MATTE_MAX_PIXELS, else 268,435,456."""
    text = os.environ.get(PIXELS, "")
    try:
        number = int(text or _PIXELS)
    except ValueError as error:
        raise UsageError(f"{PIXELS} is a number of pixels, not {text!r}.") from error
    return number if number > 0 else _PIXELS


def check_size(what: str, window: Rect) -> None:
    """Raise MediaError for a picture that is empty or has too many pixels."""
    if window.width <= 0 or window.height <= 0:
        raise MediaError(f"{what} is empty: {window.width}x{window.height} pixels.")
    if window.width * window.height > most_pixels():
        raise MediaError(
            f"{what} is {window.width}x{window.height}, over the limit of {most_pixels():,} "
            f"pixels; crop it, or raise the limit ({PIXELS}=number)."
        )


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for its header. Raises MediaError that says why it cannot be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror or error}).") from error
    with file:
        yield file


def check_exr(path: Path) -> None:
    """Raise MediaError for an EXR file with more than ATTRIBUTES attributes. 0.05 ms."""
    with opened(path) as file:
        data = file.read(1 << 16)
        if data[:4] != _EXR:
            return
        at, count = 8, 0
        while True:
            if len(data) - at < 2 * _LONGEST_NAME + 8:
                more = file.read(1 << 16)
                data, at = data[at:] + more, 0
            name = data.find(b"\0", at, at + _LONGEST_NAME)
            if name <= at:  # the end of a header, or a damaged one
                return
            kind = data.find(b"\0", name + 1, name + 1 + _LONGEST_NAME)
            if kind < 0 or len(data) < kind + 5:
                return
            (size,) = struct.unpack_from("<I", data, kind + 1)
            at, count = kind + 5 + size, count + 1
            if at > len(data):  # a long value, such as a preview
                file.seek(at - len(data), 1)
                data, at = file.read(1 << 16), 0
            if count > ATTRIBUTES:
                raise MediaError(
                    f"{path}: its header has more than {ATTRIBUTES} attributes; write it anew "
                    "without them."
                )
