# SPDX-License-Identifier: Apache-2.0
"""Steps: returns the model's prediction for a frame, from the cache or by the fewest model calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from matte_nodes.errors import InputChangedError, MatteError, MediaError
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.card import Inputs, Memory, Prediction
    from matte_nodes.media.image import Image
    from matte_nodes.node.frame import Seen
    from matte_nodes.temporal.cache import Cache
    from matte_nodes.temporal.keys import Link, ShotKeys
    from matte_nodes.temporal.timeline import Timeline

TRIES = 5
PAUSE_SECONDS = 0.05
"""A file that is being written is looked at again after this time, then twice, ... this time."""

Answer: TypeAlias = "tuple[Prediction | None, Memory]"
ReadFrame: TypeAlias = "Callable[[int, Look], tuple[Seen, Image]]"
ModelStep: TypeAlias = "Callable[[Inputs, Memory], tuple[Prediction, Memory]]"


@dataclass(frozen=True)
class LoadedFrame:
    """A frame that was read, and its link. The link's key belongs to exactly these pixels."""

    index: int
    link: Link
    seen: Seen
    image: Image


class Steps:
    """The model's steps for one shot. States are always looked up by their key.

    read: the plate and hints at a place, as the model is to see them. step: one call of the model.
    count: how many times the model was really called.
    """

    def __init__(
        self, timeline: Timeline, keys: ShotKeys, cache: Cache, read: ReadFrame, step: ModelStep
    ) -> None:
        self._timeline, self._keys, self._cache = timeline, keys, cache
        self._read, self._step = read, step
        self.count = 0

    def load(self, index: int, look: Look, *, keep: bool = False) -> LoadedFrame:
        """Read a frame's plate and hints; MediaError when they change again and again meanwhile.

        keep: in the cache, where that keeps frames.
        """
        keep = keep and self._cache.frames.limit > 0
        for attempt in range(TRIES):
            if attempt:
                self._keys.forget(index, look)
                time.sleep(PAUSE_SECONDS * attempt)
            try:
                link = self._keys.step(index, look)
                key = self._keys.seen(index, look) if keep else ""
            except InputChangedError:
                continue
            if keep and (kept := self._cache.frames.get(key)) is not None:
                return LoadedFrame(index, link, *kept)
            try:
                seen, image = self._read(index, look)
            except MediaError:
                # A file that is being written cannot be read, or only half of it. It may lie empty
                # for a moment, so one more try comes after a pause.
                if attempt and self._unchanged(index, link):
                    raise
                continue
            if self._unchanged(index, link):
                if keep:
                    self._cache.keep_frame(key, seen, image)
                return LoadedFrame(index, link, seen, image)
        raise MediaError(
            f"Frame {self._timeline.frames[index]} of {self._timeline.name} is being written "
            "while it is "
            "read: wait until it is whole."
        )

    def _unchanged(self, index: int, link: Link) -> bool:
        try:
            return self._keys.unchanged(index, link, Look())
        except InputChangedError:
            return False

    def prediction(self, loaded: LoadedFrame, look: Look, *, in_memory: bool = True) -> Prediction:
        """Return the model's prediction for a frame, with the fewest steps from a known state."""
        prediction, _ = self._until(loaded, look, state_only=False, in_memory=in_memory)
        assert prediction is not None
        return prediction

    def advance(self, loaded: LoadedFrame, look: Look, *, in_memory: bool = True) -> None:
        """Make sure that the state after this frame is known. Its matte is not computed."""
        self._until(loaded, look, state_only=True, in_memory=in_memory)

    def plan(self, wanted: Sequence[int], look: Look, *, results: bool) -> Iterator[int]:
        """Yield the frames to load for these places, in order, with the frames that must be stepped
        before them.

        A broken input raises its error when its frame is loaded, not here.
        """
        frames = self._timeline.frames
        at_hand = -1
        for index in wanted:
            if self._timeline.has_memory:
                if self._is_kept(index, look, results):
                    yield frames[index]
                    continue
                yield from frames[self._first_unknown(index, at_hand, look) : index]
                at_hand = index
            yield frames[index]

    def _is_kept(self, index: int, look: Look, results: bool) -> bool:
        if not self._cache.keeps_pictures:
            return False
        try:
            if results and self._cache.has_result(self._keys.result(index, look)):
                return True
            return self._cache.has_prediction(self._keys.step(index, look).key)
        except MatteError:
            return False

    def _first_unknown(self, index: int, at_hand: int, look: Look) -> int:
        """Return the first place after the newest known state before this one."""
        place = index
        try:
            start = self._timeline.start(index, look)
            while place > start and place - 1 != at_hand:
                if self._cache.has_state(self._keys.step(place - 1, look).key):
                    break
                place -= 1
        except MatteError:
            return at_hand + 1
        return place

    def _until(
        self, loaded: LoadedFrame, look: Look, *, state_only: bool, in_memory: bool
    ) -> Answer:
        """Return the prediction for a frame. Reads the frame again when its inputs have changed
        since it was loaded.
        """
        for _ in range(TRIES):
            answer = self._answered(loaded, look, state_only, in_memory)
            if answer is not None:
                return answer
            self._keys.forget(0, look)
            loaded = self.load(loaded.index, look)
        raise MediaError(
            f"The frames of {self._timeline.name} keep changing. Wait until they are complete, "
            "then try again."
        )

    def _answered(
        self, loaded: LoadedFrame, look: Look, state_only: bool, in_memory: bool
    ) -> Answer | None:
        """Step until the prediction is there, from this process or another. None: inputs changed,
        see `_until`.
        """
        target, index = loaded.link.key, loaded.index
        place = self._timeline.start(index, look)
        memory: Memory = {}
        before, reach = "", index
        while True:
            answer = self._found(target, state_only)
            if answer is not None:
                return answer
            known = self._newest(place, min(index, reach), look)
            if known is not None:
                place, before, memory = known
            current = loaded if place == index else self.load(place, look)
            if current.link.before != before:
                return None
            with self._cache.claim(current.link.key):
                answer = self._found(target, state_only)
                if answer is not None:
                    return answer
                # Another process can advance only a few frames between two checks.
                reach = place + 64
                if self._newest(place, min(index, reach), look) is not None:
                    continue
                answered = self._called(current, memory, look, in_memory)
            if place == index:
                return answered
            place, before, memory = place + 1, current.link.key, answered[1]

    def _found(self, key: str, state_only: bool) -> Answer | None:
        if state_only:
            memory = self._cache.state(key)
            return None if memory is None else (None, memory)
        prediction = self._cache.prediction(key)
        return None if prediction is None else (prediction, {})

    def _newest(self, low: int, high: int, look: Look) -> tuple[int, str, Memory] | None:
        """Return the newest known state after a frame from low to high - 1: the place it leads to,
        its key, and itself."""
        for place in range(high - 1, low - 1, -1):
            key = self._keys.step(place, look).key
            memory = self._cache.state(key) if self._cache.has_state(key) else None
            if memory is not None:
                return place + 1, key, memory
        return None

    def _called(self, loaded: LoadedFrame, memory: Memory, look: Look, in_memory: bool) -> Answer:
        key, timeline = loaded.link.key, self._timeline
        prediction, following = self._step(loaded.seen.inputs, memory)
        self.count += 1
        self._cache.keep_prediction(key, prediction, in_memory=in_memory)
        if timeline.has_memory:
            start = timeline.start(loaded.index, look)
            self._cache.keep_state(
                key,
                following,
                chain=f"{id(self)} {start}",
                place=loaded.index - start + 1,
                length=len(timeline.frames),
            )
        return prediction, following
