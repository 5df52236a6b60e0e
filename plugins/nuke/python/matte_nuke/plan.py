# SPDX-License-Identifier: Apache-2.0
"""Plans the work of one button press: checks it, and finds inputs or plans to render them."""

from __future__ import annotations

import os
from typing import Any

from . import clicks, handover, hints, knobs, versions
from .colour import Colour
from .matte_client import host_request
from .setup import Setup
from .trouble import Trouble

INPUTS = ("plate", "trimap", "background", "segmentation")


class RunPlan:
    """One run of a node: which frames, which inputs, the request to the service.

    frames: (first, last) that are matted. shot: (first, last) that the inputs must have.
    to_render: inputs by name that have to be written first, and why. keys: frames of the hints that
    are drawn on some frames only. Raises Trouble.
    """

    def __init__(
        self, node: Any, root: Any, setup: Setup, nuke_folder: str, frame: int | None = None
    ) -> None:
        self.model = str(node["model"].value())
        self.first, self.last = int(node["first"].value()), int(node["last"].value())
        if self.last < self.first:
            raise Trouble(f"The range {self.first}-{self.last} ends before it begins.")
        if frame is not None and not self.first <= frame <= self.last:
            raise Trouble(
                f"Frame {frame} is outside of the range {self.first}-{self.last} on the node."
            )
        self.frames = (self.first, self.last) if frame is None else (frame, frame)
        self.knobs = knobs.given(node, self.model, (self.first, self.last))
        self.reach = setup.reach(self.model, self.knobs)
        self.shot = self._shot()
        self.keys = self._keys(node)
        self.between = str(node["hint_between"].value())
        self.single = frame is not None
        self.base = self._base(node, root)
        wired = {name: node.input(n) for n, name in enumerate(INPUTS) if node.input(n) is not None}
        if "plate" not in wired:
            raise Trouble("Nothing is connected to the input 'plate'.")
        self.sources = wired
        self.points = self._clicks(node, root, wired["plate"])
        for hint in setup.needs(self.model):
            if hint == "points" and not self.points:
                raise Trouble(
                    f"The model {self.model} needs a click: put the position on the subject and "
                    "press 'Subject', or draw the box round it and press 'Box' (Inputs)."
                )
            if hint != "points" and hint not in wired:
                raise Trouble(f"The model {self.model} needs a {hint}: connect one.")
        self.colour = Colour(node, root, nuke_folder)
        self.device = str(node["device"].value() or "auto")
        if self.device == "auto":
            self.device = os.environ.get("MATTE_NUKE_DEVICE") or self.device
        always = bool(node["always_render"].value())
        self.inputs, self.to_render = {}, {}
        for name, source in wired.items():
            found = handover.looked_at(source, root, self.colour, *self.shot)
            if name in ("trimap", "segmentation") and not found.reason:
                # A file says nothing of which of its channels the artist means.
                found = handover.Input(reason="its channel is chosen on the node")
            if always and not found.reason:
                found = handover.Input(reason="the node says so")
            self.inputs[name] = found
            if found.reason:
                self.to_render[name] = found.reason

    def _shot(self) -> tuple[int, int]:
        """The frames that the matte of `frames` depends on, as far as the range goes."""
        before, after = self.reach
        return (
            self.first if before is None else max(self.first, self.frames[0] - before),
            self.last if after is None else min(self.last, self.frames[1] + after),
        )

    def _keys(self, node: Any) -> dict[str, list[int]]:
        """Frames of the hints that are drawn on some frames only."""
        texts = {name: str(node[f"{name}_keys"].value() or "") for name in hints.KEYED}
        return {name: hints.key_frames(text) for name, text in texts.items() if text.strip()}

    def rendered_frames(self, name: str) -> list[int]:
        """Return the frames that an input is rendered for."""
        return self.keys.get(name) or list(range(self.shot[0], self.shot[1] + 1))

    def _clicks(self, node: Any, root: Any, plate: Any) -> dict[str, Any]:
        """The points of the request; nothing where nobody clicked."""
        text = str(node["clicks"].value() or "").strip()
        if not text:
            return {}
        if root.proxy():
            raise Trouble("Proxy mode is on: clicks are in pixels of the full size. Turn it off.")
        shape = plate.format()
        return clicks.points(text, int(shape.width()), int(shape.height()))

    def _base(self, node: Any, root: Any) -> str:
        base = str(node["cache_folder"].evaluate() or "")
        unsaved = not str(root.name()) or str(root.name()) == "Root"
        text = str(node["cache_folder"].value())
        if base and not unsaved and not os.path.isabs(str(root.name())):
            base = os.path.abspath(base)  # as `nuke -t shot.nk` from the script's folder
        if not os.path.isabs(base) or (unsaved and "root.name" in text):
            raise Trouble(
                "Save the script first, or name a folder on the node (Inputs, cache): results are "
                "kept beside the script."
            )
        return base

    def input_pattern(self, run: str, name: str) -> str:
        """Return the pattern to which an input is rendered."""
        return "/".join((run.replace(os.sep, "/"), name + ".%04d.exr"))

    def request(self, run: str) -> dict[str, Any]:
        """Return the request, for results in the run's folder."""
        inputs: dict[str, tuple[Any, str]] = {
            name: (found.path or self.input_pattern(run, name), found.space or self.colour.working)
            for name, found in self.inputs.items()
        }
        if self.points:
            inputs["points"] = (self.points, "")
        # The plate's file may have frames before the range: the shot starts where the node says.
        from_file = not self.inputs["plate"].reason and self.reach[0] != 0
        request = host_request(
            inputs, self.frames[0] if self.single else self.frames,
            self.first if from_file else None,
            output=os.path.join(run, "out", versions.RESULT), model=self.model, knobs=self.knobs,
            node={"device": self.device, "ocio": self.colour.config}, layout="nuke",
            output_colorspace=self.colour.working,
        )  # fmt: skip
        if any(name in self.inputs for name in self.keys):
            request["connect"]["hint_keys"] = self.between
        return request
