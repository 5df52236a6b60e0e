# SPDX-License-Identifier: GPL-3.0-or-later
"""A second Blender, without a window, that renders the inputs of a bake from a copy of the file.

A movie or a graph is rendered for seconds or hours; in the artist's own Blender each of its frames
would stop the window.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from typing import Any

import bpy

from .trouble import Trouble

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "render_inputs.py")
END_SECONDS = 10.0


def possible() -> bool:
    """Whether this Blender has a window to keep free, and a program to start."""
    return not bpy.app.background and os.path.isfile(bpy.app.binary_path or "")


class Helper:
    """One run of a Blender without a window.

    asked: plain data for render_inputs.py. folder: for the copy of the file, the request and what
    the helper says. Raises Trouble when the copy cannot be written or Blender not be started.
    """

    def __init__(self, asked: dict[str, Any], folder: str) -> None:
        self._told, self._log = os.path.join(folder, "asked.json"), os.path.join(folder, "log.txt")
        copy = os.path.join(folder, "copy.blend")
        trusted = bpy.context.preferences.filepaths.use_scripts_auto_execute
        command = [
            bpy.app.binary_path, "-b", "-y" if trusted else "-Y", copy, "--python-exit-code", "3",
            "--python", SCRIPT, "--", self._told,
        ]  # fmt: skip
        try:
            bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, check_existing=False)
            with open(self._told, "w", encoding="utf-8") as file:
                json.dump(asked, file)
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
        except (OSError, RuntimeError) as error:
            raise Trouble(f"The inputs could not be rendered: {error}") from error

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether it has done all. Raises Trouble when it failed."""
        code = self._process.poll()
        if code is None:
            return False
        if code:
            raise Trouble(self._said(code))
        return True

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(END_SECONDS)

    def _said(self, code: int) -> str:
        """Return its own Trouble, else the end of what it said."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(json.loads(_read(self._told + ".trouble"))["trouble"])
        text = ""
        with contextlib.suppress(OSError):
            text = " / ".join(line.strip() for line in _read(self._log).splitlines()[-4:])
        return f"The Blender that renders the inputs ended with {code}: {text}"


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
