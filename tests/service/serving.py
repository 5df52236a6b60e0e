# SPDX-License-Identifier: Apache-2.0
"""Real services for tests: a process with its own home, ended by its own id."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matte_nodes.service.client import Client
from tests.conftest import TOY
from tests.made import read_named

MODELS = Path(__file__).parent / "models"
PYTHONPATH = os.pathsep.join([str(MODELS), str(TOY), str(Path(__file__).parents[2])])


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a user's shell would have: a home of the test's own, and the tests' models."""
    return {
        **os.environ, "MATTE_HOME": str(home), "PYTHONPATH": PYTHONPATH,
        "MATTE_SERVICE": "on", "MATTE_TEST_LOADS": str(home / "loads"), **more,
    }  # fmt: skip


@dataclass
class Serving:
    """A running service."""

    home: Path
    process: subprocess.Popen[bytes]
    client: Client

    @property
    def loads(self) -> list[str]:
        """One line for each time the slow model was loaded."""
        note = self.home / "loads"
        return note.read_text().splitlines() if note.is_file() else []


@contextmanager
def serving(home: Path, *flags: str, **more: str) -> Iterator[Serving]:
    """`matte serve` until the block ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "matte_nodes", "serve", *flags],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(home, **more),
        )  # fmt: skip
    try:
        client = Client(home=str(home))
        wait_for(lambda: client.hello() is not None or process.poll() is not None)
        assert process.poll() is None, (home / "serve.log").read_text()
        yield Serving(home, process, client)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def own_python(folder: Path, models: Path = MODELS) -> Iterator[str]:
    """An interpreter that knows the tests' models, for clients that start the service themselves.

    They clear PYTHONPATH, so it is set inside. What they started is told to end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python"
    script.write_text(
        f"#!/bin/sh\nPYTHONPATH='{models}:{PYTHONPATH}' MATTE_TEST_LOADS='{folder / 'loads'}' "
        f"exec '{sys.executable}' \"$@\"\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    client = Client(home=str(folder))
    try:
        yield str(script)
    finally:
        client.shutdown()
        wait_for(lambda: client.hello() is None)


def hurry(home: Path, on: bool = True) -> None:
    """Let the slow model of an own Python wait no more, or again. No key and no setting changes."""
    note = home / "loads.hurry"
    if on:
        note.touch()
    else:
        note.unlink(missing_ok=True)


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> None:
    """Until it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def same_frames(one: Path, two: Path) -> int:
    """Both folders hold the same frames with the same values; answers how many."""
    names = sorted(path.name for path in one.glob("*.exr"))
    assert names == sorted(path.name for path in two.glob("*.exr"))
    for name in names:
        first, second = read_named(one / name), read_named(two / name)
        assert sorted(first) == sorted(second)
        assert all(np.array_equal(first[channel], second[channel]) for channel in first), name
    return len(names)


def request(plate: Path, output: Path | None, model: str = "slow", **more: Any) -> dict[str, Any]:
    """A request as hosts write them."""
    return {
        "source": str(plate), "output": str(output) if output else None, "model": model, **more,
    }  # fmt: skip
