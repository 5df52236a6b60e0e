# SPDX-License-Identifier: GPL-3.0-or-later
"""One bake: which frames, which inputs as files, which to render, the request to the service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from . import clicks, folders, handover, knobs
from .declarations import AUTO, Declarations
from .handover import Handed, Source
from .trouble import Trouble


class Colour(NamedTuple):
    """working: the scene's working space by its name (or role) in the config. config: its path."""

    working: str
    config: str

    @property
    def named(self) -> str:
        """The working space by one name in all Blenders: before 5.0 they had no other."""
        return "scene_linear" if self.working == "Linear Rec.709" else self.working


class BakeRequest(NamedTuple):
    """The settings in the panel.

    values: the text of the knobs. base: the bake folder, absolute. blend: the path of the file, or
    a name of its own while it is not saved. points: the text of the clicks. refine: a trimap model
    that solves the edge of the first model's matte, refine_width: the half of its band in pixels
    (0: the library's). corrections: painted mattes, absolute paths by frame.
    """

    model: str
    values: str
    device: str
    base: str
    name: str
    first: int
    last: int
    blend: str = ""
    points: str = ""
    refine: str = ""
    refine_width: float = 0.0
    corrections: Mapping[int, str] = MappingProxyType({})


class BakePlan:
    """The plan of one bake. Raises Trouble when it cannot be done.

    sources: what is connected, by input. frame: this one alone, for a quick look.
    """

    def __init__(
        self, asked: BakeRequest, declared: Declarations, sources: Mapping[str, Source],
        colour: Colour, frame: int | None = None,
    ) -> None:  # fmt: skip
        self.asked, self.colour, self.frame = asked, colour, frame
        if not asked.model:
            raise Trouble("No model is chosen. Choose one in the tab Matte.")
        if "plate" not in sources:
            raise Trouble("Nothing is connected to the input Image of the Matte node.")
        self._check_hints(declared, sources)
        takes = declared.takes(asked.model)
        self.sources = {
            name: source
            for name, source in sources.items()
            # A segmentation bounds, and a trimap is forced into, the result of every model.
            if name != "background" or asked.model == AUTO or takes is None or name in takes
        }
        self.knobs = knobs.given(declared, asked.model, asked.values)
        self.still = all(handover.is_still(source) for source in self.sources.values())
        self.first, self.last = self._range()
        if frame is not None and not self.still and not self.first <= frame <= self.last:
            raise Trouble(f"Frame {frame} is outside of the range {self.first}-{self.last}.")
        alone = declared.is_still(asked.model, self.knobs)
        self.free = alone
        whole = frame is None or self.still or not alone
        self.shot = (self.first, self.last) if whole else (int(frame or 0), int(frame or 0))
        if self.marked and not self.still:  # frames with marks are read, wherever they are
            self.shot = min(self.shot[0], *self.marked), max(self.shot[1], *self.marked)

    @property
    def marked(self) -> list[int]:
        """The frames that the artist clicked or painted at."""
        return sorted({*clicks.frames(self.asked.points), *self.asked.corrections})

    def _check_hints(self, declared: Declarations, sources: Mapping[str, Source]) -> None:
        asked = self.asked
        if asked.refine and "trimap" in declared.needs(asked.model):
            raise Trouble(
                f"The model {asked.model} solves the edge itself: set Edge to None, or choose a "
                "model that needs no trimap."
            )
        for hint in declared.needs(asked.model):
            if hint == "points" and not clicks.frames(asked.points):
                raise Trouble(
                    f"The model {asked.model} needs a click: press Click on Subject (Subject)."
                )
            if hint != "points" and hint not in sources:
                raise Trouble(f"The model {asked.model} needs a {hint}: connect one.")
        if asked.corrections and asked.model == AUTO and not clicks.frames(asked.points):
            raise Trouble(
                "With painted corrections, choose a model by its name: auto would take another one."
            )
        if asked.corrections and "trimap" in sources:
            raise Trouble(
                "A trimap is connected, so painted corrections have no place. Paint on the "
                "trimap, or forget the corrections (Corrections)."
            )

    def _range(self) -> tuple[int, int]:
        if self.still:
            return 1, 1
        first, last = self.asked.first, self.asked.last
        if last < first:
            raise Trouble(f"The range {first}-{last} ends before it begins.")
        first, last = handover.moving(self.sources.values(), first, last)
        if first < 0:
            raise Trouble(
                f"The range begins at {first}: Blender's image sequences have no frames before 0. "
                "Choose a range of its own on the node."
            )
        return first, last

    @property
    def settings(self) -> str:
        """Names settings and inputs: what else would be another bake."""
        asked = self.asked
        # What was not asked for is no part of it: an older file's bake stays right.
        more: dict[str, Any] = {
            "points": clicks.read(asked.points), "refine": asked.refine,
            "refine_width": asked.refine_width if asked.refine else 0.0,
            "corrections": sorted(asked.corrections),
        }  # fmt: skip
        return folders.settings_hash({
            "model": asked.model, "knobs": self.knobs, "working": self.colour.named,
            "inputs": {name: handover.identity(s) for name, s in self.sources.items()},
            **{name: value for name, value in more.items() if value},
        })  # fmt: skip

    @property
    def folder(self) -> str:
        """The folder of the result: of this file, node, settings and places of the inputs alone."""
        places = {
            name: [folders.seen_from(self.asked.base, path) for path in handover.paths(source)]
            for name, source in self.sources.items()
        }
        return os.path.join(self.home, f"{self.settings}-{folders.settings_hash(places)[:6]}")

    @property
    def home(self) -> str:
        """The folder of all bakes of the node."""
        own = folders.own_folder(self.asked.base, self.asked.blend)
        return os.path.join(own, folders.folder_name(self.asked.name))

    def stamps(self, span: tuple[int, int] | None = None) -> tuple[tuple[str, str], ...]:
        """Return a sign of each input's files, to tell later whether they are still the same.

        span: first and last frame; None for the range of the bake.
        """
        first, last = span or (self.first, self.last)
        found = [(n, handover.stamp(s, first, last)) for n, s in self.sources.items()]
        if self.asked.corrections:
            found.append(("corrections", handover.stamp_of(self.asked.corrections.values())))
        return tuple(sorted(found))

    def handed(self) -> dict[str, Handed]:
        """Return how each input is passed to the library. Raises Trouble for missing files."""
        first, last = self.shot
        for frame, path in self.asked.corrections.items():
            if not os.path.isfile(path):
                raise Trouble(
                    f"The painted matte of frame {frame} is not there: {path}. Bring it back, or "
                    "forget the correction (Corrections)."
                )
        return {
            name: handover.handed(name, source, first, last, alone=self.still)
            for name, source in self.sources.items()
        }

    def request(
        self, paths: Mapping[str, tuple[str, str]], *, cut: bool, size: tuple[int, int] = (0, 0)
    ) -> dict[str, Any]:
        """Return the request to the service.

        paths: each input's pattern and colour space. cut: the plate's clip may have frames before
        the range; the shot starts where the node says. size: width and height of the plate. Raises
        Trouble.
        """
        from .matte_client import host_request

        asked = self.asked
        inputs: dict[str, tuple[Any, str]] = dict(paths)
        more: dict[str, Any] = {}
        if clicks.frames(asked.points):
            inputs["points"] = clicks.points(asked.points, *size, still=self.still), ""
        if asked.corrections:
            painted = {str(n): path for n, path in sorted(asked.corrections.items())}
            inputs["trimap"] = (next(iter(painted.values())) if self.still else painted), ""
        if asked.refine:
            more = {"refine": asked.refine, "refine_width": asked.refine_width}
        one = self.frame is not None and not self.still
        request = host_request(
            inputs, int(self.frame or 0) if one else (self.first, self.last),
            self.shot[0] if cut and (self.marked or not self.free) else None,
            output=os.path.join(self.folder, folders.RESULT), model=self.model,
            knobs=self.knobs, layout="blender", output_colorspace=self.colour.working,
            node={"device": asked.device or "auto", "ocio": self.colour.config or None}, **more,
        )  # fmt: skip
        if asked.corrections and not self.still:
            connect = request["connect"]
            connect["hint_keys"] = "only"
            mask = connect.get("segmentation")
            if isinstance(mask, str) and "#" not in mask:  # one picture, which is every frame's
                first, last = self.shot
                connect["segmentation"] = {str(n): mask for n in range(first, last + 1)}
        return request

    @property
    def model(self) -> str:
        """The model that is asked for: a painted frame alone must not make `auto` take a trimap model."""
        asked = self.asked
        clicked = asked.model == AUTO and asked.corrections and clicks.frames(asked.points)
        return "select" if clicked else asked.model
