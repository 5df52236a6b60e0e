# SPDX-License-Identifier: Apache-2.0
"""Ends the command on a signal, cleanly where that is possible, and in any case.

Python handles a signal between two of its own instructions. Inside a library's call (a network
that loops for ever, a file on a dead mount) it never comes to that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress

GRACE = 20.0
"""Seconds that a clean end may take."""

EXIT_CODE = 130

_MESSAGE = "matte: stopped in the middle of a frame; whole frames written so far stay.\n"
_is_watched = False

is_ours = False
"""Whether the whole process is the command's: `main` says so. Else only signals are taken."""


def watch() -> None:
    """End the process on SIGTERM and SIGHUP as on Ctrl-C, and when that takes too long, at once.

    In the main thread. A signal that is ignored stays so (nohup).
    """
    global _is_watched
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    if _is_watched or not is_ours:
        return
    _is_watched = True
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_end_later, args=(reading,), name="stopping", daemon=True).start()


def _interrupt(number: int, frame: object) -> None:
    del frame
    # A second signal must not break the clean end of the first.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_later(reading: int) -> None:
    ends = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    while not ends.intersection(os.read(reading, 64)):
        pass
    threading.Event().wait(GRACE)
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), _MESSAGE.encode())
    os._exit(EXIT_CODE)
