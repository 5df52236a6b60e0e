# SPDX-License-Identifier: Apache-2.0
"""Shot: a MatteNode connected to clips.

Any frame, in any order: the pixels of a straight render.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from matte_nodes.card import Bank, Prediction, Still, Window
from matte_nodes.color import PlateColor
from matte_nodes.errors import InputChangedError, MediaError, UsageError
from matte_nodes.media.clip import Clip, paste
from matte_nodes.media.image import Image
from matte_nodes.media.layouts import of_objects
from matte_nodes.node import frame as frames
from matte_nodes.node import hint_fit
from matte_nodes.node.matte import Matte
from matte_nodes.select.shares import shares
from matte_nodes.shot import bind
from matte_nodes.shot.fingerprint import (
    Setup,
    finish_settings,
    provenance,
    seen_settings,
    shot_identity,
    step_settings,
)
from matte_nodes.shot.notices import Notices
from matte_nodes.shot.output_clips import MatteClip, alpha_clip, foreground_clip, trimap_clip
from matte_nodes.shot.overlap import overlapped
from matte_nodes.shot.taken import Taken
from matte_nodes.temporal.bank import BankKeys, BankSteps, BankTimeline
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.cuts import CutDetector
from matte_nodes.temporal.digest import digest
from matte_nodes.temporal.keys import KeyedInputs, ShotKeys
from matte_nodes.temporal.segments import Segments
from matte_nodes.temporal.stat_cache import Look
from matte_nodes.temporal.steady import Steadier, flow_numerics
from matte_nodes.temporal.steps import TRIES, LoadedFrame, Steps
from matte_nodes.temporal.timeline import Timeline

if TYPE_CHECKING:
    from matte_nodes.card import Float, Inputs, Memory
    from matte_nodes.node.node import FrameNode

Done = TypeVar("Done")
Shares: TypeAlias = "Mapping[str, Float]"
"""The share of an alpha that each object has, (H, W) float32, by the object's name."""


