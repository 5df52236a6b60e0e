# SPDX-License-Identifier: Apache-2.0
"""Look: file times that are read once, and how far each chain of keys was checked with them."""

from __future__ import annotations

from matte_nodes.media.stat_cache import StatCache
from matte_nodes.reads import Sign


class Look(StatCache):
    """A StatCache that also remembers hashes, and how far which chain of keys was checked."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: dict[tuple[int, int], int] = {}
        self.hashes: dict[Sign, str] = {}
        """The first hash of each file's state. What was read in this state has this hash, also
        when the file is replaced before its key is asked for again."""
        self.stamps: dict[int, str] = {}
        """The key of each frame's matte, from when its inputs were read."""

    def forget(self, chain: int, index: int) -> None:
        """Look at the files anew, and check a chain again from this place on."""
        self.forget_signs()
        self.hashes.clear()
        for (owner, start), upto in list(self.checked.items()):
            if owner == chain:
                self.checked[owner, start] = min(upto, index - 1)
