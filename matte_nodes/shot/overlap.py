# SPDX-License-Identifier: Apache-2.0
"""Reading, stepping and finishing beside each other, with bounded queues and results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from matte_nodes.errors import MatteError

Frame = TypeVar("Frame")
Loaded = TypeVar("Loaded")
Stepped = TypeVar("Stepped")
Done = TypeVar("Done")


def overlapped(
    frames: Iterable[Frame],
    load: Callable[[Frame], Loaded],
    step: Callable[[Frame, Loaded], Stepped],
    finish: Callable[[Frame, Stepped], Done],
    *,
    ahead: int = 2,
    finishers: int = 1,
    behind: int = 3,
) -> Iterator[tuple[Frame, Done]]:
    """Yield (frame, finished) in order; load runs ahead, finish behind, step in between.

    `load` is called in order from one thread, at most `ahead` frames early. `step` is called in
    order from the consumer's thread. `finish` runs in `finishers` threads, at most `behind` frames
    late. So at most ahead + 1 + behind frames are in memory, however long the clip. The first
    error of any of them is raised at its own frame; frames before it are yielded first.
    """
    source = iter(frames)
    loaders = ThreadPoolExecutor(1, "matte-load")
    writers = ThreadPoolExecutor(finishers, "matte-finish")
    loading: deque[tuple[Frame, Future[Loaded]]] = deque()
    finishing: deque[tuple[Frame, Future[Done]]] = deque()
    try:
        for frame in islice(source, ahead):
            loading.append((frame, loaders.submit(load, frame)))
        while loading:
            frame, loaded = loading.popleft()
            try:
                with _blaming(frame):
                    stepped = step(frame, loaded.result())
            except BaseException:
                yield from _drain(finishing)
                raise
            del loaded
            for following in islice(source, 1):
                loading.append((following, loaders.submit(load, following)))
            finishing.append((frame, writers.submit(finish, frame, stepped)))
            del stepped
            while finishing and (len(finishing) > behind or finishing[0][1].done()):
                yield _result(*finishing.popleft())
        yield from _drain(finishing)
    finally:
        for _, waiting in loading:
            waiting.cancel()
        loaders.shutdown(wait=True, cancel_futures=True)
        writers.shutdown(wait=True, cancel_futures=True)


def _drain(finishing: deque[tuple[Frame, Future[Done]]]) -> Iterator[tuple[Frame, Done]]:
    while finishing:
        yield _result(*finishing.popleft())


def _result(frame: Frame, future: Future[Done]) -> tuple[Frame, Done]:
    with _blaming(frame):
        return frame, future.result()


@contextmanager
def _blaming(frame: Any) -> Iterator[None]:
    """Store the frame number in an error (`MatteError.frame`)."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MatteError):
            error.frame = frame
        else:
            error.add_note(f"At frame {frame}.")
        raise
