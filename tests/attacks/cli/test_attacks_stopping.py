# SPDX-License-Identifier: Apache-2.0
"""A command ends when it is told to, whatever it is in the middle of, and leaves whole files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.whole_files import is_temporary
from tests.made import write_image

# A step that is told to the outside, then never returns to Python: as a network that loops for ever.
HANGS = """
import ctypes, sys
from matte_nodes.cli import main, stopping
from matte_nodes.models import green_screen
stopping.GRACE = 1.0
def step(*arguments):
    print("in the step", flush=True)
    ctypes.CDLL(None).sleep(600)
green_screen.GreenScreen.step = step
main()
"""

WAITS = """
import time
from matte_nodes.cli import main
from matte_nodes import whole_files
whole = whole_files.TemporaryFile.commit
def commit(self):
    print("about to put in place", flush=True)
    time.sleep(2)
    whole(self)
whole_files.TemporaryFile.commit = commit
main()
"""


def started(code: str, folder: Path, *flags: str) -> subprocess.Popen[str]:
    write_image(folder / "p.png", np.full((24, 32, 3), 90, np.uint8))
    arguments = ["run", str(folder / "p.png"), "-o", str(folder / "o.exr"), "--no-service",
                 "--model", "green-screen", *flags]  # fmt: skip
    # Under nohup this process ignores SIGHUP, and so would its children.
    return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # fmt: skip


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.communicate()[1])


def ended(process: subprocess.Popen[str], words: str, name: str) -> tuple[str, str]:
    """Send a signal once the process has said these words; what it printed and what it said."""
    try:
        until(process, words)
        process.send_signal(getattr(signal, name))
        found = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    return found


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_step_that_never_returns_is_ended(name: str, tmp_path: Path) -> None:
    _, said = ended(started(HANGS, tmp_path), "in the step", name)
    assert "whole frames" in said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_temporary_file(name: str, tmp_path: Path) -> None:
    printed, _ = ended(started(WAITS, tmp_path, "--json"), "about to put in place", name)
    assert [path.name for path in tmp_path.iterdir() if is_temporary(path.name)] == []
    last: dict[str, Any] = json.loads(printed.splitlines()[-1])
    assert last["exit_code"] == 130


def test_memory_that_runs_out_is_one_line(tmp_path: Path) -> None:
    code = HANGS.replace("ctypes.CDLL(None).sleep(600)", "raise MemoryError('no room')")
    process = started(code, tmp_path)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert "memory" in said.lower()
    assert "tile" in said
    assert process.returncode == 5
