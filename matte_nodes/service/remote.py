# SPDX-License-Identifier: Apache-2.0
"""Runs `matte run` through the service, with the same events, errors and exit codes as in this
process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from matte_nodes import errors
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.runtime import cores
from matte_nodes.service.client import Client, ServiceError, ServiceGoneError
from matte_nodes.service.endpoint import code_stamp

OFF = ("off", "0", "no", "false")


def is_wanted() -> bool:
    """Whether $MATTE_SERVICE allows the service."""
    return os.environ.get("MATTE_SERVICE", "").strip().lower() not in OFF


def render(
    arguments: Mapping[str, Any],
    first: int | None,
    last: int | None,
    report: Quiet,
    *,
    say: bool = True,
) -> None:
    """Run `Render(**arguments).run(first, last, report)` through the running service, else here.

    A service with other code, other GPUs or other cores is not used, because it could give other
    pixels. If the service ends during a job, the job continues here.
    """
    # First a service that runs this very code; else any, to say why it is not used.
    client = Client(code=code_stamp())
    hello = None if _broken_ocio(arguments) else _greeting(client) or _greeting(Client())
    other = "" if hello is None else _difference(hello, arguments)
    if hello is None or other:
        if hello is not None and say:
            _say(f"the service (process {hello['pid']}) {other}; this runs without it")
        Render(**arguments).run(first, last, report)
        return
    if say:
        _say(f"the service (process {hello['pid']}) does this; --no-service does it here")
    try:
        _follow(client, _request(arguments, first, last), report, say=say)
    except ServiceGoneError:
        if say:
            _say("the service ended; this goes on without it")
        Render(**arguments).run(first, last, _Resumed(report))


def _difference(hello: dict[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return how the service could give other pixels than this process, or ""."""
    if hello["code"] != code_stamp():
        return "runs other code"
    if not arguments["node"].get("threads") and hello.get("cores") != cores():
        return f"has {hello.get('cores')} core(s), this process {cores()}"
    return ""


def _greeting(client: Client) -> dict[str, Any] | None:
    try:
        return client.hello()
    except ServiceError:  # another version's
        return None


def _follow(client: Client, request: dict[str, Any], report: Quiet, *, say: bool) -> None:
    job = ""
    try:
        for event in client.stream(request):
            job = event.get("job", job)
            _tell(event, report, say=say)
    except KeyboardInterrupt:
        with suppress(ServiceError):
            client.cancel(job)
            for _ in client.events(job):  # as here: no file changes after the end
                pass
        raise


def _tell(event: dict[str, Any], report: Quiet, *, say: bool) -> None:
    kind = event.pop("event")
    event.pop("number", None)
    if kind == "queued":
        if say and event["ahead"]:
            _say(f"waiting for {event['ahead']} other job(s) of the service")
    elif kind == "start":
        report.start(event.pop("total"), **event)
    elif kind == "frame":
        report.frame(event["frame"], Path(event["path"]))
    elif kind == "warning":
        report.warn(event["message"])
    elif kind == "done":
        report.done(event["output"])
    elif kind == "error":
        raise _error(event)
    elif kind == "cancelled":
        raise errors.MatteError("The job was cancelled by another client of the service.")


def _request(arguments: Mapping[str, Any], first: int | None, last: int | None) -> dict[str, Any]:
    return {**arguments, "frames": [first, last]}


def _error(event: Mapping[str, Any]) -> errors.MatteError:
    kind = getattr(errors, str(event["kind"]), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.MatteError)):
        kind = errors.MatteError
    error = kind(event["message"])
    error.exit_code = event["exit_code"]
    error.frame = event["frame"]
    return error


def _broken_ocio(arguments: Mapping[str, Any]) -> bool:
    """Whether $OCIO names a missing file.

    This process can then name the variable in its message.
    """
    named = os.environ.get("OCIO", "")
    if arguments["node"].get("ocio") or not named or named.startswith("ocio://"):
        return False
    return not Path(named).is_file()


def _say(text: str) -> None:
    sys.stderr.write(f"matte: {text}\n")


class _Resumed:
    """Carries a report on: the first start was told, and counted more than is left."""

    def __init__(self, report: Quiet) -> None:
        self._report = report
        self.frame, self.warn, self.done = report.frame, report.warn, report.done

    def start(self, total: int, **facts: Any) -> None:
        """Correct the frame count if a start was already reported, else report the start."""
        self._report.resume(total, **facts)
