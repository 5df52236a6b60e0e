# SPDX-License-Identifier: Apache-2.0
"""Pictures as .npy files: plain numbers, which any process can map into its memory.

(H, W), (H, W, 1), (H, W, 3) or (H, W, 4), straight alpha, uint8, uint16, float16 or float32, rows
from the top, over the display window. Ours end with a JSON object of texts (`matte/...`) behind
the numbers, where other readers do not look.

Read, never mapped: a mapped file that is cut short by its writer ends the process that reads it.
"""

from __future__ import annotations

import ast
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import MediaError

SUFFIX = ".npy"
CHANNELS = {1: ("Y",), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
_TYPES = ("uint8", "uint16", "float16", "float32")
_MAGIC = b"\x93NUMPY\x01\x00"
_LONGEST_HEADER = 4096
_LARGEST = 8 << 30
_LONGEST_FACTS = 1 << 20


def is_array(path: Path) -> bool:
    """Whether a file is one of these, by its name."""
    return path.suffix.lower() == SUFFIX


def shape_and_type(path: Path) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    """Return (H, W, C) and the type of a file that is whole. Raises MediaError when it is not."""
    with _opened(path) as file:
        return _header(file, path)[:2]


def read(path: Path) -> NDArray[Any]:
    """Return the picture, (H, W, C), in the processor's order of bytes. Raises MediaError."""
    with _opened(path) as file:
        shape, kind, order, start = _header(file, path)
        try:
            pixels = np.empty(shape, kind, order=order)
        except MemoryError as error:
            raise MediaError(
                f"{path}: {shape[1]} x {shape[0]} pixels are too many here."
            ) from error
        file.seek(start)
        numbers = pixels.reshape(-1, order="A").view(np.uint8).data
        if file.readinto(numbers) != len(numbers):  # type: ignore[attr-defined]
            raise MediaError(f"{path}: the file was cut short while it was read.")
    return np.ascontiguousarray(pixels, kind.newbyteorder("="))


def facts(path: Path) -> dict[str, str]:
    """Return the texts behind the numbers of a file of ours; {} in any other."""
    try:
        with _opened(path) as file:
            shape, kind, _, start = _header(file, path)
            file.seek(start + int(np.prod(shape)) * kind.itemsize)
            found = json.loads(file.read(_LONGEST_FACTS))
    except (MediaError, ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def write(file: BinaryIO, pixels: NDArray[np.float32], texts: Mapping[str, str]) -> None:
    """(H, W, C) float32 and texts into an open file. Raises OSError when they do not fit."""
    whole = np.ascontiguousarray(pixels, "<f4")
    header = {"descr": "<f4", "fortran_order": False, "shape": whole.shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.write(whole.data.cast("B"))
    file.write(json.dumps(dict(texts)).encode("ascii"))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise MediaError(f"{path}: there is no such file.") from error
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, int, int], np.dtype[Any], Any, int]:
    """Shape (H, W, C), type, order and start of the numbers."""
    start = file.read(10)
    if len(start) < 10 or start[:8] != _MAGIC:
        raise MediaError(f"{path}: the file is empty, damaged, or was not written by numpy.save.")
    (length,) = struct.unpack("<H", start[8:])
    if length > _LONGEST_HEADER:
        raise MediaError(f"{path}: the file is damaged (its header has {length} bytes).")
    try:
        told = ast.literal_eval(file.read(length).decode("latin-1").strip())
        kind, given = np.dtype(str(told["descr"])), tuple(told["shape"])
        order = "F" if told["fortran_order"] else "C"
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise MediaError(
            f"{path}: the file is damaged (its header does not describe an array)."
        ) from error
    numbers = all(type(n) is int and 0 < n < 1 << 20 for n in given)
    shape = given if len(given) == 3 else (*given, 1)
    if not numbers or len(shape) != 3 or shape[2] not in CHANNELS or kind.name not in _TYPES:
        raise MediaError(
            f"{path}: {kind} of shape {given!r:.60} is not a picture; it must be (H, W), (H, W, "
            "3) or "
            f"(H, W, 4) in {', '.join(_TYPES)}."
        )
    size = shape[0] * shape[1] * shape[2] * kind.itemsize
    if size > _LARGEST:
        raise MediaError(f"{path}: {shape[1]} x {shape[0]} pixels are too many.")
    if os.fstat(file.fileno()).st_size < 10 + length + size:
        raise MediaError(f"{path}: the file is not whole.")
    return (shape[0], shape[1], shape[2]), kind, order, 10 + length
