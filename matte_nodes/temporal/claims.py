# SPDX-License-Identifier: Apache-2.0
"""Claims: one process does a thing, others wait for it. A claim ends with its process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from matte_nodes.paths import cache_folder
from matte_nodes.temporal.digest import digest

PATIENCE = 120.0
"""Seconds that a frame is waited for that another process has claimed; then both compute it."""


class CacheWarning(UserWarning):
    """What the user should know of the cache; results are right all the same."""


@contextmanager
def claimed(
    path: Path, patience: float, trouble: Callable[[BaseException], None]
) -> Iterator[bool]:
    """Hold the lock file while inside; False inside when others still held it after `patience`.

    The system frees the lock of a process that died, however it died. Where there can be no lock
    (a full disk, a file system without them) `trouble` is told and the work goes on.
    """
    from filelock import FileLock, Timeout

    lock, held = FileLock(path, timeout=patience), True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=0.005)
    except Timeout:
        held = False
    except (OSError, NotImplementedError) as error:
        held = False
        trouble(error)
    try:
        yield held
    finally:
        if held:
            lock.release()


@contextmanager
def output_claimed(output: str, first: int, last: int) -> Iterator[None]:
    """Be the only run that writes these frames of an output; a second one waits, and then finds
    them done."""
    name = digest(os.path.abspath(output), first, last)[:16]
    path = cache_folder() / "locks" / f"run-{name}.lock"
    with claimed(path, 1.0, _ignore) as held:
        if held or not path.exists():
            yield
            return
    warnings.warn(f"Another run is writing {output}: waiting for it to end.", CacheWarning, 3)
    with claimed(path, -1.0, _ignore):
        yield


def _ignore(error: BaseException) -> None:
    """Without locks two runs may do a frame twice; each writes it whole."""
