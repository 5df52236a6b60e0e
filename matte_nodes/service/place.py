# SPDX-License-Identifier: Apache-2.0
"""Gives a job its own working folder and umask while other jobs run in the same process.

Both belong to a process, but on Linux a thread can have its own (unshare(2), CLONE_FS), and threads
that it starts share them. Where that fails (other systems, some containers), one job at a time uses
its place and the others wait.
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
    """Give the calling thread its own working folder and umask. Returns False where that is not
    possible.
    """
    if not hasattr(_thread, "own"):
        _thread.own = False
        if sys.platform == "linux":
            _thread.own = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_FS) == 0
    return bool(_thread.own)


@contextmanager
def placed(folder: str, umask: int, *, own: bool) -> Iterator[None]:
    """Work in this folder with this umask: relative paths and new files belong to the job.

    own: whether this thread has its own place; if not, one thread enters at a time. Raises
    InputError when the folder cannot be entered.
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
