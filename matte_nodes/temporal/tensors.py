# SPDX-License-Identifier: Apache-2.0
"""Named arrays in a safetensors file that says what it is and knows when it was damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.runtime import to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

_HEADER_LIMIT = 1 << 20


class DamagedEntry(Exception):  # noqa: N818  (it never leaves this room)
    """A file of the cache is not what it should be; it is dropped and made again."""


def save_tensors(path: Path, arrays: Arrays, key: str) -> None:
    """Write arrays of any shape and type, with their key and a sha256 over all of them.

    A state that lies on a card is brought to the host for it.
    """
    from safetensors.numpy import save_file

    whole = {name: np.asarray(to_host(array), order="C") for name, array in arrays.items()}
    save_file(whole, path, metadata={"key": key, "sha256": digest_of(whole)})


def load_tensors(path: Path, key: str | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that `save_tensors` wrote under this key (None: under any).

    Raises DamagedEntry when it is cut off, altered, or another entry's file. Raises OSError when it
    is
    not there.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = path.read_bytes()
    said = _metadata(content)
    if key is not None and said.get("key") != key:
        raise DamagedEntry(f"{path.name} is another entry's file")
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise DamagedEntry(f"{path.name}: {error}") from error
    if digest_of(arrays) != said.get("sha256"):
        raise DamagedEntry(f"{path.name}: its content does not match its hash")
    return arrays


def digest_of(arrays: Arrays) -> str:
    """Return sha256 over names, types, shapes and bytes, hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def _metadata(content: bytes) -> dict[str, Any]:
    """Return the texts in the header: 8 bytes of length, JSON, then the arrays."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > _HEADER_LIMIT:
        raise DamagedEntry("no header, or one that is too long")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise DamagedEntry("its header is not JSON") from error
    said = header.get("__metadata__") if isinstance(header, dict) else None
    return said if isinstance(said, dict) else {}
