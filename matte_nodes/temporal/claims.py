# SPDX-License-Identifier: Apache-2.0
"""Claims: one process does a thing, others wait for it. A claim ends with its process.

A claim is the system's lock on an open file. Nothing rests on host names or process ids: two
containers may have the same ones.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matte_nodes.temporal.digest import digest
from matte_nodes.whole_files import CLAIM_PREFIX, TEMPORARY_SUFFIX, is_at, open_plain, try_lock

PATIENCE = 120.0
"""Seconds that a frame is waited for that another process has claimed; then both compute it."""

_POLL = 0.005


class CacheWarning(UserWarning):
    """A problem of the cache that the user should know. Results are still right."""


@contextmanager
def claimed(
    path: Path, patience: float, trouble: Callable[[BaseException], None], *, passing: bool = False
) -> Iterator[bool]:
    """Hold the lock file while inside; False inside when others still held it after `patience`.

    patience: seconds; negative waits for ever. passing: the lock file is removed at the end. The
    system frees the lock of a process that died, however it died. Where there can be no lock (a
    full disk, a file system without them) `trouble` is told and the work goes on.
    """
    handle: int | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _acquired(path, patience)
    except (OSError, NotImplementedError) as error:
        trouble(error)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            if passing:
                with suppress(OSError):
                    path.unlink()
            os.close(handle)


def _acquired(path: Path, patience: float) -> int | None:
    """Return the locked file; None when another process had it all the time. Raises OSError."""
    until = time.monotonic() + patience
    while True:
        handle = open_plain(path, os.O_RDWR | os.O_CREAT)
        locked = _try_claim(handle)
        if locked and is_at(path, handle):  # else its owner has removed it meanwhile
            return handle
        os.close(handle)
        if locked is None:
            raise OSError(errno.ENOLCK, "no locks here")
        if not locked:
            if patience >= 0 and time.monotonic() >= until:
                return None
            time.sleep(_POLL)


def _try_claim(handle: int) -> bool | None:
    """As `try_lock`; on Windows by a byte of the file, which nobody reads."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    return try_lock(handle)


@contextmanager
def output_claimed(output: str, first: int, last: int) -> Iterator[None]:
    """Be the only run that writes these frames of an output; a second one waits, and then finds
    them done.

    The claim lies beside the output, so that it is seen by all machines and containers that write
    there.
    """
    target = Path(os.path.abspath(output))
    name = f"{CLAIM_PREFIX}{digest(target.name, first, last)[:16]}{TEMPORARY_SUFFIX}"
    path, made = target.with_name(name), _missing(target.parent)
    troubles: list[BaseException] = []
    try:
        with claimed(path, 1.0, troubles.append, passing=True) as held:
            if held or troubles:
                yield
                return
        warnings.warn(f"Another run is writing {output}: waiting for it to end.", CacheWarning, 3)
        with claimed(path, -1.0, troubles.append, passing=True):
            yield
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()  # only where nothing was written


def _missing(folder: Path) -> list[Path]:
    """Return the folders that are made for this one, the innermost first."""
    found = []
    for place in (folder, *folder.parents):
        if place.exists():
            break
        found.append(place)
    return found
