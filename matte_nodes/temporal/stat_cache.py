# SPDX-License-Identifier: Apache-2.0
"""Look: file times that are read once, and how far each chain of keys was checked with them."""

from __future__ import annotations

from matte_nodes.media.stat_cache import StatCache


class Look(StatCache):
    """A StatCache that also keeps how far each chain of keys was checked with its signs."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: dict[tuple[int, int], int] = {}

    def forget(self, chain: int, index: int) -> None:
        """Look at the files anew, and check a chain again from this place on."""
        self.forget_signs()
        for (owner, start), upto in list(self.checked.items()):
            if owner == chain:
                self.checked[owner, start] = min(upto, index - 1)
