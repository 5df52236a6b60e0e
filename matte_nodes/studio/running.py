# SPDX-License-Identifier: Apache-2.0
"""A range that the service mattes for the page: progress, cancel, resume, errors."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import UsageError
from matte_nodes.service.client import ServiceError

if TYPE_CHECKING:
    from matte_nodes.studio.desk import Desk

MOST_NOTES = 20
"""Remarks and warnings of a run that are shown: the newest ones."""


class Runs:
    """At most one range at a time. A second run with the same settings does only what is missing."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._lock = desk, threading.Lock()
        self._thread: threading.Thread | None = None
        self._job = ""
        self.last: dict[str, Any] = {"state": "idle"}
        desk.is_running = self.is_running

    def start(
        self, first: int, last: int, *, output: str = "", layout: str = "auto", over: str = ""
    ) -> dict[str, Any]:
        """Begin. output: by default the session's own frames. UsageError while another runs."""
        desk = self._desk
        desk.checked_frame(first)
        desk.checked_frame(last)
        if last < first:
            raise UsageError(f"The out point {last} lies before the in point {first}.")
        with self._lock:
            if self.is_running():
                raise UsageError("A range runs already. Cancel it, or wait for its end.")
            key = desk.key()
            own = output or desk.results.pattern(key)
            request = {**desk.request(), "frames": [first, last], "output": own}
            request |= {"layout": layout, "over": over}
            facts: dict[str, Any] = {"key": "" if output else key, "output": own}
            facts |= {"first": first, "last": last}
            self._job = desk.client.submit(request)
            self.last = {"state": "queued", "done": 0, "total": last - first + 1, **facts}
            self._thread = threading.Thread(
                target=self._follow, args=(self._job, facts), name="matte-studio-run", daemon=True
            )
            self._thread.start()
        self._tell()
        return self.last

    def is_running(self) -> bool:
        """Whether a range is being matted, or waits."""
        return self._thread is not None and self._thread.is_alive()

    def cancel(self) -> bool:
        """End the range at its next step. Whole frames stay. False when none runs."""
        with self._lock:
            running, job = self.is_running(), self._job
        return running and self._desk.client.cancel(job)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the range."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _follow(self, job: str, facts: dict[str, Any]) -> None:
        try:
            for event in self._desk.client.events(job):
                self._take(event, facts)
        except ServiceError as error:
            self._change(state="error", message=str(error), frame=error.frame)
        except Exception as error:
            self._change(state="error", message=f"{type(error).__name__}: {error}", frame=None)

    def _take(self, event: dict[str, Any], facts: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            before = event["done_before"]
            self._change(
                state="running", total=event["total"] + before, done=before, model=event["model"],
                notes=event.get("notes", []),
            )  # fmt: skip
        elif kind == "frame":
            self._change(done=self.last["done"] + 1, frame=event["frame"])
            if facts["key"]:
                self._desk.events.tell("matted", key=facts["key"], frame=event["frame"])
        elif kind == "warning":
            self._change(notes=[*self.last.get("notes", []), event["message"]][-MOST_NOTES:])
        elif kind == "done":
            self._change(state="done", path=event["path"])
        elif kind == "error":
            self._change(state="error", message=event["message"], frame=event["frame"])
        elif kind == "cancelled":
            self._change(state="cancelled")

    def _change(self, **facts: Any) -> None:
        self.last = {**self.last, **facts}
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop of a page has ended
            self._desk.events.tell("run", **self.last)
