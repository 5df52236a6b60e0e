# SPDX-License-Identifier: Apache-2.0
"""One job of the service, followed from a thread; nothing of Nuke is imported here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .matte_client import Client

LOOK_SECONDS = 0.2


class Outcome:
    """The result of a job: done, cancelled or error, and the frames that it finished."""

    def __init__(self) -> None:
        self.state, self.message = "error", ""
        self.frames: list[int] = []


def follow(
    client: Client,
    request: dict[str, Any],
    told: Callable[[str, int, int], None],
    cancelled: Callable[[], bool],
    came: Callable[[list[int]], None] = lambda frames: None,
) -> Outcome:
    """Hand in a request and wait for its end; asked for its cancel it is cancelled.

    told: called with a sentence, frames done and frames in all. cancelled: asked a few times a
    second, whether the service answers or not. came: called after each frame with all that lie on
    disk by now. Never raises.
    """
    outcome, events = Outcome(), queue.Queue()  # type: ignore[var-annotated]
    thread = threading.Thread(target=_listen, args=(client, request, events), daemon=True)
    told("asking the matte service", 0, 0)
    thread.start()
    job, asked, total = "", False, 0
    while True:
        if not asked and job and cancelled():
            asked = True
            threading.Thread(target=_cancel, args=(client, job), daemon=True).start()
            told("stopping", len(outcome.frames), total)
        try:
            event = events.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        kind = event["event"]
        if kind == "submitted":
            job = event["job"]
        elif kind == "queued" and event["ahead"]:
            told("waiting for {} other job(s)".format(event["ahead"]), 0, 0)
        elif kind == "start":
            # After the service died and came back, what was done before that is not in its total.
            total = event["total"] + len(outcome.frames)
            told("matting with " + str(event["model"]), len(outcome.frames), total)
        elif kind == "frame":
            outcome.frames.append(event["frame"])
            told("frame {}".format(event["frame"]), len(outcome.frames), total)
            came(outcome.frames)
        elif kind == "resumed":
            told("the service had died; going on", len(outcome.frames), total)
        elif kind in ("done", "cancelled", "error"):
            outcome.state, outcome.message = kind, str(event.get("message", ""))
            return outcome


def _listen(client: Client, request: dict[str, Any], events: Any) -> None:
    try:
        job = client.submit(request)
        events.put({"event": "submitted", "job": job})
        for event in client.events(job):
            events.put(event)
    except Exception as error:  # whatever it is, it is the artist's to see
        events.put({"event": "error", "message": str(error) or type(error).__name__})


def _cancel(client: Client, job: str) -> None:
    try:
        client.cancel(job)
    except Exception as error:  # then the listener hears of the same
        del error
