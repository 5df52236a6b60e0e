# SPDX-License-Identifier: Apache-2.0
"""Memo: facts that cost reading a file to know again, in one append-only text file.

A line is `key value crc32`. Several processes append at once, one write a line; a line that is
torn, cut off or damaged does not match its checksum and is as if it had never been written.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from matte_nodes.errors import OutputError
from matte_nodes.whole_files import append, whole_file

LIMIT = 32 << 20
"""Bytes; about 250,000 inputs. A longer file loses its older half."""


class Memo:
    """Short texts by key. path: the file, made when it is first needed."""

    def __init__(self, path: Path, trouble: Callable[[OSError], None]) -> None:
        self._path, self._trouble = path, trouble
        self._known: dict[str, str] = {}
        self._read = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        """Return the text of this key, or None; looks again for what other processes have added."""
        with self._lock:
            if key not in self._known:
                self._catch_up()
            return self._known.get(key)

    def put(self, key: str, value: str) -> None:
        """Remember; key and value hold no white space. Never raises for a full disk."""
        with self._lock:
            if self._known.get(key) == value:
                return
            self._known[key] = value
            text = f"{key} {value}"
            line = f"{text} {zlib.crc32(text.encode()):08x}\n"
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                append(self._path, line)
            except OSError as error:
                self._trouble(error)

    def _catch_up(self) -> None:
        try:
            if not self._path.is_file():
                self._read = 0
                return
            size = self._path.stat().st_size
            if size < self._read:  # somebody shortened it
                self._read = 0
            if size == self._read:
                return
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read(4 * LIMIT)
        except OSError:
            return
        whole = text.rfind(b"\n") + 1
        self._read += whole
        lines = text[:whole].decode("ascii", "replace").splitlines()
        for line in lines:
            key, _, rest = line.partition(" ")
            value, _, check = rest.rpartition(" ")
            if check == f"{zlib.crc32(f'{key} {value}'.encode()):08x}":
                self._known[key] = value
        if size > LIMIT:
            self._shorten(lines)

    def _shorten(self, lines: list[str]) -> None:
        kept = "\n".join(lines[len(lines) // 2 :]) + "\n"
        try:
            with whole_file(self._path, shared=True) as temporary:
                temporary.write_text(kept, "ascii", "replace")
        except OutputError:
            return
        self._read = len(kept)
