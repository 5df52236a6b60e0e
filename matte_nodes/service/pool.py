# SPDX-License-Identifier: Apache-2.0
"""Loaded models that all jobs share. Finds a model by what its loading depended on; drops the least
recently used.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, Model, ModelCard, Prediction
from matte_nodes.node.knobs import LoadKnobs
from matte_nodes.reads import hash_of
from matte_nodes.runtime import default_threads

if TYPE_CHECKING:
    from matte_nodes.card import Carrier, Float

T = TypeVar("T")

LEAST_BYTES = 1 << 20
"""What a model without weights counts, so that their number is bounded too."""


class Cancelled(Exception):  # noqa: N818 (an outcome, not an error)
    """The job was cancelled. Raised at its next step."""


class Turns:
    """A lock that serves waiters in the order in which they came.

    A plain lock often returns to the thread that has just released it: a range would starve a
    single frame.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(self, *error: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class _Entry:
    def __init__(self, key: tuple[Any, ...], model: Model, knobs: LoadKnobs, size: int):
        self.key, self.model, self.knobs, self.bytes = key, model, knobs, size
        self.turns = Turns()
        self.jobs = self.used = 0

    def fits(self, key: tuple[Any, ...], knobs: Mapping[str, KnobValue]) -> bool:
        # The very card: cards hold functions, so equal ones may still load other models.
        return self.key[1] is key[1] and self.key == key and self.knobs.serve(knobs)


class ModelPool:
    """Keeps models up to a budget of bytes, counted by their weights files.

    A model in use is never dropped, even over budget. Jobs call a model's step one at a time, in
    turns.
    """

    def __init__(self, budget: int) -> None:
        self.budget, self.loads = budget, 0
        self._entries: list[_Entry] = []
        self._clock = 0
        self._lock = threading.RLock()  # held while a model loads: two jobs must not load it twice

    def lease(self, cancelled: threading.Event) -> Lease:
        """Return a lease for one job: use `MatteNode(loader=lease.load)` inside a `with`."""
        return Lease(self, cancelled)

    def take(self, card: ModelCard, context: LoadContext) -> _Entry:
        """Return the model, loaded now if needed. The caller gives it back."""
        key = _key(card, context)
        with self._lock:
            entry = next((e for e in self._entries if e.fits(key, context.knobs)), None)
            if entry is None:
                entry = self._load(key, card, context)
            self._clock += 1
            entry.used = self._clock
            entry.jobs += 1
            return entry

    def give_back(self, entry: _Entry) -> None:
        """Note that a job no longer uses a model."""
        with self._lock:
            entry.jobs -= 1
            self._trim(0)

    def report(self) -> list[dict[str, Any]]:
        """Return the loaded models for people: model, device, threads, bytes, jobs."""
        return [
            {"model": e.key[0], "device": e.key[2], "threads": e.key[3], "bytes": e.bytes,
             "jobs": e.jobs}
            for e in tuple(self._entries)
        ]  # fmt: skip

    def _load(self, key: tuple[Any, ...], card: ModelCard, context: LoadContext) -> _Entry:
        from dataclasses import replace

        size = max(LEAST_BYTES, sum(path.stat().st_size for path in _files(context)))
        self._trim(size)
        knobs = LoadKnobs(context.knobs)
        model = card.load(replace(context, knobs=knobs))
        knobs.close()
        self.loads += 1
        entry = _Entry(key, model, knobs, size)
        self._entries.append(entry)
        return entry

    def _trim(self, coming: int) -> None:
        idle = sorted((e for e in self._entries if not e.jobs), key=lambda e: e.used)
        total = coming + sum(e.bytes for e in self._entries)
        dropped = False
        for entry in idle:
            if total <= self.budget:
                break
            self._entries.remove(entry)
            total -= entry.bytes
            dropped = True
        if dropped:
            del idle, entry
            _free()


class Lease:
    """The models that one job uses. Their steps raise Cancelled when the job is cancelled."""

    def __init__(self, pool: ModelPool, cancelled: threading.Event) -> None:
        self._pool, self._cancelled = pool, cancelled
        self._held: list[_Entry] = []

    def load(self, card: ModelCard, context: LoadContext) -> Model:
        """Return the shared model. Stands in for `card.load(context)`."""
        entry = self._pool.take(card, context)
        self._held.append(entry)
        return _Shared(entry, self._cancelled.is_set)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._held:
            self._pool.give_back(self._held.pop())


class _Shared:
    """A pooled model as one job sees it."""

    def __init__(self, entry: _Entry, is_cancelled: Callable[[], bool]) -> None:
        self._entry, self._is_cancelled = entry, is_cancelled

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        return self._in_turn(self._entry.model.step, inputs, memory, knobs)

    def advance(self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]) -> Memory:
        return self._in_turn(cast("Carrier", self._entry.model).advance, inputs, memory, knobs)

    def turned(self, memory: Memory) -> Memory:
        return self._in_turn(cast("Carrier", self._entry.model).turned, memory)

    def answer(
        self, inputs: Inputs, masks: Mapping[str, Float], knobs: Mapping[str, KnobValue]
    ) -> Prediction:
        return self._in_turn(cast("Carrier", self._entry.model).answer, inputs, masks, knobs)

    def _in_turn(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call the model when it is this job's turn. Raises Cancelled in a cancelled job."""
        if self._is_cancelled():
            raise Cancelled
        with self._entry.turns:
            return call(*arguments)


def _key(card: ModelCard, context: LoadContext) -> tuple[Any, ...]:
    """Return what loading depends on besides knobs: weights that were pulled again make another
    model.
    """
    files = [(str(path), hash_of(path)) for path in (*_files(context), *card.files)]
    asked = [os.environ.get(name) for name in card.variables]
    threads = context.threads or default_threads()
    return (
        card.name, card, str(context.device), threads, context.half, context.untrained,
        tuple(files), tuple(asked),
    )  # fmt: skip


def _files(context: LoadContext) -> list[Path]:
    checkpoint = [context.checkpoint] if context.checkpoint else []
    return [*context.weights.values(), *checkpoint]


def _free() -> None:
    """Return memory to the system and the GPU, not only to the allocators."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
