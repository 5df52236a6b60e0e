# SPDX-License-Identifier: Apache-2.0
"""StatCache: reads the size and times of each input file only once."""

from __future__ import annotations

import os

from matte_nodes.errors import MissingFrameError
from matte_nodes.reads import Sign


class StatCache:
    """Keeps the sign of each file after the first request."""

    def __init__(self) -> None:
        self._signs: dict[str, Sign] = {}

    def sign(self, path: str) -> Sign:
        """Return the sign of a file. Raises MissingFrameError when it is gone."""
        found = self._signs.get(path)
        if found is None:
            try:
                found = Sign.of(path, os.stat(path))
            except OSError as error:
                raise MissingFrameError(
                    f"{path} is gone or cannot be reached ({error.strerror})."
                ) from error
            self._signs[path] = found
        return found

    def forget_signs(self) -> None:
        """Forget all signs: the next request reads the disk again."""
        self._signs.clear()


__all__ = ["Sign", "StatCache"]
