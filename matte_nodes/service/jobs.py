# SPDX-License-Identifier: Apache-2.0
"""Jobs and the two lanes that do them: ranges in sequence, and single frames beside them."""

from __future__ import annotations

import contextlib
import itertools
import queue
import sys
import threading
import time
import traceback
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matte_nodes.errors import MatteError, UsageError
from matte_nodes.render.render import Render
from matte_nodes.render.view import CHAIN, look
from matte_nodes.service.frames import frame_path, kept_output
from matte_nodes.service.place import own_place, placed
from matte_nodes.service.pool import Cancelled, ModelPool
from matte_nodes.service.request import Request, check_inputs
from matte_nodes.temporal.cache import Cache

MOST_WAITING = 200
MOST_ENDED = 200
MOST_EVENTS = 4096
HOT_BYTES = 512 << 20
"""Frames that are kept as they were read: five at 1080p, or one at 4K."""
LANES = ("range", "frame")


class UnknownJobError(UsageError):
    """The service does not know this job: it was started anew, or the job ended long ago."""


class Job:
    """One request, its state and its events; a `render.progress.Reporter`."""

    def __init__(self, request: Request, changed: Callable[[Job], None]) -> None:
        self.name = uuid.uuid4().hex[:12]
        self.request, self._changed = request, changed
        self.state = "queued"
        self.done_frames = self.total = 0
        self.cancelled = threading.Event()
        self.submitted = time.time()
        # Late readers of a very long job miss its oldest events. The event numbers show it.
        self._events: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._count = itertools.count()
        self._lock = threading.Lock()
        self.last_path = ""

    @property
    def ended(self) -> bool:
        """Whether its last event has happened."""
        return self.state in ("done", "error", "cancelled")

    def events(self, after: int) -> list[dict[str, Any]]:
        """Return the events from this number on.

        The oldest events of very long jobs are dropped.
        """
        with self._lock:
            if not self._events or after > self._events[-1]["number"]:
                return []
            first = self._events[0]["number"]
            return list(itertools.islice(self._events, max(0, after - first), None))

    def queued(self, ahead: int) -> None:
        """Record the first event."""
        self._say("queued", ahead=ahead)

    def start(self, total: int, **facts: Any) -> None:
        """Record the start, before the first frame."""
        self.total = total
        self._say("start", total=total, **facts)

    def frame(self, frame: int, path: Path) -> None:
        """Record a frame that is whole on disk. Raises Cancelled in a cancelled job."""
        self.done_frames += 1
        self.last_path = str(path)
        self._say("frame", frame=frame, path=str(path))
        if self.cancelled.is_set():
            raise Cancelled

    def warn(self, text: str) -> None:
        """Record something about the inputs that the user should know."""
        self._say("warning", message=text)

    def done(self, output: str) -> None:
        """Does nothing: the lane ends the job."""

    def end(self, state: str, **facts: Any) -> None:
        """Record the last event."""
        # Keep ended jobs small, however large their requests were.
        self.request = replace(self.request, knobs={}, node={}, connect={}, options={})
        self.state = state
        self._say(state, **facts)

    def summary(self) -> dict[str, Any]:
        """Return one row of `Client.jobs`."""
        return {
            "job": self.name, "state": self.state, "done": self.done_frames, "total": self.total,
            "model": self.request.model, "source": self.request.source,
            "output": self.request.output, "submitted": self.submitted,
        }  # fmt: skip

    def _say(self, event: str, **facts: Any) -> None:
        with self._lock:
            self._events.append({"event": event, "number": next(self._count), **facts})
        self._changed(self)