class Shot:
    """A shot of one plate: `at` any frame, `render` a range; a clip for other nodes (`as_hint`).

    frames: the plate's own numbering; those from `start` on where a warm start was asked for.
    cuts: first frames of new takes, or "auto". inputs: what was taken from each input.
    The memory of a recurrent model starts at the shot's first frame and at every cut; with a warm
    start, warm_up frames before `start`.
    """

    def __init__(
        self,
        node: FrameNode,
        clip: Clip,
        hints: Mapping[str, bind.BoundHint | bind.BoundPoints],
        color: PlateColor,
        background_color: PlateColor | None,
        allow_grey: bool = False,
        *,
        cache: Cache | None = None,
        cuts: Iterable[int] | str = (),
        warm_up: int | None = None,
        start: int | None = None,
        inputs: tuple[Taken, ...] = (),
    ) -> None:
        self.node, self.clip, self.hints = node, clip, hints
        self.inputs = inputs
        self.notices = Notices(clip.name)
        self.color, self.background_color = color, background_color
        self.cache = cache or Cache()
        self.allow_grey = allow_grey
        self._setup = Setup(
            node,
            clip,
            color,
            background_color,
            {name: hint.read_as for name, hint in hints.items()},
            allow_grey=allow_grey,
        )
        self._position = {number: index for index, number in enumerate(clip.frames)}
        first = bind.warm_place(clip, warm_up, start)
        self.frames: Sequence[int] = clip.frames[first:]
        self.segments = Segments(
            clip.frames,
            self._detector() if cuts == "auto" else bind.cut_frames(cuts),
            max(0, first - (warm_up or 0)),
        )
        self._timeline = self._made_timeline(warm_up)
        self.keys = self._keys(content=self.cache.by_content)
        self._steps = self._made_steps()
        self._steady = Steadier(self._timeline, self.keys, self._steps, float(node.knobs["steady"]))
        self._lock = threading.RLock()
        self._masks: Shot | None = None
        self._objects: tuple[str, ...] = ()

    def _made_timeline(self, warm_up: int | None) -> Timeline:
        node = self.node
        facts: dict[str, Any] = {
            "has_memory": not isinstance(node.card.memory, Still | Window),
            "offsets": node.window_offsets(),
            "is_steadied": bool(node.knobs["steady"]),
            "warm_up": warm_up,
        }
        if not self._is_bank:
            return Timeline(self.clip.name, self.clip.frames, self.segments, **facts)
        keyed = bind.key_frames(self.clip, self.hints)
        return BankTimeline(self.clip.name, self.clip.frames, self.segments, **facts, keyed=keyed)

    def _made_steps(self) -> Steps:
        if isinstance(self.keys, BankKeys) and isinstance(self._timeline, BankTimeline):
            return BankSteps(
                self._timeline, self.keys, self.cache, self.read,
                self.node,
            )  # fmt: skip
        return Steps(self._timeline, self.keys, self.cache, self.read, self._step)

    @property
    def _is_bank(self) -> bool:
        """Whether masks are carried from key frames, in both directions."""
        return isinstance(self.node.card.memory, Bank) and "points" in self.hints

    @property
    def steps(self) -> int:
        """The number of calls of the model so far."""
        return self._steps.count

    def at(self, frame: int) -> Matte:
        """Return the matte of one frame, in any order: bit for bit that of a straight render.

        Raises UsageError when the shot has no such frame, and what reading it raises.
        """
        index = self._index(frame)
        with self._lock:
            look = Look()
            size = self.clip.canvas.height, self.clip.canvas.width
            kept = self.cache.result(self.keys.result(index, look), size)
            if kept is not None:
                return kept
            loaded = self._steps.load(index, look, keep=True)
            return self._finished(loaded, self._prediction(loaded, look), look)

    def look_at(self, frame: int, *, foreground: bool) -> tuple[Matte | None, Float, Shares]:
        """Return (matte, alpha, shares) as `at` makes them, for a look at a frame: nothing is kept.

        foreground: False solves none; the matte is None then. alpha: (H, W) float32. shares: each
        object's, (H, W) float32 by name, where there are several.
        """
        with self._lock:
            look = Look()
            loaded = self._steps.load(self._index(frame), look, keep=True)
            prediction = self._prediction(loaded, look)
            if foreground:
                matte = self._made(prediction, loaded)
                return matte, matte.alpha, of_objects(matte.extras)
            alpha = self.node.finished_alpha(prediction, loaded.seen)
            return None, alpha, {**of_objects(prediction.extras), **self._shares(alpha, loaded)}

    def render(
        self, first: int | None = None, last: int | None = None
    ) -> Iterator[tuple[int, Matte]]:
        """Yield (frame, Matte) over a range, streaming: memory does not grow with the clip."""
        return self._run(lambda frame, matte, image: matte, first, last, results=True)

    def process(
        self,
        sink: Callable[[int, Matte, Image], Done],
        first: int | None = None,
        last: int | None = None,
        *,
        only: Callable[[int], bool] = lambda frame: True,
        finishers: int = 1,
        look: Look | None = None,
        foreground: bool = True,
    ) -> Iterator[tuple[int, Done]]:
        """Yield (frame, sink(frame, matte, plate image)); reading and finishing run beside steps.

        sink: called in `finishers` threads; with one they come in order. only: frames for which it
        is False are stepped when the model's memory needs them, but not finished. look: its
        `stamps` get the key of each frame, of what was really read. foreground: False leaves it 0,
        for a sink that takes the alpha alone.
        """

        def with_image(frame: int, matte: Matte, image: Image | None) -> Done:
            assert image is not None
            return sink(frame, matte, image)

        return self._run(
            with_image, first, last, only=only, finishers=finishers, look=look,
            foreground=foreground,
        )  # fmt: skip

    def _run(
        self,
        sink: Callable[[int, Matte, Image | None], Done],
        first: int | None,
        last: int | None,
        *,
        only: Callable[[int], bool] = lambda frame: True,
        finishers: int = 1,
        look: Look | None = None,
        results: bool = False,
        foreground: bool = True,
    ) -> Iterator[tuple[int, Done]]:
        """As `process`. results: take finished mattes from the cache, and keep new ones there."""
        wanted = [n for n in self.range(first, last) if only(n)]
        asked = set(wanted)
        look = look or Look()
        size = self.clip.canvas.height, self.clip.canvas.width

        def load(frame: int) -> LoadedFrame | Matte:
            index = self._position[frame]
            if results and frame in asked and self.cache.keeps_pictures:
                kept = self.cache.result(self.keys.result(index, look), size)
                if kept is not None:
                    return kept
            if results or frame not in asked:
                return self._steps.load(index, look)
            return self._stamped(frame, look)

        def step(
            frame: int, loaded: LoadedFrame | Matte
        ) -> tuple[LoadedFrame | Matte, Prediction | None]:
            if isinstance(loaded, Matte):
                return loaded, None
            if frame not in asked:
                self._steps.advance(loaded, look, in_memory=False)
                return loaded, None
            prediction = self._prediction(loaded, look, in_memory=False)
            if not self.node.finishing_sees_plate:
                loaded = replace(loaded, seen=loaded.seen.without_plate())
            return loaded, prediction

        def finish(
            frame: int, stepped: tuple[LoadedFrame | Matte, Prediction | None]
        ) -> Done | None:
            loaded, prediction = stepped
            if isinstance(loaded, Matte):
                return sink(frame, loaded, None)
            if prediction is None:
                return None
            if results:
                matte = self._finished(loaded, prediction, look, in_memory=False)
            else:
                matte = self._made(prediction, loaded, foreground=foreground)
            return sink(frame, matte, loaded.image)

        plan = self._steps.plan([self._position[n] for n in wanted], look, results=results)
        for frame, done in overlapped(plan, load, step, finish, finishers=finishers):
            if frame in asked:
                yield frame, done  # type: ignore[misc]

    def _stamped(self, frame: int, look: Look) -> LoadedFrame:
        """A frame that was read, whose key is noted: that of the very files that were read."""
        for _ in range(TRIES):
            loaded = self._steps.load(self._position[frame], look, keep=True)
            try:
                look.stamps[frame] = self.stamp(frame, look)
            except InputChangedError:
                self.keys.forget(loaded.index, look)
                continue
            return loaded
        raise MediaError(f"Frame {frame} of {self.clip.name} changes all the time: wait.")

    def range(self, first: int | None = None, last: int | None = None) -> list[int]:
        """Return the shot's frames from first to last, both included.

        Raises UsageError when there are none.
        """
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
        """Return the plate of a frame as a screen shows it: (H, W, 3) float32, sRGB-encoded, 0..1."""
        self._index(frame)
        color = PlateColor(self.color.plate, config=self.node.config)
        return color.to_network(self._plate_pixels(frame, self.clip.read(frame)))

    def trimap(self, width: float = 10.0, *, moving: bool = False) -> MatteClip:
        """Return this shot's mattes as a clip of trimaps, `width` pixels unknown round each edge.

        moving: the band is wider where the edge moves from frame to frame.
        """
        drawn = self.hints.get("trimap")
        known = drawn.pixels if isinstance(drawn, bind.BoundHint) else None
        return trimap_clip(self, self.node.card.name, width, known, moving)

    def mask_at(self, frame: int) -> Float:
        """Return a frame's alpha as the model answers it, (H, W) float32: no foreground is solved."""
        with self._lock:
            look = Look()
            return self._prediction(self._steps.load(self._index(frame), look), look).alpha

    def as_hint(self, name: str) -> Clip:
        """Return this shot as a hint of another node: its trimaps, its alphas, or its foregrounds."""
        if name == "trimap":
            return self.trimap()
        make = alpha_clip if name == "segmentation" else foreground_clip
        return make(self, self.node.card.name)

    def shared_by(self, masks: Shot, objects: Sequence[str]) -> None:
        """Add each object's share of the alpha as an extra `alpha.NAME`, by the masks of a shot.

        masks: a shot with an extra `alpha.NAME` for each of several objects; one object has all.
        """
        if len(objects) > 1:
            self._masks, self._objects = masks, tuple(objects)

    def _made(
        self, prediction: Prediction, loaded: LoadedFrame, *, foreground: bool = True
    ) -> Matte:
        """Return a matte from the model's answer, with the shares of several objects."""
        matte = self.node.finish(prediction, loaded.seen, self.color, foreground=foreground)
        frame = self.clip.frames[loaded.index]
        self.notices.add(frame, loaded.seen.given.complaints)  # a kept frame was not read now
        self.notices.add(frame, self._held_complaints(frame, prediction, loaded.seen.inputs))
        named = {f"alpha.{name}": one for name, one in self._shares(matte.alpha, loaded).items()}
        return replace(matte, extras={**matte.extras, **named}) if named else matte

    def _shares(self, alpha: Float, loaded: LoadedFrame) -> Shares:
        """Return each object's share of an alpha, by its name; {} where there are not several."""
        if self._masks is None:
            return {}
        masks = self._masks.at(self.clip.frames[loaded.index]).extras
        return shares(alpha, {name: masks[f"alpha.{name}"] for name in self._objects})

    def _held_complaints(
        self, frame: int, prediction: Prediction, inputs: Inputs
    ) -> Iterator[frames.Complaint]:
        """Complaints about hints of other frames that do not fit this one."""
        for name in ("segmentation", "trimap"):
            hint = self.hints.get(name)
            source = hint.held_from(frame) if isinstance(hint, bind.BoundHint) else None
            if source is None:
                continue
            if name == "segmentation":
                found = hint_fit.held_segmentation(
                    prediction.alpha, inputs, self.node.card, self.node.knobs, frame, source
                )
            else:
                found = hint_fit.held_trimap(prediction.alpha, inputs, frame, source)
            if found is not None:
                yield found

    def cuts(self, first: int | None = None, last: int | None = None) -> list[int]:
        """Return the first frames of new takes in a range: those that were given, or found."""
        wanted, look = {self._position[n] for n in self.range(first, last)}, Look()
        with self._lock:
            return [self.clip.frames[place] for place in self.segments.found(wanted, look)]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything but the pictures that this shot's results depend on."""
        return shot_identity(self._setup)

    def stamp(self, frame: int, look: Look | None = None) -> str:
        """Return the content key of one frame's matte, the same in every process and on every machine.

        look: stamps that share one ask the disk for each input file once.
        """
        return self._content_keys.result(self._index(frame), look or Look())

    def close(self) -> None:
        """Close the clips."""
        self.clip.close()
        for hint in self.hints.values():
            hint.clip.close()

    @cached_property
    def _content_keys(self) -> ShotKeys:
        return self.keys if self.cache.by_content else self._keys(content=True)

    def _keys(self, *, content: bool) -> ShotKeys:
        inputs = KeyedInputs(
            self.clip,
            self.hints,
            read_by=lambda stage: self.node.hints_of(stage, self.hints),
            settings=lambda: (
                step_settings(self._setup),
                {**finish_settings(self._setup), "objects": self._objects},
            ),
            seen=lambda: seen_settings(self._setup),
        )
        if isinstance(self._timeline, BankTimeline):
            return BankKeys(inputs, self._timeline, self.cache.hashes, content=content)
        return ShotKeys(inputs, self._timeline, self.cache.hashes, content=content)

    @property
    def _background_has_own_space(self) -> bool:
        own = self.background_color
        return own is not None and own.plate != self.color.plate

    def read(self, index: int, look: Look) -> tuple[frames.Seen, Image]:
        """Return the plate and hints at a place of the clip, as the model is to see them."""
        frame = self.clip.frames[index]
        image = self.clip.read(frame)
        given = frames.Given(
            plate=self._plate_pixels(frame, image),
            trimap=self._hint("trimap", frame),
            background=self._hint("background", frame),
            segmentation=self._hint("segmentation", frame),
            points=self._hint("points", frame),
            where=f"Frame {frame} of {self.clip.name}",
            has_own_space=self._background_has_own_space,
        )
        frames.check(given, self.node.card)
        given = self.node.prepared(given)
        self.notices.add(frame, given.complaints)
        seen = self.node.see(given, self.color, self.background_color)
        around = tuple(
            self.network_plate(place) for place in self._timeline.neighbours(index, look)
        )
        return replace(seen, inputs=replace(seen.inputs, neighbours=around)), image

    def network_plate(self, index: int) -> Float:
        """Return what the network sees of the plate at a place of the clip."""
        frame = self.clip.frames[index]
        pixels = self._plate_pixels(frame, self.clip.read(frame))
        frames.check_picture(pixels, f"Frame {frame} of {self.clip.name}")
        return self.color.to_network(pixels)

    def plate_id(self, index: int) -> str:
        """A hash of the content of the plate at a place of the clip, and of how it is seen."""
        return digest(self._content_keys.plate(index, Look()), self.color.id)

    def _prediction(self, loaded: LoadedFrame, look: Look, *, in_memory: bool = True) -> Prediction:
        if not self._steady.strength:
            return self._steps.prediction(loaded, look, in_memory=in_memory)
        return self.cache.answered(
            lambda: self._steadied_key(loaded.index, look),
            lambda: self._steady.steadied(loaded, look),
        )

    def _steadied_key(self, index: int, look: Look) -> str:
        around = self._timeline.steadied_by(index, look)
        steps = [self.keys.step(place, look).key for place in around]
        return digest("steadied", self._steady.strength, flow_numerics(), steps)

    def _step(self, inputs: Inputs, memory: Memory) -> tuple[Prediction, Memory]:
        return self.node.step(inputs, memory, inputs.neighbours)

    def _finished(
        self, loaded: LoadedFrame, prediction: Prediction, look: Look, *, in_memory: bool = True
    ) -> Matte:
        """Return the finished matte: another process's, or made now and kept."""
        frame = self.clip.frames[loaded.index]
        key = self.keys.result(loaded.index, look)
        with self.cache.claim(key):
            kept = self.cache.result(key, loaded.seen.size) if self.cache.by_content else None
            if kept is not None:
                return kept
            matte = self._made(prediction, loaded)
            facts = provenance(self._setup, frame)
            self.cache.keep_result(key, matte, facts, in_memory=in_memory)
            return matte

    def _index(self, frame: int) -> int:
        index = self._position.get(frame)
        if index is None or frame < self.frames[0]:
            raise UsageError(
                f"{self.clip.name} has no frame {frame}: it has {self.frames[0]}-{self.frames[-1]}."
            )
        return index

    def _plate_pixels(self, frame: int, image: Image) -> Any:
        pixels = bind.rgb(image, self.clip, frame, allow_grey=self.allow_grey)
        return paste(replace(image, pixels=pixels, channels=("R", "G", "B")), self.clip.canvas)

    def _hint(self, name: str, frame: int) -> Any:
        hint = self.hints.get(name)
        return None if hint is None else hint.pixels(frame)

    def _detector(self) -> CutDetector:
        """Finds cuts; its prints are remembered with the hashes of the plate's files."""

        def identity(place: int, look: Look) -> str:
            canvas = str(self.clip.canvas)
            return digest(self.keys.plate(place, look), self.color.id, canvas)[:32]

        return CutDetector(
            len(self.clip.frames), self.network_plate, identity, self.cache.hashes.memo
        )
