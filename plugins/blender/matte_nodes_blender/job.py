# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of the service, followed from a thread that never touches Blender."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any

DONE, ERROR, CANCELLED = "done", "error", "cancelled"


def in_words(seconds: float) -> str:
    """Return a length of time as a panel shows it."""
    if seconds < 60:
        return f"{max(int(seconds), 1)} s left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min left"
    return f"{minutes // 60} h {minutes % 60} min left"


class Job:
    """A request on its way; `poll` is called from Blender's main thread.

    client: of the service (submit, events, cancel). frames: done by this job, in order. state: ""
    while it runs. message: what to tell of an error. said: what it is doing.
    """

    def __init__(self, client: Any, request: dict[str, Any]) -> None:
        self.frames: list[int] = []
        self.total, self.before, self.said = 0, 0, "asking the matte service"
        self.state, self.message, self.notes = "", "", []  # type: ignore[var-annotated]
        self._began, self._latest = 0.0, 0.0
        self._client, self._request = client, request
        self._name, self._wanted_end, self._asked_end = "", False, False
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, name="matte bake", daemon=True)
        self._thread.start()

    def poll(self) -> list[int]:
        """Read new events. Returns the frames that were finished since the last call."""
        fresh: list[int] = []
        while not self.state:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                break
            self._take(event, fresh)
        if self._wanted_end and self._name and not self._asked_end and not self.state:
            self._asked_end = True
            threading.Thread(target=self._cancel, name="matte cancel", daemon=True).start()
        self.frames += fresh
        return fresh

    def left(self) -> str:
        """Return how long it will still take, in words; "" while that is not known."""
        # The first frame took the loading of the model along: the time counts from its end.
        done = len(self.frames) - 1
        if done < 1 or self.state or not self.total:
            return ""
        return in_words((self._latest - self._began) / done * (self.total - len(self.frames)))

    def wait(self, seconds: float) -> list[int]:
        """Poll, sleeping until something happens, for a Blender without a window."""
        fresh: list[int] = []
        if not self.state:
            with contextlib.suppress(queue.Empty):
                self._take(self._events.get(timeout=seconds), fresh)
        self.frames += fresh
        return fresh + self.poll()

    def cancel(self) -> None:
        """Stop at the next frame; frames that are done stay."""
        self._wanted_end, self.said = True, "stopping"

    def _take(self, event: dict[str, Any], fresh: list[int]) -> None:
        kind = event["event"]
        if kind == "submitted":
            self._name = event["job"]
        elif kind == "queued" and event["ahead"]:
            self.said = f"waiting for {event['ahead']} other job(s)"
        elif kind == "start":
            # After the service died and came back, what was done before is not in its total.
            self.total = event["total"] + len(self.frames) + len(fresh)
            self.before = int(event.get("done_before") or 0)
            self.notes = list(event.get("notes") or ())
            self.said = f"matting with {event['model']}"
        elif kind == "frame":
            fresh.append(int(event["frame"]))
            self._latest = time.monotonic()
            self._began = self._began or self._latest
        elif kind == "resumed":
            self.said = "the service had died; going on"
        elif kind in (DONE, ERROR, CANCELLED):
            self.state, self.message = kind, str(event.get("message", ""))

    def _listen(self) -> None:
        try:
            job = self._client.submit(self._request)
            self._events.put({"event": "submitted", "job": job})
            for event in self._client.events(job):
                self._events.put(event)
        except Exception as error:  # whatever it is, it is the artist's to see
            message = str(error) or type(error).__name__
            self._events.put({"event": ERROR, "message": message})

    def _cancel(self) -> None:
        try:
            self._client.cancel(self._name)
        except Exception:  # then the listener hears of the same
            return
