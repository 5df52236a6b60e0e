# SPDX-License-Identifier: GPL-3.0-or-later
"""A `matte` command on its way, in the Python of the preferences. Nothing of Blender is touched."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence

from .setup import Setup


class Command:
    """One process; `poll` is called from Blender's main thread.

    chosen: whose Python runs it. more: variables for its environment. lines: all that it said.
    """

    def __init__(
        self, chosen: Setup, arguments: Sequence[str], more: Mapping[str, str] | None = None
    ) -> None:
        from .matte_client import clean_environment

        self.lines: list[str] = []
        self._command = [chosen.python, "-P", "-m", "matte_nodes", *arguments]
        self._environment = {**clean_environment(chosen.home), **(more or {})}
        self._events: queue.Queue[str | int] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        self._unwanted = False
        threading.Thread(target=self._run, name="matte command", daemon=True).start()

    def poll(self, seconds: float = 0.0) -> int | None:
        """Return None while it runs, afterwards its exit code. seconds: how long to wait for news."""
        while True:
            try:
                told = self._events.get(timeout=seconds) if seconds else self._events.get_nowait()
            except queue.Empty:
                return None
            if isinstance(told, int):
                return told
            self.lines.append(told)
            seconds = 0.0

    def cancel(self) -> None:
        """End it; `poll` tells when it has ended."""
        self._unwanted = True
        if self._process is not None:
            self._process.terminate()

    def end(self) -> str:
        """Return its last words, for an error."""
        return " ".join(self.lines[-3:]) or "it said nothing"

    def _run(self) -> None:
        try:
            with subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", env=self._environment,
            ) as process:  # fmt: skip
                self._process = process
                if self._unwanted:
                    process.terminate()
                assert process.stdout is not None
                for line in process.stdout:
                    if line.strip():
                        self._events.put(line.strip())
            self._events.put(process.returncode)
        except OSError as error:
            self._events.put(str(error))
            self._events.put(1)
