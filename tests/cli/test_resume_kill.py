# SPDX-License-Identifier: Apache-2.0
"""kill -9 and Ctrl-C at random moments: whole frames only, and none done twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_run import matte, whole
from tests.made import plate_sequence, read_named

FRAMES = 60


def start(plate: Path, out: Path) -> subprocess.Popen[bytes]:
    """A run in the background."""
    command = [
        sys.executable,
        "-m",
        "matte_nodes",
        "run",
        str(plate),
        "-o",
        str(out),
        "--model",
        "toy",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stop_at_random(process: subprocess.Popen[bytes], rng: random.Random, how: int) -> None:
    """Wait until it writes, then a random moment more, then stop it."""
    try:
        process.wait(timeout=0.35 + rng.random() * 0.8)
    except subprocess.TimeoutExpired:
        process.send_signal(how)
        process.wait(timeout=60)


def identity(folder: Path) -> dict[str, tuple[int, int]]:
    """What tells a file that was written again: inode and time."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.exr")
    }


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_twenty_kills_then_one_run(tmp_path: Path, how: int) -> None:
    rng = random.Random(7)
    plate = plate_sequence(tmp_path / "in", FRAMES, size=(270, 480))
    out = tmp_path / "out"
    seen: dict[str, tuple[int, int]] = {}
    for _ in range(20 if how == signal.SIGKILL else 5):
        stop_at_random(start(plate, out / "m.####.exr"), rng, how)
        now = identity(out)
        assert {name: now[name] for name in seen} == seen, "a frame was done twice"
        seen = now
        for name in seen:
            assert read_named(out / name)["A"].shape == (270, 480)
    assert matte("run", plate, "-o", out / "m.####.exr", "--model", "toy").returncode == 0
    now = identity(out)
    assert {name: now[name] for name in seen} == seen
    assert len(whole(out)) == FRAMES
    assert (
        matte("run", plate, "-o", tmp_path / "one" / "m.####.exr", "--model", "toy").returncode == 0
    )
    for name in now:
        one, two = read_named(tmp_path / "one" / name), read_named(out / name)
        assert all(np.array_equal(one[channel], two[channel]) for channel in one)


def test_terminate_leaves_whole_frames(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", FRAMES, size=(270, 480))
    process = start(plate, tmp_path / "out" / "m.####.exr")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*.exr")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=60) == 130
    done = whole(tmp_path / "out")
    assert 0 < len(done) < FRAMES
