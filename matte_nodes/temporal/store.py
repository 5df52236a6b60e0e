# SPDX-License-Identifier: Apache-2.0
"""Store: the cache on disk. Entries by content key, whole or not there, oldest dropped first.

<folder>/states/ab/<key>.safetensors        memory of a model after a frame
<folder>/predictions/ab/<key>.safetensors   what a model answered
<folder>/results/ab/<key>.exr               finished mattes
<folder>/inputs.txt                         hashes of input files
<folder>/locks/abc.lock                     who is computing what just now
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from matte_nodes.errors import MatteError, UsageError
from matte_nodes.temporal.claims import PATIENCE, CacheWarning, claimed
from matte_nodes.temporal.memo import Memo
from matte_nodes.temporal.tensors import DamagedEntry
from matte_nodes.whole_files import whole_file

Value = TypeVar("Value")

KINDS = {"states": ".safetensors", "predictions": ".safetensors", "results": ".exr"}
DEFAULT_LIMIT = 20 << 30
_RETRY = 30.0
_STALE = 24 * 3600.0


@dataclass(frozen=True)
class Entry:
    """One file of the store; `used` is when it was last written or read, in seconds."""

    kind: str
    path: Path
    size: int
    used: float


def default_limit() -> int:
    """$MATTE_CACHE_BYTES (a number, or one with K, M, G or T), else 20 GiB. Raises UsageError."""
    text = os.environ.get("MATTE_CACHE_BYTES", "").strip()
    return parsed_bytes(text, "MATTE_CACHE_BYTES") if text else DEFAULT_LIMIT


def parsed_bytes(text: str, name: str) -> int:
    """Return a size as people write it, "20G" or "1000000".

    Raises UsageError names where it was given.
    """
    power = "KMGT".find(text[-1:].upper()) + 1
    try:
        number = float(text[:-1] if power else text)
        if not 0 <= number < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{name} must be a number of bytes, for example 20G, not {text!r}."
        ) from None
    return int(number * 1024**power)


class Store:
    """Entries of three kinds under one folder. limit: bytes that they may take together."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = default_limit() if limit is None else limit
        self.memo = Memo(folder / "inputs.txt", self.say)
        self.dropped = 0
        self._unchecked: int | None = None
        self._warned = False
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def path(self, kind: str, key: str) -> Path:
        """Return where an entry lies; keys are hexadecimal."""
        return self.folder / kind / key[:2] / (key + KINDS[kind])

    def has(self, kind: str, key: str) -> bool:
        """Whether there is an entry, sound or not."""
        return self.path(kind, key).is_file()

    def read(self, kind: str, key: str, load: Callable[[Path], Value]) -> Value | None:
        """Return the entry's value; None when there is none. A damaged one is dropped."""
        path = self.path(kind, key)
        try:
            if not _is_plain(path):
                self.drop(path)
                return None
            value = load(path)
        except FileNotFoundError:
            return None
        except (DamagedEntry, MemoryError, ValueError):  # OpenImageIO may not even say why
            self.drop(path)
            return None
        except OSError as error:
            self.trouble(error)
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def write(self, kind: str, key: str, save: Callable[[Path], None]) -> None:
        """Keep an entry: `save` writes a temporary file, which is then renamed into place.

        What is there already is replaced: nobody has looked whether it is sound. A disk that is
        full or not writable is said once, and tried again half a minute later; nothing is raised.
        """
        path = self.path(kind, key)
        if time.monotonic() < self._quiet_until:
            return
        try:
            if path.is_dir():
                self.drop(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, shared=True) as temporary:
                save(temporary)
                size = temporary.stat().st_size
        except (OSError, MatteError, RuntimeError) as error:
            self.trouble(error)
            return
        except Exception as error:  # safetensors raises its own class for a full disk
            if type(error).__name__ != "SafetensorError":
                raise
            self.trouble(error)
            return
        self._count(size)

    def forget(self, kind: str, key: str) -> None:
        """Remove an entry that is not needed any more."""
        with suppress(OSError):
            self.path(kind, key).unlink()

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Be the only process that computes this; a claim ends with its process, however it dies.

        Waits while another has it, PATIENCE seconds at most (an owner that was stopped or hangs):
        then both compute, and both get the same.
        """
        # Few names, each for many keys: nothing has to be cleaned up after a crash.
        path = self.folder / "locks" / f"{key[:3]}.lock"
        return claimed(path, PATIENCE, self.trouble)

    def entries(self) -> list[Entry]:
        """Return all entries, the longest unused first."""
        found = []
        for kind, suffix in KINDS.items():
            for path in (self.folder / kind).glob(f"??/*{suffix}"):
                with suppress(OSError):
                    facts = path.lstat()
                    found.append(Entry(kind, path, facts.st_size, facts.st_mtime))
        return sorted(found, key=lambda entry: entry.used)

    def collect(self, limit: int | None = None) -> tuple[int, int]:
        """Drop the longest unused entries until they fit in the limit; (entries, bytes) dropped.

        Also removes what writers that were killed have left.
        """
        limit = self.limit if limit is None else limit
        entries = self.entries()
        total, count, freed = sum(entry.size for entry in entries), 0, 0
        # A little more than needed, so that the next write does not have to look again.
        goal = limit if total <= limit or limit < 0 else limit - limit // 10
        for entry in entries:
            if total - freed <= goal:
                break
            if self.drop(entry.path):
                count, freed = count + 1, freed + entry.size
        left = [*self.folder.glob("*/??/.matte-*.tmp"), *self.folder.glob("locks/run-*.lock")]
        for path in left:
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _STALE:
                    path.unlink()
        return count, freed

    def clear(self) -> tuple[int, int]:
        """Drop everything, the hashes of input files too; (entries, bytes) dropped."""
        dropped = self.collect(-1)
        with suppress(OSError):
            (self.folder / "inputs.txt").unlink()
        return dropped

    def trouble(self, error: BaseException) -> None:
        """Warn once that the cache folder is unusable, and do not use it for a while."""
        self._quiet_until = time.monotonic() + _RETRY
        self.say(error)

    def say(self, error: BaseException) -> None:
        """Warn once that the cache folder is unusable."""
        with self._lock:
            if self._warned:
                return
            self._warned = True
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"The cache in {self.folder} cannot be used ({reason}): the work goes on without it. "
            "Free some room (`matte cache gc`) or set MATTE_HOME to another disk.",
            CacheWarning,
            stacklevel=3,
        )

    def _count(self, size: int) -> None:
        """After a write: look at the whole store at first, then after each sixteenth of it."""
        with self._lock:
            self._unchecked = None if self._unchecked is None else self._unchecked + size
            due = self._unchecked is None or self._unchecked > self.limit // 16
            if due:
                self._unchecked = 0
        if due:
            self.collect()

    def drop(self, path: Path) -> bool:
        """Remove whatever lies in an entry's place; False when it cannot be."""
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError:
            return False
        self.dropped += 1
        return True


def _is_plain(path: Path) -> bool:
    """Whether this is a file, and no link, pipe or folder that was put in its place."""
    return stat.S_ISREG(path.lstat().st_mode)
