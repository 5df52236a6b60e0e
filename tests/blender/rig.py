# SPDX-License-Identifier: Apache-2.0
"""Blenders without a window: Debian's 3.4, and bpy as a module in environments of its own.

Each script runs in a process of its own with a made home and a time limit. bpy is never imported
into the process of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
EXAMPLE = ROOT / "plugins/blender/examples/walkthrough.py"
MODULES = {
    "4.2": ".venv-bpy-4.2.23",
    "4.5": ".venv-bpy-4.5.15",
    "5.0": ".venv-bpy",
    "5.1": ".venv-bpy-5.1.2",
    "5.2": ".venv-bpy-5.2.3",
    "5.3": ".venv-bpy-5.3.0",
}
"""The environments that scripts/bpy.sh makes."""
QUICK = ("3.4", "5.0")
ALL = ("3.4", "4.2", "4.5", "5.0", "5.1", "5.2", "5.3")
SECONDS = 240.0


def program() -> str | None:
    """A whole Blender on this machine."""
    return shutil.which("blender")


@cache
def missing(version: str) -> str:
    """Why this Blender cannot be run here; "" when it can."""
    if version == "3.4":
        found = program()
        if found is None:
            return "blender is not here"
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if not said.stdout.startswith("Blender 3.4"):
            return f"this is {said.stdout[:20].strip()!r}, not Blender 3.4"
        return ""
    python = ROOT / MODULES[version] / "bin" / "python"
    return "" if python.is_file() else f"{MODULES[version]} is not here (scripts/bpy.sh)"


@dataclass
class Ran:
    """How a Blender ended: its exit code (negative: the signal), all it said, what was answered."""

    code: int
    text: str
    answer: dict[str, Any] = field(default_factory=dict)

    def good(self) -> dict[str, Any]:
        """The answer of a script that ended well; AssertionError with all it said otherwise."""
        assert self.code == 0, f"exit code {self.code}\n{self.text[-6000:]}"
        return self.answer


def command(version: str, script: Path, *arguments: str) -> list[str]:
    """The command line that runs a script (tests/blender/inside/start.py explains it)."""
    after = [str(INSIDE / "start.py"), "--", str(script), *arguments]
    if version == "3.4":
        blender = str(program())
        # Before --python: a Blender ends with 0 after an exception otherwise.
        return [blender, "-b", "--factory-startup", "--python-exit-code", "3", "--python", *after]
    return [str(ROOT / MODULES[version] / "bin" / "python"), "-P", *after]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A made home, nothing of this process's Python, the software renderer."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "MATTE_PYTHON", "MATTE_HOME", "OCIO", "DISPLAY",
               "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return {
        **kept, "HOME": str(home), "LIBGL_ALWAYS_SOFTWARE": "1", "PYTHONDONTWRITEBYTECODE": "1",
        "MATTE_SERVICE": "on", "PYTHONUNBUFFERED": "1", **more,
    }  # fmt: skip


def run(
    version: str, script: Path | str, *arguments: object, home: Path, seconds: float = SECONDS,
    **more: str,
) -> Ran:  # fmt: skip
    """Run a script to its end.

    script: the name of a file in tests/blender/inside, a path, or source text (with a newline).
    home: a folder of the test's own; Blender's settings go there. more: its environment, such as
    MATTE_HOME. A Blender that does not end in time is killed with all it started: code -9.
    """
    home.mkdir(parents=True, exist_ok=True)
    if isinstance(script, str) and "\n" in script:
        path = home / "script.py"
        path.write_text(script, "utf-8")
    else:
        path = INSIDE / script
    note = home / "answer.json"
    note.unlink(missing_ok=True)
    process = subprocess.Popen(
        command(version, path, *map(str, arguments)), cwd=home,
        env=environment(home, **{"MATTE_TEST_ANSWER": str(note), **more}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        text += f"\nkilled after {seconds:g} s"
    answer = json.loads(note.read_text("utf-8")) if note.is_file() else {}
    return Ran(process.returncode, text, answer)


def validator() -> Path | None:
    """Blender's own checker of extensions, which runs in any Python."""
    for folder in MODULES.values():
        for found in (ROOT / folder).glob("lib/python3*/site-packages/bpy/*/scripts/addons_core"):
            tool = found / "bl_pkg" / "cli" / "blender_ext.py"
            if tool.is_file():
                return tool
    return None


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    """Let Blender's checker look at an extension, a folder or a zip; its tags too."""
    tool = validator()
    assert tool is not None
    tags = tool.parents[3] / "modules" / "_bpy_internal" / "extensions" / "tags.py"
    more = ["--valid-tags", str(tags)] if tags.is_file() else []
    return subprocess.run(
        [sys.executable, str(tool), "validate", *more, str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
