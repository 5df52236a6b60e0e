# SPDX-License-Identifier: Apache-2.0
"""Runs the items of a folder: a few at a time, one line each; an error of one leaves the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.batch.folder import Item, partner
from matte_nodes.errors import MatteError
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.runtime import cores
from matte_nodes.service.pool import ModelPool

BYTES_A_PIXEL = 160
"""What a still needs while it is made: plate, network copies, alpha, foreground. Measured: 120 with
`closed-form` at 12 megapixels, 70 with `selfie`."""

PICTURES = ("background", "trimap", "segmentation")
"""Hints that may be folders, with a picture for each still."""


@dataclass(frozen=True)
class Outcome:
    """How one item ended."""

    item: Item
    made: int
    """Files that were written; 0 when all were there already."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What was taken from the inputs, and warnings."""
    model: str = ""
    error: str = ""
    """What happened and what to do; "" for success."""
    exit_code: int = 0


class _Notes(Quiet):
    """Keeps the notes of a render."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()
        self.model = ""

    def start(self, total: int, **facts: Any) -> None:
        super().start(total, **facts)
        self.notes, self.model = tuple(facts.get("notes", ())), str(facts.get("model", ""))

    def warn(self, text: str) -> None:
        self.notes = (*self.notes, text)


class Room:
    """So many bytes for stills that are made at the same time; a larger one goes alone."""

    def __init__(self, size: int) -> None:
        self._size, self._free = size, size
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Wait until there is room."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def run(
    items: Sequence[Item],
    arguments: Mapping[str, Any],
    say: Callable[[Outcome], None],
    jobs: int = 0,
) -> list[Outcome]:
    """Matte every item, and return how each ended, in their order.

    arguments: the keywords of `Render` but source and output. say: called as each ends. jobs: how
    many at the same time; 0 chooses by the cores. Models are loaded once; their steps run one at a
    time, on all cores, while other pictures are read and written.
    """
    pool = ModelPool(budget=4 << 30)
    return each(items, lambda item: one(item, arguments, pool), say, jobs or min(4, cores() + 1))


def each(
    items: Sequence[Item],
    matted: Callable[[Item], Outcome],
    say: Callable[[Outcome], None],
    jobs: int,
    more: int = 0,
) -> list[Outcome]:
    """Return how every item ended, in their order, `jobs` at the same time.

    An item waits until half of the memory that is free at the start has room for its pictures and
    for `more` bytes. say: called as each ends.
    """
    room = Room(available() // 2)

    def work(item: Item) -> Outcome:
        with room.take(more + bytes_of(item)):
            outcome = matted(item)
        say(outcome)
        return outcome

    with ThreadPoolExecutor(jobs, "matte-still") as workers:
        waiting = [workers.submit(work, item) for item in items]
        try:
            return [job.result() for job in waiting]
        except BaseException:
            for job in waiting:
                job.cancel()
            raise


def one(item: Item, arguments: Mapping[str, Any], pool: ModelPool) -> Outcome:
    """Matte one item. Errors that an artist can mend are in the outcome."""
    began, report = time.monotonic(), _Notes()
    stop = threading.Event()
    try:
        connect = dict(arguments["connect"])
        for name in PICTURES:
            if connect.get(name):
                connect[name] = partner(str(connect[name]), item)
        with pool.lease(stop) as lease:
            render = Render(
                item.source, item.output,
                **{**arguments, "connect": connect,
                   "node": {**arguments["node"], "loader": lease.load}},
            )  # fmt: skip
            render.run(None, None, report)
    except MatteError as error:
        spent = time.monotonic() - began
        return Outcome(
            item, report.count, spent, report.notes, report.model, str(error), error.exit_code
        )
    return Outcome(item, report.count, time.monotonic() - began, report.notes, report.model)


def bytes_of(item: Item) -> int:
    """Return what an item needs, by its first picture's size; unreadable ones fail later, with a reason."""
    from matte_nodes.media.pattern import Pattern
    from matte_nodes.media.still import read_header

    path = Path(item.source)
    if item.frames > 1:
        pattern = Pattern.parse(item.source)
        files = pattern.find() if pattern else {}
        path = next(iter(files.values()), path)
    try:
        window = read_header(path).data_window
    except (MatteError, OSError):
        return 0
    return window.width * window.height * BYTES_A_PIXEL * (2 if item.frames > 1 else 1)


def available() -> int:
    """Return bytes of memory that are free for this process; 4 GB where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable"))
        return int(free.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        return 4 << 30
