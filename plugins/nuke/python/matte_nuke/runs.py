# SPDX-License-Identifier: Apache-2.0
"""One press of a button: inputs are rendered, the service mattes, the node shows what came."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import nuke

from . import host, kept, upkeep, upstream, versions
from . import work as follower
from .matte_client import Client
from .plan import RunPlan
from .setup import Setup
from .trouble import Trouble

LIVE_SECONDS = 1.0
"""The shown frames are renewed at most so often: each time Nuke draws its viewer anew."""
_running: dict[str, threading.Event] = {}


def is_running(face: host.Face) -> bool:
    """Whether a run of this session works for the node."""
    return face.run in _running


def stop(face: host.Face) -> None:
    """Ask the node's run to end."""
    found = _running.get(face.run)
    if found is not None:
        found.set()


def start(node: Any, frame: int | None) -> None:
    """Matte a frame, or the range with None."""
    face = host.Face(node or nuke.thisNode())
    if is_running(face):
        face.say("still at work: press Cancel first")
        return
    run, asked = "", threading.Event()
    try:
        upkeep.check(face.node)
        setup = Setup()
        plan = RunPlan(face.node, nuke.root(), setup, host.nuke_folder(), frame)
        client = Client(setup.python, setup.home)
        run = versions.new_run(plan.base)
        _running[run] = asked
        face.begin(run)
        face.say("rendering the inputs" if plan.to_render else "starting")
        render_inputs(face, plan, run)
        job = _Job(face, plan, client, run, asked, proxy=bool(nuke.root().proxy()))
    except host.Cancelled:
        _end(face, run)
        face.say("cancelled")
        return
    except Exception as error:
        _end(face, run)
        fail(face, str(error) or type(error).__name__)
        return
    if nuke.GUI:
        threading.Thread(target=job.work, name="matte " + face.name, daemon=True).start()
    else:
        job.work()


def render_inputs(face: host.Face, plan: RunPlan, folder: str) -> None:
    """Put the frames of all inputs that are no files into a folder: kept ones, else rendered now."""
    for name in plan.to_render:
        pattern, frames = plan.input_pattern(folder, name), plan.rendered_frames(name)
        keys = face.keys(name, plan.sources[name], frames)
        missing = kept.take(plan.base, keys, pattern) if keys else frames
        for first, last in kept.stretches(missing):
            try:
                face.render(name, pattern, first, last)
            except host.Cancelled:
                done = [n for n in range(first, last + 1) if kept.is_there(pattern, n)]
                kept.keep(plan.base, keys, pattern, done[:-1] if keys else ())
                raise
            if keys:
                kept.keep(plan.base, keys, pattern, range(first, last + 1))
    kept.trim(plan.base)


class _Job:
    """One run from the request to the picture on the node; `work` may run in any thread."""

    def __init__(
        self, face: host.Face, plan: RunPlan, client: Client, run: str, stop: threading.Event,
        *, proxy: bool,
    ) -> None:  # fmt: skip
        self._face, self._plan, self._client = face, plan, client
        self._run, self._stop, self._proxy = run, stop, proxy
        self._progress = host.Progress(face.name)
        self._live = 0.0
        # Frames that are shown stay only while they are of the same inputs.
        self._shown = "" if upstream.is_changed(face.node) else face.shown(proxy=proxy)
        self._inputs = upstream.noted(face.node)

    def work(self) -> None:
        """Matte, then show."""
        plan, message = self._plan, ""
        asked = range(plan.frames[0], plan.frames[1] + 1)
        try:
            request = plan.request(self._run)
            settings = versions.settings_hash(request)
            versions.seed(plan.base, settings, self._run, asked)
            outcome = follower.follow(
                self._client, request, self._progress.tell, self._is_cancelled, self._came
            )
            done = list(asked) if outcome.state == "done" else outcome.frames
            version = versions.publish(plan.base, settings, self._run, done, self._shown)
            if version:
                shown = os.path.join(plan.base, version, versions.RESULT)
                host.on_main(self._show, shown, done, settings)
            state = f"{outcome.state}: {len(done)} of {len(asked)} frames"
            if outcome.state == "done":
                state += f" ({len(outcome.frames)} matted now)"
            message = outcome.message if outcome.state == "error" else ""
        except Exception as error:  # a thread that dies silently would leave "matting" standing
            state, message = "error", str(error) or type(error).__name__
        host.on_main(self._finish, state, message)
        if message and not nuke.GUI:
            raise Trouble(message)

    def _finish(self, state: str, message: str) -> None:
        _end(self._face, self._run)
        self._face.say(state, message)

    def _came(self, frames: list[int]) -> None:
        """Show what is on disk by now, in the window."""
        now = time.monotonic()
        if nuke.GUI and now - self._live >= LIVE_SECONDS:
            self._live = now
            pattern = os.path.join(self._run, "out", versions.RESULT)
            host.on_main(self._show_live, pattern, min(frames), max(frames))

    def _show_live(self, pattern: str, first: int, last: int) -> None:
        if self._run in _running:  # the run may have ended before Nuke came to this
            self._face.show_live(pattern, first, last)

    def _show(self, shown: str, frames: list[int], settings: str) -> None:
        try:
            self._face.show(shown, frames, settings, self._inputs, proxy=self._proxy)
        except ValueError:  # the node was deleted meanwhile
            return

    def _is_cancelled(self) -> bool:
        return self._stop.is_set() or self._progress.cancelled


def _end(face: host.Face, run: str) -> None:
    if run:
        _running.pop(run, None)
        face.end()
        versions.clear(run)


def fail(face: host.Face, message: str) -> None:
    """Say on the node what went wrong; raises Trouble where there is no window."""
    face.say("error", message)
    if not nuke.GUI:
        raise Trouble(message)
