# SPDX-License-Identifier: Apache-2.0
"""StatCache: reads the size and times of each input file only once."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from matte_nodes.errors import MissingFrameError


class Sign(NamedTuple):
    """A file's path, size and times. They change when the file changes."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def is_settled(self) -> bool:
        """Whether any later change of the file will change its times.

        Two writes within one tick of the file system's clock leave the same times: a file that
        young is not trusted. Linux ticks every 4 to 10 ms; whole seconds mean a coarse clock.
        """
        newest = max(self.mtime_ns, self.ctime_ns)
        tick = 50_000_000 if newest % 1_000_000_000 else 2_100_000_000
        return time.time_ns() - newest > tick


class StatCache:
    """Keeps the sign of each file after the first request."""

    def __init__(self) -> None:
        self._signs: dict[str, Sign] = {}

    def sign(self, path: str) -> Sign:
        """Return the sign of a file. Raises MissingFrameError when it is gone."""
        found = self._signs.get(path)
        if found is None:
            try:
                stat = os.stat(path)
            except OSError as error:
                raise MissingFrameError(
                    f"{path} is gone or cannot be reached ({error.strerror})."
                ) from error
            found = Sign(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            self._signs[path] = found
        return found

    def forget_signs(self) -> None:
        """Forget all signs: the next request reads the disk again."""
        self._signs.clear()
