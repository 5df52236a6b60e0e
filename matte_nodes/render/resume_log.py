# SPDX-License-Identifier: Apache-2.0
"""The manifest beside an output lists finished frames with their inputs and settings.

One JSON object a line, appended when a frame is whole on disk; a line cut off by a crash is
ignored. A frame whose line was lost is recognised by the key inside the file itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matte_nodes.errors import OutputError
from matte_nodes.whole_files import append, read_plain

KEY = "matte/key"
SCHEMA = 2
_LONGEST = 255  # bytes of a file name, nearly everywhere


def manifest_path(output: str) -> Path:
    """Return the path of an output's manifest: a hidden file beside the output."""
    path = Path(output)
    if not path.name:
        raise OutputError(f"{output!r} is not a file name. Name the output (-o matte.####.exr).")
    if len(os.fsencode(path.name)) > _LONGEST:
        raise OutputError(f"{output}: the file name is too long ({_LONGEST} bytes).")
    stem = path.name
    for mark in '#%@<>*?:|"\\':
        stem = stem.replace(mark, "_")
    name = f".{stem}.matte.jsonl"
    if len(os.fsencode(name)) > _LONGEST:
        name = f".{hashlib.sha256(os.fsencode(stem)).hexdigest()[:32]}.matte.jsonl"
    return path.with_name(name)


def sum_of(path: Path) -> str:
    """Return a short sum over all bytes of a file: CRC-32 and Adler-32, 1.5 ms for 4 MiB.

    One of them alone is not enough. A PNG holds CRCs of its parts, so all PNG files with parts of
    the same lengths have one CRC. Arrays hold none, and are large: CRC-32 alone. Raises OSError.
    """
    crc, adler = 0, 1
    is_array = path.suffix.lower() == ".npy"
    with path.open("rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
            adler = adler if is_array else zlib.adler32(piece, adler)
    return f"{crc:08x}{adler:08x}"


class Manifest:
    """The list of frames that earlier runs finished. `record` adds a frame.

    settings: facts that stand at its head for people and tools (model, weights, knobs, spaces);
    an empty one is taken from the file.
    """

    def __init__(self, output: str, settings: Mapping[str, Any]) -> None:
        self.path = manifest_path(output)
        self.settings = dict(settings)
        self._done: dict[int, dict[str, Any]] = {}
        self._began = False
        if self.path.exists() and not self.path.is_file():  # a pipe would be waited for
            raise OutputError(f"{self.path} is not a file. Move it away.")
        try:
            lines = read_plain(self.path).decode("utf-8", "replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        for line in lines:
            self._take(line)

    def is_done(self, frame: int, key: str, path: Path) -> bool:
        """Whether this frame lies whole on disk with this key, byte for byte as it was written."""
        entry = self._done.get(frame)
        return entry is not None and entry.get("key") == key and self.holds(frame, path)

    def holds(self, frame: int, path: Path) -> bool:
        """Whether this frame's file lies byte for byte as it was written, whatever its key is."""
        entry = self._done.get(frame)
        if entry is None or entry.get("file") != path.name:
            return False
        try:
            if path.stat().st_size != entry.get("size"):
                return False
            return sum_of(path) == entry.get("sum")
        except OSError:
            return False

    def knows(self, frame: int, key: str, path: Path) -> bool:
        """Whether this very frame was written here: then its line says what its file holds."""
        entry = self._done.get(frame)
        return entry is not None and (entry.get("key"), entry.get("file")) == (key, path.name)

    def entries(self, frames: Iterable[int]) -> list[dict[str, Any]]:
        """Return the manifest's lines of these frames, unchanged."""
        return [self._done[frame] for frame in frames if frame in self._done]

    def frames(self, first: int, last: int) -> list[int]:
        """Return the frames of a range that earlier runs have written."""
        return sorted(frame for frame in self._done if first <= frame <= last)

    def record(
        self, frame: int, key: str, path: Path, found: tuple[int, str] | None = None
    ) -> None:
        """Note a frame that is whole on disk; raises OutputError when that cannot be written.

        found: size and sum of the file when it was known to be this frame; None asks for them now.
        """
        size, total = found or (path.stat().st_size, sum_of(path))
        entry = {
            "frame": frame,
            "key": key,
            "file": path.name,
            "size": size,
            "sum": total,
        }
        lines = "" if self._began else "\n" + self._head()
        self._began = True
        self._done[frame] = entry
        text = lines + json.dumps(entry) + "\n"
        try:
            append(self.path, text)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}."
            ) from error

    def _head(self) -> str:
        return json.dumps({"schema": SCHEMA, "settings": self.settings}) + "\n"

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if "frame" in entry:
                self._done[int(entry["frame"])] = entry
            elif not self.settings:
                self.settings = dict(entry["settings"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return  # a line that a crash cut off, or that is none of ours
