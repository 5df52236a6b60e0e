# SPDX-License-Identifier: GPL-3.0-or-later
"""One bake: which frames, which inputs as files, which to render, the request to the service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import folders, handover, knobs
from .declarations import AUTO, Declarations
from .handover import Handed, Source
from .trouble import Trouble


class Colour(NamedTuple):
    """working: the scene's working space by its name (or role) in the config. config: its path."""

    working: str
    config: str


class BakeRequest(NamedTuple):
    """The settings in the panel.

    values: the text of the knobs. base: the bake folder, absolute. blend: the path of the file, or
    a name of its own while it is not saved.
    """

    model: str
    values: str
    device: str
    base: str
    name: str
    first: int
    last: int
    blend: str = ""


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
        for hint in declared.needs(asked.model):
            if hint not in sources:
                raise Trouble(f"The model {asked.model} needs a {hint}: connect one.")
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
        return folders.settings_hash({
            "model": self.asked.model, "knobs": self.knobs, "working": self.colour.working,
            "inputs": {name: handover.identity(s) for name, s in self.sources.items()},
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
        return tuple(sorted((n, handover.stamp(s, first, last)) for n, s in self.sources.items()))

    def handed(self) -> dict[str, Handed]:
        """Return how each input is passed to the library. Raises Trouble for missing files."""
        first, last = self.shot
        return {
            name: handover.handed(name, source, first, last, alone=self.still)
            for name, source in self.sources.items()
        }

    def request(self, paths: Mapping[str, tuple[str, str]], *, cut: bool) -> dict[str, Any]:
        """Return the request to the service.

        paths: each input's pattern and colour space. cut: the plate's clip may have frames before
        the range; the shot starts where the node says.
        """
        from .matte_client import host_request

        one = self.frame is not None and not self.still
        return host_request(
            paths, int(self.frame or 0) if one else (self.first, self.last),
            self.first if cut and not self.free else None,
            output=os.path.join(self.folder, folders.RESULT), model=self.asked.model,
            knobs=self.knobs, layout="blender", output_colorspace=self.colour.working,
            node={"device": self.asked.device or "auto", "ocio": self.colour.config or None},
        )  # fmt: skip
