# SPDX-License-Identifier: GPL-3.0-or-later
"""The review page of a bake, and a model trained on painted frames: commands beside the artist."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import bpy

from . import addon, baking, corrections, folders, group, learn, settings
from .commands import Command
from .inputs import Inputs
from .job import DONE, ERROR, in_words
from .trouble import Trouble
from .work import CANCELLED, Work

REVIEW = "review.html"
KEY = "key"


class Errand(Work):
    """Base class of work that is one `matte` command on the node's inputs."""

    def __init__(self, tree: Any, scene: Any, only: tuple[str, ...]) -> None:
        name = baking.free(tree)
        self._chosen = addon.chosen()
        self._colour: dict[str, str] = {}
        inputs = Inputs(tree.name, baking.again(tree, scene), only)
        if inputs.plan.colour.config:
            self._colour = {"OCIO": inputs.plan.colour.config}
        tree.matte_nodes.message = tree.matte_nodes.note = ""
        super().__init__(name, inputs)

    def _begun(self) -> Command:
        return Command(self._chosen, self._arguments(), self._colour)

    def quit(self) -> None:
        """Blender or the add-on ends: nobody would take in what the command makes."""
        super().quit()
        if self.job is not None:
            self.job.cancel()

    def _told(self) -> str:
        return str(self.job.lines[-1]) if self.job.lines else f"{self.doing}: starting"

    def _arguments(self) -> list[str]:
        """Return the command; the inputs are there."""
        raise NotImplementedError

    def _plate(self) -> tuple[str, list[str]]:
        """Return the plate for a command, and the flag that names its colour space."""
        path, space = self.inputs.paths["plate"]
        return path, ["--colorspace", space] if space else []

    def _follow(self, seconds: float) -> bool:
        before = len(self.job.lines)
        code = self.job.poll(seconds)
        fresh = self.job.lines[before:]
        for line in fresh:
            self._heard(line)
        if code is not None:
            self.state = CANCELLED if self._stopped else self._judged(code)
            self._end(self.tree)
        return bool(fresh) or code is not None

    def _heard(self, line: str) -> None:
        """Take in one line that the command said."""

    def _judged(self, code: int) -> str:
        """Return DONE or ERROR."""
        return ERROR if code else DONE

    def _end(self, tree: Any) -> None:
        self.leave()
        if tree is None:
            return
        if self.state == CANCELLED:
            tree.matte_nodes.note = f"{self.doing}: cancelled"
        elif self.state == ERROR:
            baking.complain(tree, bpy.context.scene, f"{self.doing}: {self.job.end()}")
        else:
            self._done(tree)
            tree.matte_nodes.note = self.result

    def _done(self, tree: Any) -> None:
        """Show what came of it on the node, and set `result`."""
        raise NotImplementedError


class Review(Errand):
    """The review page of the frames that the node shows."""

    doing = "review page"

    def __init__(self, tree: Any, scene: Any) -> None:
        self._folder = group.linked_folder(tree)
        frames = folders.frames_there(self._folder) if self._folder else set()
        if not frames:
            raise Trouble("There is no bake to look at yet: bake first.")
        self._span = min(frames), max(frames)
        self.path = os.path.join(self._folder, REVIEW)
        super().__init__(tree, scene, ("plate",))

    def _arguments(self) -> list[str]:
        plate, space = self._plate()
        first, last = self._span
        # The space of the frames is in the frames: the scene's, which need not be the plate's.
        return [
            "check", self._folder, "--plate", plate, *space, "--frames", f"{first}-{last}",
            "--output-colorspace", self.inputs.plan.colour.working, "--report", self.path,
            "--use", "non-commercial",
        ]  # fmt: skip

    def _begun(self) -> Command:
        Path(self.path).unlink(missing_ok=True)
        return super()._begun()

    def _judged(self, code: int) -> str:
        # A check that fails is no reason not to look at the page: there it is seen.
        return DONE if os.path.isfile(self.path) else ERROR

    def _done(self, tree: Any) -> None:
        failed = [line for line in self.job.lines if line.startswith("FAIL")]
        names = ", ".join(line.split()[1] for line in failed)
        self.result = f"{REVIEW} is beside the frames"
        self.result += f"; failed: {names}" if names else ", all checks passed"
        if not bpy.app.background:
            bpy.ops.wm.url_open(url=Path(self.path).as_uri())


class FineTune(Errand):
    """A model trained for this shot, on the frames that were painted. steps: 0 for the usual."""

    doing = "fine-tuning"

    def __init__(self, tree: Any, scene: Any, steps: int = 0) -> None:
        self._keys, self._steps = corrections.files(tree), steps
        if not self._keys:
            raise Trouble(
                "There is no frame to learn from yet: paint the matte of some frames "
                "(Paint This Frame); a frame that is right already counts as well."
            )
        corrections.save(tree)
        learned = settings.known().cards
        self.model = free_name(tree.matte_nodes.tuned_name or _usual_name(tree), learned)
        super().__init__(tree, scene, ("plate", "background"))

    def _arguments(self) -> list[str]:
        plate, space = self._plate()
        keys = folders.link_inputs(self.inputs.folder, KEY, self._keys)
        clean, of_clean = self.inputs.paths.get("background", ("", ""))
        hints = ["--background", clean] if clean else []
        hints += ["--background-colorspace", of_clean] if of_clean else []
        return [
            "finetune", plate, *space, *hints, "--keys", keys, "--name", self.model, "--json",
            *(["--steps", str(self._steps)] if self._steps else []),
        ]  # fmt: skip

    def _heard(self, line: str) -> None:
        told = _read(line)
        if told.get("event") == "step":
            self.done, self.total = int(told["step"]), int(told["steps"])
            self._said = in_words(float(told["seconds_left"]))
        elif told.get("event") == "note":
            self._said = str(told["message"])
        elif told.get("event") == "done":
            self._after = told

    _said = "reading the painted frames"
    _after: dict[str, Any] | None = None

    def _told(self) -> str:
        return self._said

    def _done(self, tree: Any) -> None:
        learn.said[0] = learn.ask()
        tree.matte_nodes.model = self.model
        facts = self._after or {}
        self.result = f"{self.model} is trained, and chosen: bake again"
        if facts.get("before") is not None and facts.get("after") is not None:
            self.result += (
                f". Error at frame {facts['heldout']}, held out at first: "
                f"{facts['before']:.4f} before, {facts['after']:.4f} after"
            )


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that no model has: another training must not change bakes of the one before."""
    name = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "shot-model"
    name = name if name[0].isalpha() else f"m-{name}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _usual_name(tree: Any) -> str:
    stem = os.path.splitext(os.path.basename(bpy.data.filepath))[0]
    return f"{stem} {tree.matte_nodes.bake_name or tree.name}"


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
