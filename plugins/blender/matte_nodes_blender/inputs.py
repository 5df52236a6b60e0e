# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of one request as files: handed on, linked, or rendered, a part at a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from . import exr_key, folders, helper, upstream
from .handover import Handed
from .plan import BakePlan
from .trouble import Trouble

RENDER_SECONDS = 0.5
Planned = Callable[[], "tuple[BakePlan, Any, dict[str, Any]]"]
"""Plans the same request again: the plan, its scene, the inputs found. An undo makes other objects."""


class Inputs:
    """The inputs of a plan in a folder of their own. `steps` must run to its end before `paths` count.

    folder: where links and rendered frames lie, until `remove`. paths: pattern and colour space by
    input. size: width and height of the plate, (0, 0) when nobody knows them. said: what is being
    done, for the panel.
    """

    def __init__(self, group: str, again: Planned, only: tuple[str, ...] = ()) -> None:
        """only: these inputs alone; () for all. Raises Trouble when a file is not there."""
        self.plan, home, _ = again()
        self._group, self._again, self._scene = group, again, home.name
        handed = self.plan.handed()
        self._handed = {name: handed[name] for name in only or handed if name in handed}
        folders.make(self.plan.folder)
        self.folder = folders.new_inputs(self.plan.folder)
        self.paths: dict[str, tuple[str, str]] = {}
        media = self.plan.sources["plate"].media
        self.size = media.size if media is not None else (0, 0)
        self.said = "starting"
        self._helper: helper.Helper | None = None

    @property
    def whole_clip(self) -> bool:
        """Whether the plate is handed on as its files, which may have more frames than the range."""
        return self._handed["plate"].how == "file"

    def steps(self) -> Iterator[None]:
        """Render what has to be; pauses for the artist every half second. Raises Trouble."""
        plan = self.plan
        spans: dict[tuple[int, int], list[str]] = {}
        for name, item in self._handed.items():
            if item.how == "links":
                assert item.files is not None
                self.paths[name] = (
                    folders.link_inputs(self.folder, name, item.files), item.space,
                )  # fmt: skip
            elif item.how == "file":
                self.paths[name] = item.path, item.space
            else:
                alone = _alone(name, item, plan)
                spans.setdefault((1, 1) if alone else plan.shot, []).append(name)
                path = upstream.pattern(self.folder, name)
                path = path.replace("####", "0001") if alone else path
                self.paths[name] = path, plan.colour.working
        if spans:
            yield from self._rendered(spans)
            self.size = self._plate_size(spans)
            odd = self._of_other_size(spans)
            if odd and plan.sources["plate"].media is None:  # the graph's size is not the scene's
                yield from self._rendered(odd)
                odd = self._of_other_size(spans)
            self._check_sizes(odd)

    def stop(self) -> None:
        """End the Blender that renders the inputs, if there is one."""
        if self._helper is not None:
            self._helper.stop()

    def remove(self) -> None:
        """Take links and rendered frames away."""
        self.stop()
        folders.remove(self.folder)

    def helper_id(self) -> int:
        """Return the process of the Blender that renders the inputs; 0 when there is none."""
        return self._helper.pid if self._helper is not None else 0

    def _rendered(self, spans: dict[tuple[int, int], list[str]]) -> Iterator[None]:
        """Render inputs: in a Blender of its own where the artist works in this one."""
        if helper.possible():
            asked = {
                "scene": self._scene, "group": self._group, "folder": self.folder,
                "size": self.size, "spans": [[*span, names] for span, names in spans.items()],
            }  # fmt: skip
            self._helper = helper.Helper(asked, self.folder)
            (first, last), names = max(spans.items(), key=lambda item: item[0][1] - item[0][0])
            while not self._helper.ended():
                done = folders.count(upstream.pattern(self.folder, names[0]))
                self.said = f"rendering the inputs: {done} of {last - first + 1}"
                yield
            return
        for (first, last), names in spans.items():
            at, many = first, last - first + 1 if bpy.app.background else 1
            while at <= last:
                end, began = min(last, at + many - 1), time.monotonic()
                self.said = f"rendering the inputs: {at} of {first}-{last}"
                yield
                self._render(names, at, end)
                at = end + 1
                many = many * 2 if time.monotonic() - began < RENDER_SECONDS else many

    def _render(self, names: list[str], first: int, last: int) -> None:
        plan, home, found = self._again()
        if plan.settings != self.plan.settings:
            raise Trouble(
                "The node or its inputs were changed while they were rendered: bake again."
            )
        wanted = {name: found[name] for name in names}
        upstream.render(home, wanted, self.folder, first, last, self.size)

    def _plate_size(self, spans: dict[tuple[int, int], list[str]]) -> tuple[int, int]:
        """Return the plate's size, from its first rendered frame where it was rendered."""
        for (first, _), names in spans.items():
            if "plate" in names:
                return exr_key.size(self._file("plate", first))
        return self.size

    def _of_other_size(
        self, spans: dict[tuple[int, int], list[str]]
    ) -> dict[tuple[int, int], list[str]]:
        """Return the rendered inputs that are not of the plate's size."""
        if not all(self.size):
            return {}
        odd = {
            span: [n for n in names if exr_key.size(self._file(n, span[0])) != self.size]
            for span, names in spans.items()
        }
        return {span: names for span, names in odd.items() if names}

    def _check_sizes(self, odd: dict[tuple[int, int], list[str]]) -> None:
        for (first, _), names in odd.items():
            width, height = exr_key.size(self._file(names[0], first))
            raise Trouble(
                f"The {names[0]} is {width} x {height}, the plate is {self.size[0]} x "
                f"{self.size[1]}. Put a Scale node before the socket, or connect a picture of the "
                "plate's size."
            )

    def _file(self, name: str, frame: int) -> str:
        number = f"{frame:0{folders.DIGITS}d}"
        return upstream.pattern(self.folder, name).replace("#" * folders.DIGITS, number)


def _alone(name: str, item: Handed, plan: BakePlan) -> bool:
    """Whether one picture is rendered: it serves every frame."""
    return item.still and (name != "plate" or plan.still)
