# SPDX-License-Identifier: Apache-2.0
"""Lru: values in memory, the least recently used forgotten first when their bytes are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Lru(Generic[Value]):
    """Values by key. limit: bytes. at_least: so many newest values stay whatever their size."""

    def __init__(self, limit: int, at_least: int = 0) -> None:
        self.limit, self.at_least = limit, at_least
        self.size = 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def names(self) -> list[str]:
        """Return all keys, oldest first."""
        with self._lock:
            return list(self._values)

    def get(self, key: str) -> Value | None:
        """Return the value, which is now the newest; or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keep a value of so many bytes."""
        with self._lock:
            before = self._values.pop(key, None)
            if before is not None:
                self.size -= before[1]
            if size > self.limit and not self.at_least:
                return
            self._values[key] = (value, size)
            self.size += size
            while self.size > self.limit and len(self._values) > self.at_least:
                _, (_, freed) = self._values.popitem(last=False)
                self.size -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self.size = 0
