# SPDX-License-Identifier: Apache-2.0
"""Blender 3.4 with a window on a screen that nobody sees, and a hand on its keyboard and mouse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import Any

from tests.blender import rig
from tests.obs.rig import ended, start_screen, until

WIDTH, HEIGHT = 1280, 800
LONGEST = 120
"""Seconds that a loaded machine may take to free a Blender that was killed: 30 were seen."""


def missing() -> str:
    """What is not here for a Blender with a window; "" when all is."""
    absent = [name for name in ("Xvfb", "xdotool") if not shutil.which(name)]
    return rig.missing("3.4") or ", ".join(absent)


class Window:
    """A running Blender that does what it is told, line by line.

    home: its settings. addon: the add-on's folder. more: its environment.
    """

    def __init__(self, home: Path, addon: Path | None, **more: str) -> None:
        self.home, self._addon, self._more = home, addon, more
        self._told, self._number = home / "told", 0

    def __enter__(self) -> Window:
        self._told.mkdir(parents=True)
        self._screen, self._display = start_screen()
        try:
            self._process = self._start()
            self.do("pass", seconds=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_process"):
            self._process.kill()  # it has no end of its own that a test looks at
            self._process.wait(LONGEST)
        ended(self._screen, signal.SIGTERM, 10)

    def _start(self) -> subprocess.Popen[bytes]:
        start = [
            str(rig.program()), "--factory-startup", "--window-geometry", "0", "0", str(WIDTH),
            str(HEIGHT), "--python-exit-code", "3", "--python", str(rig.INSIDE / "start.py"), "--",
            str(rig.INSIDE / "listen.py"), str(self._addon or ""), str(self._told),
        ]  # fmt: skip
        with (self.home / "blender.log").open("wb") as log:
            return subprocess.Popen(
                start, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=rig.environment(self.home, **{"DISPLAY": self._display, **self._more}),
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of Blender."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def log(self) -> str:
        """All that Blender has said."""
        return (self.home / "blender.log").read_text(errors="replace")

    def do(self, source: str, seconds: float = 30) -> dict[str, Any]:
        """Run lines in Blender; answers what they put into `out`."""
        name, self._number = str(self._number), self._number + 1
        part = self._told / f"{name}.part.py"
        part.write_text(textwrap.dedent(source), "utf-8")
        part.replace(self._told / f"{name}.py")
        answer = self._told / f"{name}.json"

        def there() -> bool:
            assert self.alive(), (
                f"Blender ended with {self._process.returncode}:\n{self.log()[-4000:]}"
            )
            return answer.is_file()

        until(f"Blender has done {source.strip()[:60]!r}", there, seconds)
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        assert "error" not in found, found["error"]
        return found

    def hand(self, *arguments: str | int) -> None:
        """xdotool: move the mouse, click, press a key."""
        subprocess.run(
            ["xdotool", *map(str, arguments)], check=True, timeout=20,
            env={**os.environ, "DISPLAY": self._display},
        )  # fmt: skip

    def draw(self) -> None:
        """Draw the window now."""
        self.do("bpy.ops.wm.redraw_timer(type='DRAW_WIN_SWAP', iterations=1)")

    def picture(self, path: Path) -> Path:
        """A screenshot by Blender itself (PNG)."""
        self.draw()
        self.draw()  # what the first one asked for
        self.do(f"bpy.ops.screen.screenshot(filepath={str(path)!r})")
        return path

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait(LONGEST)
