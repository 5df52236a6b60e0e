# SPDX-License-Identifier: Apache-2.0
"""Session: a folder with one JSON file and the painted pictures, saved after every edit."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError, MediaError, UsageError
from matte_nodes.media.pattern import Pattern
from matte_nodes.studio import document as documents
from matte_nodes.studio import edits
from matte_nodes.studio.document import Document, Painted
from matte_nodes.studio.request import KEYS, POINTS, TRIMAPS, arguments, points_of
from matte_nodes.whole_files import prepare_folder, read_plain, write_bytes, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.uint8] | NDArray[np.uint16]

FILE = "session.json"
LARGEST_FILE = 16 << 20
MOST_UNDO = 200
_FILES = {"trimaps": TRIMAPS, "keys": KEYS}


class Session:
    """An open session. Thread-safe. Each edit makes a new document, saves it, and can be undone.

    revision: raised by each edit. folder: the session's own; all it writes lies in it.
    """

    def __init__(self, folder: Path, document: Document, pictures: Mapping[str, bytes]) -> None:
        self.folder, self.document, self.revision = folder, document, 0
        self._pictures = dict(pictures)
        self._past: list[Document] = []
        self._future: list[Document] = []
        self._lock = threading.RLock()
        self._on_disk: dict[str, str] = {}

    @classmethod
    def new(cls, folder: Path, plate: str) -> Session:
        """A session of a plate in a new folder. plate: an absolute path, pattern or folder."""
        prepare_folder(folder)
        session = cls(folder, Document(plate), {})
        session.save()
        return session

    @classmethod
    def open(cls, folder: Path, remap: Mapping[str, str] | None = None) -> Session:
        """The session of a folder. remap: beginnings of paths, and what stands for them now.

        A path that is not there any more is looked for beside the session, where it was when the
        session was saved. Raises MediaError for a broken file, UsageError for another version.
        """
        path = folder / FILE
        try:
            plain = json.loads(read_plain(path, LARGEST_FILE).decode("utf-8"))
        except OSError as error:
            raise MediaError(
                f"{path} cannot be read ({error.strerror}). Name a folder that holds {FILE}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise MediaError(f"{path} is not a session file: {error}.") from error
        try:
            document = documents.from_dict(plain)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
        relative = plain.get("relative", {})
        document = _moved(document, folder, relative if isinstance(relative, dict) else {}, remap)
        session = cls(folder, document, {})
        session._load()
        return session

    def apply(self, asked: Mapping[str, Any]) -> Document:
        """Do one edit. Raises UsageError, and changes nothing then."""
        with self._lock:
            if asked.get("edit") == "undo":
                return self._step(self._past, self._future)
            if asked.get("edit") == "redo":
                return self._step(self._future, self._past)
            return self._become(edits.apply(self.document, asked))

    def paint(self, kind: str, frame: int, codes: Codes | None, box: documents.Box | None) -> str:
        """Put a picture at a frame of `trimaps` or `keys`; None takes it away. Returns its hash."""
        with self._lock:
            new = None
            if codes is not None:
                data = encoded(codes)
                new = Painted(hashlib.sha256(data).hexdigest(), box)
                self._pictures[new.sha] = data
            self._become(edits.painted(self.document, kind, frame, new))
            return "" if new is None else new.sha

    def picture(self, sha: str) -> bytes:
        """The PNG of a painted picture, by its hash. Raises InputError."""
        found = self._pictures.get(sha)
        if found is None:
            raise InputError(f"The session has no picture {sha:.12}.")
        return found

    @property
    def undo_depth(self) -> tuple[int, int]:
        """How many edits can be undone, and how many can be done again."""
        return len(self._past), len(self._future)

    def settings_key(self, document: Document | None = None) -> str:
        """A hash of all that the session says about results, without the plate's own files.

        document: in place of the session's own.
        """
        with self._lock:
            document = document or self.document
            facts = arguments(document, self.folder)
            shas = {str(frame): one.sha for frame, one in document.trimaps.items()}
            return hashlib.sha256(
                json.dumps([facts, shas], sort_keys=True, default=str).encode()
            ).hexdigest()

    def save(self) -> None:
        """Write the folder: the JSON last, so that it never names a picture that is not there."""
        with self._lock:
            for kind, spelled in _FILES.items():
                self._write_pictures(getattr(self.document, kind), spelled)
            points = points_of(self.document)
            if points is None:
                (self.folder / POINTS).unlink(missing_ok=True)
            else:
                write_text(self.folder / POINTS, json.dumps(points, indent=1) + "\n")
            plain = {**self.document.as_dict(), "relative": _relative(self.document, self.folder)}
            write_text(self.folder / FILE, json.dumps(plain, indent=1) + "\n")

    def _become(self, document: Document) -> Document:
        if document != self.document:
            before = self.document
            self.document = document
            try:
                self.save()
            except BaseException:
                self.document = before
                raise
            self._past = [*self._past[-MOST_UNDO:], before]
            self._future = []
            self.revision += 1
        return self.document

    def _step(self, back: list[Document], forth: list[Document]) -> Document:
        if back:
            forth.append(self.document)
            self.document = back.pop()
            self.revision += 1
            self.save()
        return self.document

    def _write_pictures(self, wanted: Mapping[int, Painted], spelled: str) -> None:
        pattern = Pattern.parse(self.folder / spelled)
        assert pattern is not None
        there = pattern.find() if pattern.folder.is_dir() else {}
        if wanted:
            pattern.folder.mkdir(exist_ok=True)
        for frame in set(there) - set(wanted):
            there[frame].unlink(missing_ok=True)
        for frame, one in wanted.items():
            path = pattern.path(frame)
            if self._on_disk.get(str(path)) != one.sha or frame not in there:
                write_bytes(path, self._pictures[one.sha])
                self._on_disk[str(path)] = one.sha

    def _load(self) -> None:
        for kind, spelled in _FILES.items():
            pattern = Pattern.parse(self.folder / spelled)
            assert pattern is not None
            for frame, one in getattr(self.document, kind).items():
                path = pattern.path(frame)
                try:
                    data = read_plain(path)
                except OSError as error:
                    raise MediaError(
                        f"{path} cannot be read ({error.strerror}). Copy the whole session folder."
                    ) from error
                if hashlib.sha256(data).hexdigest() != one.sha:
                    raise MediaError(
                        f"{path} was changed since the session was saved. Put the old file back."
                    )
                self._pictures[one.sha] = data
                self._on_disk[str(path)] = one.sha


def encoded(codes: Codes) -> bytes:
    """A plane (H, W) of 8 or 16 bit codes as a PNG file."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(codes), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise InputError("OpenCV could not write a PNG picture.")
    return bytes(data.tobytes())


