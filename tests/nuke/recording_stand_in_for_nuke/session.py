# SPDX-License-Identifier: Apache-2.0
"""What is true of the whole session: calls, the undo history, the main thread, progress bars."""

from __future__ import annotations

import queue
import threading
import time

CALLS, UNDO, FILTERS, NODES, ANSWERS = [], [], [], [], []
MAIN = threading.main_thread()
STATE = {"node": None, "knob": None, "frame": 1001, "root": None, "task": None, "fail": None}
PLUGIN = ""  # where createNode finds gizmos
_main_calls = queue.Queue()


class Undo:
    """The undo history: what is set while it is on can be undone."""

    off = False

    @classmethod
    def disable(cls):
        cls.off = True

    @classmethod
    def enable(cls):
        cls.off = False

    @classmethod
    def disabled(cls):
        return cls.off


def executeInMainThread(call, args=()):
    if threading.current_thread() is MAIN:
        raise AssertionError("executeInMainThread from the main thread hangs Nuke")
    _main_calls.put((call, args))


def run_main_until(done, seconds=120.0):
    """Nuke's event loop, for tests: do what threads asked for until this is true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        try:
            call, args = _main_calls.get(timeout=0.05)
        except queue.Empty:
            continue
        call(*args)


def only_on_main():
    if threading.current_thread() is not MAIN:
        raise AssertionError("Nuke was touched from another thread")


class ProgressTask:
    """A progress bar; a test presses its Cancel."""

    def __init__(self, title):
        self.title, self.pressed, self.told = title, False, []
        STATE["task"] = self

    def setMessage(self, text):
        self.told.append(text)

    def setProgress(self, percent):
        assert 0 <= percent <= 100
        self.told.append(percent)

    def isCancelled(self):
        return self.pressed


def gui():
    """Whether there is a window; the module `nuke` puts its own answer here."""
    raise AssertionError("the module was not loaded")
