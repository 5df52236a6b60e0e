# SPDX-License-Identifier: Apache-2.0
"""Which folders the page may open: every path that it names lies inside, links included."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matte_nodes.errors import InputError, UsageError
from matte_nodes.media.pattern import Pattern


@dataclass(frozen=True)
class Places:
    """Folders that may be read, and written by an export. The first one is where paths begin."""

    roots: tuple[Path, ...]

    @staticmethod
    def of(folders: Iterable[Path]) -> Places:
        """Places of folders as they really are, links followed. UsageError for what is no folder."""
        found = []
        for folder in folders:
            real = Path(os.path.realpath(folder))
            if not real.is_dir():
                raise UsageError(f"{folder} is not a folder. Name one that is there (--root).")
            found.append(real)
        return Places(tuple(dict.fromkeys(found)))

    def path(self, text: str) -> Path:
        """A path that the page names, absolute, with all links followed; InputError outside."""
        if not text or "\0" in text:
            raise InputError("No path is named.")
        joined = os.path.join(self.roots[0], os.path.expanduser(text) if text[0] == "~" else text)
        real = Path(os.path.realpath(joined))
        if not self.holds(real):
            raise InputError(
                f"{text} lies outside of {', '.join(map(str, self.roots))}. Start Studio with "
                "--root FOLDER to open other folders."
            )
        return real

    def clip(self, text: str) -> str:
        """A clip that the page names: a file, a folder or a pattern. Each file of it lies inside."""
        if not text:
            raise InputError("No path is named.")
        pattern = (
            None if os.path.lexists(text) else Pattern.parse(os.path.join(self.roots[0], text))
        )
        if pattern is None:
            return str(self.path(text))
        folder = self.path(str(pattern.folder))
        self._check(Pattern.parse(folder / Path(text).name))
        return str(folder / Path(text).name)

    def check_files(self, files: Sequence[Path]) -> None:
        """InputError when a file of a clip is a link to the outside."""
        for file in files:
            if file.is_symlink():
                self.path(str(file))

    def holds(self, real: Path) -> bool:
        """Whether a path without links lies inside."""
        return any(real == root or root in real.parents for root in self.roots)

    def _check(self, pattern: Pattern | None) -> None:
        if pattern is not None:
            self.check_files(list(pattern.find().values()))
