# SPDX-License-Identifier: Apache-2.0
"""A working folder and a umask of a job's own, while other jobs run in the same process.

Both belong to a process, but Linux gives a thread its own when it asks (unshare(2), CLONE_FS), and
threads that it starts share them. Where that cannot be had (other systems, containers that forbid
the call) only one job at a time may be in its place: the others wait.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from matte_nodes.errors import InputError

_CLONE_FS = 0x200
_one_at_a_time = threading.Lock()
_thread = threading.local()


def own_place() -> bool:
    """Give the calling thread a working folder and umask of its own; False where it cannot be."""
    if not hasattr(_thread, "own"):
        _thread.own = False
        if sys.platform == "linux":
            _thread.own = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_FS) == 0
    return bool(_thread.own)


@contextmanager
def placed(folder: str, umask: int, *, own: bool) -> Iterator[None]:
    """Work in this folder with this umask: relative paths and new files are the job's.

    own: whether this thread has a place of its own; if not, one thread at a time is let in.
    Raises InputError when the folder cannot be entered.
    """
    if own:
        with _entered(folder, umask):
            yield
    else:
        with _one_at_a_time, _entered(folder, umask):
            yield


@contextmanager
def _entered(folder: str, umask: int) -> Iterator[None]:
    try:
        os.chdir(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The working folder {folder} cannot be entered: {reason}.") from error
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)
        os.chdir(tempfile.gettempdir())  # an idle service must not keep a disk from being unmounted
