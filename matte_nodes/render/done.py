# SPDX-License-Identifier: Apache-2.0
"""What an output has already: which frames lie whole on disk, with the right key."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matte_nodes.errors import OutputError
from matte_nodes.frame_range import spelled
from matte_nodes.media.metadata import own_attribute, own_attributes
from matte_nodes.media.pattern import Pattern
from matte_nodes.media.sequence_writer import is_undamaged
from matte_nodes.render.object_files import ObjectFiles
from matte_nodes.render.resume_log import KEY, Manifest, sum_of


class Done:
    """The files of one object, or of all of them, and the list of those that are done.

    files: how they are named. facts: what stands at the head of the list (model, knobs, spaces).
    """

    def __init__(self, files: ObjectFiles, facts: Mapping[str, Any]) -> None:
        self.files = files
        self._manifest = Manifest(files.output, {**facts, **files.texts})
        self._pattern = Pattern.parse(files.output)

    def path(self, frame: int) -> Path:
        """Return the file of a frame; one file holds a movie and a still."""
        return self._pattern.path(frame) if self._pattern else Path(self.files.output)

    def holds_movie(self, first: int, key: str) -> bool:
        """Whether the movie that begins at this frame lies there with this key, whole."""
        path = Path(self.files.output)
        return path.is_file() and self._manifest.is_done(first, self.files.key(key), path)

    def holds_frame(self, frame: int, key: str, texts: Callable[[], Mapping[str, str]]) -> bool:
        """Whether a frame's file lies there with this key, whole.

        key: of the frame. texts: returns the texts that would be written into it; it is called only
        where the list does not know the file.
        """
        key, path = self.files.key(key), self.path(frame)
        if self._manifest.is_done(frame, key, path):
            return True
        # A crash between the rename and the list's line, or a copy without the list: the file says
        # what it is, and all of it can be read.
        if (
            not self._manifest.knows(frame, key, path)
            and self._says_the_same(path, key, texts)
            and is_undamaged(path)
        ):
            self._manifest.record(frame, key, path)
            return True
        return False

    def note_frame(self, frame: int, key: str, path: Path) -> None:
        """Note a frame that is whole on disk. key: of this file. Raises OutputError."""
        self._manifest.record(frame, key, path, written(frame, key, path))

    def note_movie(self, first: int, key: str) -> None:
        """Note the movie that is whole on disk. key: of all its frames. Raises OutputError."""
        self._manifest.record(first, self.files.key(key), Path(self.files.output))

    def without_surplus(self, wanted: list[int]) -> list[str]:
        """Remove frames inside the range that an earlier run wrote and this one would not.

        A run that holds missing plates writes a matte for each; one that skips them does not. Only
        files that lie as our list says are removed. Returns what the user should know.
        """
        frames, gone = set(wanted), []
        if self._pattern is not None:
            for frame in self._manifest.frames(wanted[0], wanted[-1]):
                path = self._pattern.path(frame)
                if frame not in frames and self._manifest.holds(frame, path):
                    path.unlink(missing_ok=True)
                    gone.append(frame)
        if not gone:
            return []
        return [
            f"Removed the mattes of frames {spelled(gone)}: an earlier run wrote them, and the "
            "plate has no such frames now."
        ]

    def _says_the_same(self, path: Path, key: str, texts: Callable[[], Mapping[str, str]]) -> bool:
        """Whether a file's texts are those that would be written; no sum guards them."""
        found = own_attributes(path)
        if found.get(KEY) != key:
            return False
        wanted = {**texts(), **self.files.texts}
        return all(found.get(name, "") == text for name, text in wanted.items())


def written(frame: int, key: str, path: Path) -> tuple[int, str]:
    """Return size and sum of a frame's file, which must be the very one that was written.

    Raises OutputError when another run has put its own in its place: nothing else would tell.
    """
    before = path.stat()
    is_ours = own_attribute(path, KEY) == key
    total = sum_of(path)
    if not is_ours or not os.path.samestat(before, path.stat()):
        raise OutputError(
            f"{path}: Another run wrote frame {frame} at the same moment. Let one run end before "
            "another one writes into this folder."
        )
    return before.st_size, total