def _paths(document: Document) -> dict[str, str]:
    found = {"plate": document.plate, **document.hints, "behind": document.behind}
    found["ocio"] = "" if document.ocio.startswith("ocio://") else document.ocio
    return {name: path for name, path in found.items() if path}


def _relative(document: Document, folder: Path) -> dict[str, str]:
    found = {}
    for name, path in _paths(document).items():
        try:
            found[name] = os.path.relpath(path, folder)
        except ValueError:  # another drive
            continue
    return found


def _moved(
    document: Document,
    folder: Path,
    relative: Mapping[str, Any],
    remap: Mapping[str, str] | None,
) -> Document:
    new = {}
    for name, path in _paths(document).items():
        for old, now in (remap or {}).items():
            if path == old or path.startswith(old.rstrip("/\\") + "/"):
                path = now.rstrip("/\\") + path[len(old.rstrip("/\\")) :]
                break
        beside = relative.get(name)
        if not _is_there(path) and isinstance(beside, str):
            other = os.path.normpath(os.path.join(folder, beside))
            path = other if _is_there(other) else path
        new[name] = path
    hints = {name: new[name] for name in document.hints}
    return replace(
        document,
        plate=new["plate"],
        hints=hints,
        behind=new.get("behind", ""),
        ocio=new.get("ocio", document.ocio),
    )


def _is_there(path: str) -> bool:
    if os.path.exists(path):
        return True
    pattern = Pattern.parse(path)
    try:
        return pattern is not None and bool(pattern.find())
    except MediaError:
        return False
