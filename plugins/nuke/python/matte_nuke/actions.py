# SPDX-License-Identifier: Apache-2.0
"""The buttons: matte a frame or the range, cancel, a job for the farm, the cache's folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import nuke

from . import clicks, farm, host, knobs, upstream, versions
from . import work as follower
from .matte_client import Client
from .plan import RunPlan
from .setup import Setup
from .trouble import Trouble

# States that a change of the inputs may replace.
SETTLED = ("done", "cancelled", "farm job", upstream.OLD, upstream.FRESH)
_running: dict[str, threading.Event] = {}


def matte_frame(node: Any = None, frame: int | None = None) -> None:
    """Matte the frame that is shown, or this one."""
    _run(node, int(nuke.frame()) if frame is None else frame)


def matte_range(node: Any = None) -> None:
    """Matte the range that is set on the node."""
    _run(node, None)


def cancel(node: Any = None) -> None:
    """Stop what runs for this node; frames that are done stay."""
    found = _running.get(host.Face(node or nuke.thisNode()).name)
    if found is not None:
        found.set()


def click_subject(node: Any = None) -> None:
    """Add a click on the subject: at the position, in the frame that is shown."""
    _click(node, "+")


def click_not(node: Any = None) -> None:
    """Add a click beside the subject: at the position, in the frame that is shown."""
    _click(node, "-")


def click_along(node: Any = None) -> None:
    """Add clicks on the subject along a position that moves, as one that follows a Tracker."""
    face = host.Face(node or nuke.thisNode())
    first, last = int(face.node["first"].value()), int(face.node["last"].value())
    _click(face.node, "+", clicks.frames_along(first, last))


def clear_clicks(node: Any = None) -> None:
    """Take all clicks away."""
    (node or nuke.thisNode())["clicks"].setValue("")


def _click(node: Any, kind: str, frames: Any = None) -> None:
    face = host.Face(node or nuke.thisNode())
    place, text = face.node["pick"], str(face.node["clicks"].value() or "")
    name = str(face.node["click_object"].value() or "")
    try:
        for frame in [int(nuke.frame())] if frames is None else frames:
            at = (float(place.getValueAt(frame, 0)), float(place.getValueAt(frame, 1)))
            text = clicks.added(text, at, frame, kind, name)
    except Trouble as error:
        _fail(face, str(error))
        return
    face.node["clicks"].setValue(text)


def reset_range(node: Any = None) -> None:
    """Set the range to the frames of the plate."""
    face = host.Face(node or nuke.thisNode())
    plate = face.node.input(0)
    if plate is None:
        _fail(face, "Nothing is connected to the input 'plate'. Connect it, then press Reset.")
        return
    for name, value in (("first", plate.firstFrame()), ("last", plate.lastFrame())):
        face.node[name].clearAnimated()  # a link to the project would win
        face.node[name].setValue(int(value))


def export_farm_job(node: Any = None) -> None:
    """Write a bundle that mattes the range on a farm, and show its frames as they appear."""
    face = host.Face(node or nuke.thisNode())
    try:
        setup = Setup()
        plan = RunPlan(face.node, nuke.root(), setup, host.nuke_folder())
        if nuke.root().proxy():
            raise Trouble("Proxy mode is on: a farm job is made at full size. Turn it off.")
        settings, inputs = (
            versions.settings_hash(plan.request(plan.base)),
            upstream.noted(face.node),
        )
        folder = farm.bundle_folder(plan.base, settings)
        os.makedirs(os.path.join(folder, "out"))
        _render_inputs(face, plan, folder)
        face.say("writing the farm job")
    except host.Cancelled:
        face.say("cancelled")
        return
    except Trouble as error:
        _fail(face, str(error))
        return

    def shown(trouble: str) -> None:
        if trouble:
            face.say("error", trouble)
            return
        file = os.path.join(folder, "out", versions.RESULT)
        face.show(file, list(plan.frames), settings, inputs, proxy=False)
        face.say("farm job: " + os.path.join(folder, "bundle"))

    def work() -> None:
        trouble = ""
        try:
            bundle = os.path.join(folder, "bundle")
            farm.write(setup.python, setup.home, plan.request(folder), bundle)
        except Trouble as error:
            trouble = str(error)
        host.on_main(shown, trouble)
        if trouble and not nuke.GUI:
            raise Trouble(trouble)

    if nuke.GUI:
        threading.Thread(target=work, name="matte farm", daemon=True).start()
    else:
        work()


def reveal_cache(node: Any = None) -> None:
    """Open the folder that the result lies in, or will lie in."""
    face = host.Face(node or nuke.thisNode())
    base = str(face.node["cache_folder"].evaluate() or "")
    shown = os.path.dirname(str(face.node.node("result")["file"].evaluate() or ""))
    folder = shown if os.path.isdir(shown) else base
    if not os.path.isdir(folder):
        _fail(face, f"There is no folder {folder} yet: nothing was matted.")
    elif sys.platform == "win32":
        os.startfile(folder)
    else:
        subprocess.Popen(["open" if sys.platform == "darwin" else "xdg-open", folder])


def knob_changed() -> None:
    """After a change on a MatteNode: show the own knobs of its model; say when a result is old."""
    node, knob = nuke.thisNode(), nuke.thisKnob()
    if node.knob("has_result") is None or node.knob("cache_folder") is None:
        return
    name = str(knob.name())
    if name == "inputChange":
        # A range that nobody set follows the plate, not the project.
        if node.input(0) is not None and all(node[k].hasExpression() for k in ("first", "last")):
            reset_range(node)
        return
    if name in ("model", "showPanel"):
        for group, seen in knobs.model_groups(node).items():
            node[group].setVisible(seen)
    changed = name in ("model", "clicks") or name.startswith((knobs.SHARED, "model_"))
    if changed and node["has_result"].value() and host.Face(node).name not in _running:
        with host.no_undo():
            node["state"].setValue("knobs changed since this was matted")


def inputs_changed() -> None:
    """After anything changed in the window: say on a MatteNode when its inputs are not the same."""
    node = nuke.thisNode()
    if node.knob("inputs_seen") is None or not node["has_result"].value():
        return
    state = str(node["state"].value())
    if host.Face(node).name in _running or not state.startswith(SETTLED):
        return
    changed = upstream.is_changed(node)
    told = upstream.OLD if changed else upstream.FRESH if state == upstream.OLD else state
    if changed is not None and told != state:
        with host.no_undo():
            node["state"].setValue(told)


def _run(node: Any, frame: int | None) -> None:
    face = host.Face(node or nuke.thisNode())
    name = face.name
    if name in _running:
        face.say("still at work: press Cancel first")
        return
    run = ""
    stop = _running[name] = threading.Event()
    try:
        setup = Setup()
        plan = RunPlan(face.node, nuke.root(), setup, host.nuke_folder(), frame)
        client = Client(setup.python, setup.home)
        run = versions.new_run(plan.base)
        face.say("rendering the inputs" if plan.to_render else "starting")
        _render_inputs(face, plan, run)
        job = _Job(face, plan, client, run, stop, proxy=bool(nuke.root().proxy()))
    except host.Cancelled:
        _end(name, run)
        face.say("cancelled")
        return
    except Exception as error:
        _end(name, run)
        _fail(face, str(error) or type(error).__name__)
        return
    if nuke.GUI:
        threading.Thread(target=job.work, name="matte " + name, daemon=True).start()
    else:
        job.work()


def _render_inputs(face: host.Face, plan: RunPlan, run: str) -> None:
    for name in plan.to_render:
        face.render(name, plan.input_pattern(run, name), *plan.shot)


class _Job:
    """One run from the request to the picture on the node; `work` may run in any thread."""

    def __init__(
        self, face: host.Face, plan: RunPlan, client: Client, run: str, stop: threading.Event,
        *, proxy: bool,
    ) -> None:  # fmt: skip
        self._face, self._plan, self._client = face, plan, client
        self._run, self._stop, self._proxy = run, stop, proxy
        self._name, self._progress = face.name, host.Progress(face.name)
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
                self._client, request, self._progress.tell, self._is_cancelled
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
        finally:
            _end(self._name, self._run)
        host.on_main(self._face.say, state, message)
        if message and not nuke.GUI:
            raise Trouble(message)

    def _show(self, shown: str, frames: list[int], settings: str) -> None:
        try:
            self._face.show(shown, frames, settings, self._inputs, proxy=self._proxy)
        except ValueError:  # the node was deleted meanwhile
            return

    def _is_cancelled(self) -> bool:
        return self._stop.is_set() or self._progress.cancelled


def _end(name: str, run: str) -> None:
    _running.pop(name, None)
    if run:
        versions.clear(run)


def _fail(face: host.Face, message: str) -> None:
    face.say("error", message)
    if not nuke.GUI:
        raise Trouble(message)