class Board:
    """All jobs of a service.

    changed: called from a lane's thread when a job has a new event. frames: the folder for single
    frames without an output.
    """

    def __init__(self, pool: ModelPool, changed: Callable[[Job], None], frames: Path) -> None:
        self._pool, self._changed, self._frames = pool, changed, frames
        self._hot: Cache | None = None
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._lanes: dict[str, queue.SimpleQueue[Job]] = {n: queue.SimpleQueue() for n in LANES}
        for name, waiting in self._lanes.items():
            threading.Thread(
                target=self._work, args=(waiting,), name=f"matte-{name}", daemon=True
            ).start()

    def submit(self, request: Request) -> Job:
        """Put a job into its lane. Raises UsageError when too many jobs wait."""
        job = Job(request, self._changed)
        with self._lock:
            ahead = [old for old in self._jobs.values() if not old.ended]
            if len(ahead) >= MOST_WAITING:
                raise UsageError(
                    f"{MOST_WAITING} jobs are already waiting. Cancel some of them, or wait."
                )
            self._jobs[job.name] = job
            ended = [name for name, old in self._jobs.items() if old.ended]
            for name in ended[: max(0, len(ended) - MOST_ENDED)]:
                del self._jobs[name]
        job.queued(sum(old.request.single == request.single for old in ahead))
        self._lanes["frame" if request.single else "range"].put(job)
        return job

    def job(self, name: object) -> Job:
        """Return the job of this name. Raises UnknownJobError."""
        found = self._jobs.get(name) if isinstance(name, str) else None
        if found is None:
            raise UnknownJobError(f"There is no job {name!r:.50}.")
        return found

    def jobs(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return any(not job.ended for job in self.jobs())

    def cancel(self, job: Job) -> bool:
        """End a job at its next step. Returns False when it has ended already."""
        job.cancelled.set()
        return not job.ended

    def _work(self, waiting: queue.SimpleQueue[Job]) -> None:
        own = own_place()
        while True:
            self._do(waiting.get(), own)

    def _do(self, job: Job, own: bool) -> None:
        try:
            if job.cancelled.is_set():
                raise Cancelled
            with placed(job.request.cwd, job.request.umask, own=own):
                job.state = "running"
                output = self._render(job)
            job.end("done", frames=job.done_frames, output=output, path=job.last_path)
        except Cancelled:
            job.end("cancelled", frames=job.done_frames)
        except MatteError as error:
            self._fail(job, error, str(error), error.exit_code)
        except BaseException as error:  # the service must survive every failure of a model
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._fail(job, error, f"The model or the library failed ({reason}).", 1)
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def _fail(self, job: Job, error: BaseException, message: str, code: int) -> None:
        job.end(
            "error", message=message, kind=type(error).__name__, exit_code=code,
            frame=error.frame if isinstance(error, MatteError) else None,
        )  # fmt: skip

    def _render(self, job: Job) -> str:
        asked = job.request
        check_inputs(asked)
        output = asked.output or kept_output(self._frames, asked)
        with self._pool.lease(job.cancelled) as lease:
            node, connect = {**asked.node, "loader": lease.load}, self._connect(asked)
            if asked.view:
                job.last_path = self._looked(job, output, node, connect)
                return output
            render = Render(
                asked.source, output, asked.model, knobs=asked.knobs, node=node, connect=connect,
                **asked.options,
            )  # fmt: skip
            render.run(asked.first, asked.last, job)
        if asked.single and not job.last_path and asked.first is not None:
            job.last_path = frame_path(output, asked.first)  # it was there already
        return output

    def _looked(
        self, job: Job, output: str, node: Mapping[str, Any], connect: Mapping[str, Any]
    ) -> str:
        """A look at a frame instead of its file; returns the path of the view."""
        asked = job.request
        assert asked.first is not None
        parts = {name: asked.options[name] for name in CHAIN if name in asked.options}
        found = look(
            asked.source, asked.model, asked.first, asked.view["width"],
            foreground=bool(asked.view.get("foreground")), warn=job.warn,
            knobs=asked.knobs, node=node, connect=connect, **parts,
        )  # fmt: skip
        path = frame_path(output, asked.first)
        found.save(Path(path))
        return path

    def _connect(self, asked: Request) -> Mapping[str, Any]:
        """The request's `connect`. Single frames share one cache, which keeps the newest of them as
        they were read: a person looks at one again and again with other finishing knobs."""
        if not asked.single or asked.connect.get("cache") != "disk":
            return asked.connect
        if self._hot is None:
            self._hot = Cache("disk", frames=HOT_BYTES)
        return {**asked.connect, "cache": self._hot}
