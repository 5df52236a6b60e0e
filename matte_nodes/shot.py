# SPDX-License-Identifier: Apache-2.0
"""Shot: a MatteNode connected to clips. Any frame, in any order: the pixels of a straight render."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from . import connect as bind
from . import frame as frames
from .color import PlateColor
from .errors import MissingInputError, UsageError
from .identity import ShotKeys, node_identity
from .matte import Matte
from .media.clip import Clip
from .media.image import Image
from .model import Memory, Prediction, Still, Window
from .pipeline import overlapped

if TYPE_CHECKING:
    from .model import Float
    from .node import MatteNode
    from .views import MatteClip

Done = TypeVar("Done")


def connect(
    node: MatteNode,
    plate: Any,
    hints: Mapping[str, Any],
    *,
    hint_keys: str,
    colorspace: str | None,
    background_colorspace: str | None,
    output_colorspace: str | None,
    encoded: bool,
    missing: str,
    allow_grey: bool,
) -> Shot:
    """Open and check everything once; `MatteNode.connect` documents the arguments."""
    clip = bind.as_clip(plate, "plate", missing)
    given = {name: source for name, source in hints.items() if source is not None}
    for name in sorted(node.card.needs - set(given)):
        raise MissingInputError(
            f"Model {node.card.name!r} needs a {name}: connect one ({name}=... or --{name})."
        )
    bound = {name: bind.BoundHint(name, source, clip, hint_keys) for name, source in given.items()}
    background = bound["background"].clip if "background" in bound else None
    plate_space, background_space = bind.spaces(clip, colorspace, background, background_colorspace)
    color = node.plate_color(plate_space, output=output_colorspace, encoded_output=encoded)
    background_color = (
        None if background is None else node.plate_color(background_space, output=color.working)
    )
    return Shot(node, clip, bound, color, background_color, allow_grey)


class Shot:
    """A shot of one plate: `at` any frame, `render` a range; itself a clip for other nodes.

    frames: the plate's own numbering. steps: how many times the model was really called. The
    state in time of a recurrent model always starts at the shot's first frame.
    """

    def __init__(
        self,
        node: MatteNode,
        clip: Clip,
        hints: Mapping[str, bind.BoundHint],
        color: PlateColor,
        background_color: PlateColor | None,
        allow_grey: bool = False,
    ) -> None:
        self.node, self.clip, self.hints = node, clip, hints
        self.color, self.background_color = color, background_color
        self.frames: Sequence[int] = clip.frames
        self.steps = 0
        self._allow_grey = allow_grey
        self._position = {number: index for index, number in enumerate(clip.frames)}
        self._states: dict[int, Memory] = {}
        self._lock = threading.RLock()

    def at(self, frame: int) -> Matte:
        """The matte of one frame, in any order: bit for bit that of a straight render.

        Raises UsageError when the shot has no such frame, and what reading it raises.
        """
        self._check(frame)
        with self._lock:
            memory = self._memory_before(frame)
            for earlier in self._lead_in(frame):
                _, memory = self._step(earlier, self._load(earlier)[0], memory)
            seen, _ = self._load(frame)
            prediction, _ = self._step(frame, seen, memory)
            return self.node.finish(prediction, seen, self.color)

    def render(
        self, first: int | None = None, last: int | None = None
    ) -> Iterator[tuple[int, Matte]]:
        """Yield (frame, Matte) over a range, streaming: memory does not grow with the clip."""
        return self.process(lambda frame, matte, image: matte, first, last)

    def process(
        self,
        sink: Callable[[int, Matte, Image], Done],
        first: int | None = None,
        last: int | None = None,
        *,
        only: Callable[[int], bool] = lambda frame: True,
        finishers: int = 1,
    ) -> Iterator[tuple[int, Done]]:
        """Yield (frame, sink(frame, matte, plate image)); reading and finishing run beside steps.

        sink: called in `finishers` threads; with one they come in order. only: frames for which it
        is False are stepped when the model's memory needs them, but not finished.
        """
        wanted = [number for number in self.range(first, last) if only(number)]
        if not wanted:
            return
        asked, needed = set(wanted), self._needed(wanted)
        memory = self._memory_before(needed[0])

        def step(frame: int, loaded: tuple[frames.Seen, Image]) -> tuple[Prediction, Any, Any]:
            nonlocal memory
            prediction, memory = self._step(frame, loaded[0], memory)
            return prediction, *loaded

        def finish(frame: int, stepped: tuple[Prediction, frames.Seen, Image]) -> Done | None:
            if frame not in asked:
                return None
            prediction, seen, image = stepped
            return sink(frame, self.node.finish(prediction, seen, self.color), image)

        for frame, done in overlapped(needed, self._load, step, finish, finishers=finishers):
            if frame in asked:
                yield frame, done  # type: ignore[misc]

    def range(self, first: int | None = None, last: int | None = None) -> list[int]:
        """The shot's frames from first to last, both included; UsageError when there are none."""
        low = self.frames[0] if first is None else first
        high = self.frames[-1] if last is None else last
        chosen = [number for number in self.frames if low <= number <= high]
        if not chosen:
            raise UsageError(
                f"Frames {low}-{high} are not in {self.clip.name}, which has "
                f"{self.frames[0]}-{self.frames[-1]}."
            )
        return chosen

    def screen_plate(self, frame: int) -> Float:
        """The plate of a frame as a screen shows it: (H, W, 3) float32, sRGB-encoded, 0..1."""
        from .color import PlateColor

        self._check(frame)
        color = PlateColor(self.color.plate, config=self.node.config)
        return color.to_network(self._plate_pixels(frame, self.clip.read(frame)))

    def trimap(self, width: float = 10.0) -> MatteClip:
        """This shot's mattes as a clip of trimaps, `width` pixels of unknown round each edge."""
        from .views import trimap_clip

        return trimap_clip(self, width)

    def as_hint(self, name: str) -> Clip:
        """What this shot is to another node: its trimaps, its alphas, or its foregrounds."""
        from .views import alpha_clip, foreground_clip, trimap_clip

        if name == "trimap":
            return trimap_clip(self, 10.0)
        return alpha_clip(self) if name == "segmentation" else foreground_clip(self)

    @property
    def has_memory(self) -> bool:
        """Whether a frame depends on the frames before it."""
        return not isinstance(self.node.card.memory, Still | Window)

    def close(self) -> None:
        """Close the clips."""
        self.clip.close()
        for hint in self.hints.values():
            hint.clip.close()

    def _check(self, frame: int) -> None:
        if frame not in self._position:
            raise UsageError(
                f"{self.clip.name} has no frame {frame}: it has {self.frames[0]}-{self.frames[-1]}."
            )

    def _needed(self, wanted: Sequence[int]) -> Sequence[int]:
        """The frames that must be stepped for these, in order."""
        if not self.has_memory:
            return wanted
        first, last = self._position[wanted[0]], self._position[wanted[-1]]
        return [*self._lead_in(wanted[0]), *self.frames[first : last + 1]]

    def _lead_in(self, frame: int) -> Sequence[int]:
        """Frames to step before this one so that the memory is that of a straight render."""
        if not self.has_memory:
            return []
        index = self._position[frame]
        known = [self._position[f] + 1 for f in self._states if self._position[f] < index]
        return self.frames[max(known, default=0) : index]

    def _memory_before(self, frame: int) -> Memory:
        """The newest kept memory that lies before this frame's lead-in."""
        lead = self._lead_in(frame)
        index = self._position[lead[0] if lead else frame]
        return self._states[self.frames[index - 1]] if index and self.has_memory else {}

    def _step(self, frame: int, seen: frames.Seen, memory: Memory) -> tuple[Prediction, Memory]:
        prediction, following = self.node.step(seen.inputs, memory, seen.inputs.neighbours)
        self.steps += 1
        if self.has_memory:
            # Only the newest state is kept here: a step back starts from the first frame.
            self._states = {frame: following}
        return prediction, following

    def _load(self, frame: int) -> tuple[frames.Seen, Image]:
        image = self.clip.read(frame)
        given = frames.Given(
            plate=self._plate_pixels(frame, image),
            trimap=self._hint("trimap", frame),
            background=self._hint("background", frame),
            segmentation=self._hint("segmentation", frame),
            where=f"Frame {frame} of {self.clip.name}",
        )
        frames.check(given, self.node.card)
        seen = frames.see(given, self.color, self.background_color)
        return replace(seen, inputs=replace(seen.inputs, neighbours=self._neighbours(frame))), image

    def _plate_pixels(self, frame: int, image: Image) -> Any:
        from .media.clip import paste

        pixels = bind.rgb(image, self.clip, frame, allow_grey=self._allow_grey)
        return paste(replace(image, pixels=pixels, channels=("R", "G", "B")), self.clip.canvas)

    def seen_frames(self, frame: int) -> list[int]:
        """The frame itself and its window's neighbours, clamped at the ends of the shot."""
        last, index = len(self.frames) - 1, self._position[frame]
        offsets = self.node.window_offsets()
        return [frame, *(self.frames[min(max(index + o, 0), last)] for o in offsets)]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything but the pictures that this shot's results depend on."""
        return {
            **node_identity(self.node),
            "color": bind.color_id(self.color, self.background_color),
            "canvas": str(self.clip.canvas),
            "hints": sorted(self.hints),
            "first": self.frames[0],
        }

    def stamp(self, frame: int) -> str:
        """The content key of one frame's matte."""
        self._check(frame)
        with self._lock:
            return self._keys.key(frame)

    @cached_property
    def _keys(self) -> ShotKeys:
        return ShotKeys(self, self.identity)

    def _neighbours(self, frame: int) -> tuple[Any, ...]:
        found = []
        for number in self.seen_frames(frame)[1:]:
            pixels = self._plate_pixels(number, self.clip.read(number))
            frames.check_picture(pixels, f"Frame {number} of {self.clip.name}")
            found.append(self.color.to_network(pixels))
        return tuple(found)

    def _hint(self, name: str, frame: int) -> Any:
        hint = self.hints.get(name)
        return None if hint is None else hint.pixels(frame)
