# SPDX-License-Identifier: Apache-2.0
"""Several processes on one machine: parts of a clip, or stills, where one process cannot fill it.

There is no scheduler: parts are those of the farm (`farm.plan`), and each is a `matte run`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

from matte_nodes.batch import run as stills
from matte_nodes.batch.folder import Item
from matte_nodes.errors import MatteError
from matte_nodes.render.progress import Quiet
from matte_nodes.runtime import cores
from matte_nodes.service.pool import ModelPool

PROCESS_BYTES = 1 << 30
"""What a process needs before its first picture: libraries, a network, its working memory."""

PARTS_A_PROCESS = 3
"""Parts for each process, so that the last ones end at about the same time."""


class PartError(MatteError):
    """A part failed; the message and the code are its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


def fitting(jobs: int, pixels: int) -> int:
    """Return how many processes memory has room for, at most `jobs`, for pictures of so many pixels.

    Half of what is free is taken.
    """
    # Pictures are read, made and written at the same time.
    each = PROCESS_BYTES + 3 * pixels * stills.BYTES_A_PIXEL
    return max(1, min(jobs, stills.available() // 2 // each))


@contextmanager
def shared_cores(jobs: int) -> Iterator[None]:
    """Processes that start meanwhile take their share of the cores."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // jobs))
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@dataclass
class Parts:
    """Runs parts of one clip, some at a time."""

    flags: Sequence[str]
    """What follows `matte run`, without --frames."""
    report: Quiet
    """Hears of every frame."""
    total: int
    """Frames of all parts."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _is_begun: bool = False
    _is_stopped: bool = False
    _warned: set[str] = field(default_factory=set)

    def run(self, parts: Sequence[tuple[int, int]], jobs: int, output: str) -> None:
        """Raise the first part's error, after the others were stopped. Whole frames stay."""
        with shared_cores(jobs), ThreadPoolExecutor(jobs, "matte-part") as workers:
            try:
                for done in [workers.submit(self._one, part) for part in parts]:
                    done.result()
            except BaseException:
                self._stop()
                raise
        self.report.done(output)

    def _one(self, part: tuple[int, int]) -> None:
        words = [*self.flags, f"--frames={part[0]}-{part[1]}", "--json", "--no-service"]
        with self._lock:
            if self._is_stopped:
                return
            process = subprocess.Popen(
                [sys.executable, "-m", "matte_nodes", "run", *words],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            self._running.add(process)
        said = threading.Thread(target=self._warnings, args=(process.stderr,), daemon=True)
        said.start()
        failed: dict[str, Any] = {}
        assert process.stdout is not None
        for line in process.stdout:
            failed = self._heard(json.loads(line)) or failed
        code = process.wait()
        said.join()
        with self._lock:
            self._running.discard(process)
            if code and not self._is_stopped:
                self._is_stopped = True
                self._warned.discard(str(failed.get("message")))
                text = str(failed.get("message") or f"The process ended with {code}.")
                raise PartError(text, code if code > 0 else 1)

    def _heard(self, event: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            kind = event["event"]
            if kind == "start":
                if not self._is_begun:
                    self._is_begun = True
                    own = ("event", "total", "done_before")
                    more = {k: v for k, v in event.items() if k not in own}
                    self.report.start(self.total, **more)
                self.report.before(int(event.get("done_before", 0)))
            elif kind == "frame":
                self.report.frame(int(event["frame"]), Path(event["path"]))
            elif kind == "warning":
                self.report.warn(str(event["message"]))
        return dict(event) if event["event"] == "error" else {}

    def _warnings(self, lines: TextIO) -> None:
        """Each warning once, whichever part says it first."""
        for line in lines:
            text = line.strip().removeprefix("matte: ")
            with self._lock:
                if line.startswith("matte: ") and text not in self._warned:
                    self._warned.add(text)
                    self.report.warn(text)

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                process.terminate()


def stills_run(
    items: Sequence[Item],
    arguments: Mapping[str, Any],
    say: Callable[[stills.Outcome], None],
    jobs: int,
) -> list[stills.Outcome]:
    """Matte every item in processes of their own; else as `batch.run.run`."""
    with shared_cores(jobs), ProcessPoolExecutor(jobs, get_context("spawn")) as pool:

        def matted(item: Item) -> stills.Outcome:
            return pool.submit(_still, item, dict(arguments)).result()

        return stills.each(items, matted, say, jobs, PROCESS_BYTES)


@cache
def _pool() -> ModelPool:
    return ModelPool(budget=4 << 30)


def _still(item: Item, arguments: Mapping[str, Any]) -> stills.Outcome:
    return stills.one(item, arguments, _pool())
