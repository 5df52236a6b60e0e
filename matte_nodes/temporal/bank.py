# SPDX-License-Identifier: Apache-2.0
"""Both directions of time for models with a `Bank`: masks carried from key frames, and their keys.

Forward, one chain of steps runs from the first key frame on; clicks of a later key frame correct
the mask that arrives there. A key frame where every object has a box or a painted mask starts a new
chain. Backward, a chain runs from each key frame, whose masks it takes from the forward chain, to
the key frame before. A frame between two keys is answered by both chains, the nearer key more.

A changed click therefore reaches back to the key frame before it, and forward to the next frame
with a box for every object, or to the end of the take.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from matte_nodes.temporal.digest import digest
from matte_nodes.temporal.keys import ShotKeys
from matte_nodes.temporal.stat_cache import Look
from matte_nodes.temporal.steps import LoadedFrame, Steps
from matte_nodes.temporal.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float, Inputs, Memory, Prediction
    from matte_nodes.node.node import FrameNode
    from matte_nodes.temporal.cache import Cache
    from matte_nodes.temporal.steps import ReadFrame

    Masks: TypeAlias = "Mapping[str, NDArray[np.uint8]]"

MASK = "/mask"


@dataclass(frozen=True)
class KeyFrames:
    """The frames of a clip in which each object has marks."""

    objects: tuple[str, ...]
    """All objects, in their order."""
    marked: Mapping[int, frozenset[str]]
    """By place: the objects with clicks, a box or a painted mask there."""
    started: Mapping[int, frozenset[str]]
    """By place: those of them that need nothing from other frames: a box or a painted mask."""

    def before(self, name: str, place: int, low: int) -> int | None:
        """Return the place of the object's last key from `low` to `place`, both included."""
        found = [p for p in self.marked if low <= p <= place and name in self.marked[p]]
        return max(found, default=None)

    def after(self, name: str, place: int, high: int) -> int | None:
        """Return the place of the object's first key from `place` to before `high`."""
        found = [p for p in self.marked if place <= p < high and name in self.marked[p]]
        return min(found, default=None)

    def forward_start(self, place: int, low: int) -> int:
        """Return where the forward chain of a place begins, in a take that begins at `low`."""
        known = sorted(p for p in self.marked if low <= p <= place)
        if not known:
            return place
        needed: set[str] = set()
        for p in known:
            needed |= self.marked[p]
        for p in reversed(known):
            if needed <= self.started.get(p, frozenset()):
                return p
        return known[0]

    def backward_start(self, place: int, high: int) -> int | None:
        """Return where the backward chain of a place begins, in a take that ends before `high`."""
        coming = sorted(p for p in self.marked if place <= p < high)
        for i, p in enumerate(coming):
            later: set[str] = set()
            for q in coming[i:]:
                later |= self.marked[q]
            if later <= self.marked[p]:
                return p
        return None


@dataclass(frozen=True)
class BankTimeline(Timeline):
    """A timeline with key frames."""

    keyed: KeyFrames = KeyFrames((), {}, {})

    def start(self, place: int, look: Look) -> int:
        """Return where the forward chain of a place begins."""
        return self.keyed.forward_start(place, self.segments.start(place, look))

    def end(self, place: int, look: Look) -> int:
        """Return the place after the last one of the take."""
        last = self.segments.clamp(place, len(self.frames) - 1, look)
        return last + 1

    def backward_start(self, place: int, look: Look) -> int | None:
        """Return where the backward chain of a place begins.

        None where no key frame follows, or where every object is marked at the place itself.
        """
        if set(self.keyed.objects) <= self.keyed.marked.get(place, frozenset()):
            return None
        return self.keyed.backward_start(place, self.end(place, look))


class BankKeys(ShotKeys):
    """Keys of both chains."""

    _timeline: BankTimeline

    def back(self, place: int, look: Look) -> str | None:
        """Return the key of the backward chain's state at a place.

        None where there is no such chain.
        """
        with self._lock:
            start = self._timeline.backward_start(place, look)
            if start is None:
                return None
            key = digest("back", self.step(start, look).key)
            for at in range(start - 1, place - 1, -1):
                own = [self._id(name, at, look)[0] for name in self._read_by("step")]
                taken = self.step(at, look).key if at in self._timeline.keyed.marked else ""
                key = digest("back", key, own, taken)
            return key

    def answer(self, place: int, look: Look) -> str:
        """Return the key of the model's answer at a place: of both chains."""
        with self._lock:
            return digest("answer", self.step(place, look).key, self.back(place, look))

    def result(self, index: int, look: Look) -> str:
        """Return the key of the finished matte: of both chains, and of all inputs."""
        with self._lock:
            backs = [self.back(place, look) for place in self._timeline.steadied_by(index, look)]
            return digest(super().result(index, look), backs)


class BankSteps(Steps):
    """Answers of a model with a `Bank`; masks are kept for every frame, states only at few.

    node: the model's node. count: calls of its `advance`.
    """

    def __init__(
        self,
        timeline: BankTimeline,
        keys: BankKeys,
        cache: Cache,
        read: ReadFrame,
        node: FrameNode,
    ) -> None:
        super().__init__(timeline, keys, cache, read, _no_step)
        self._line, self._both = timeline, keys
        self._node = node
        # A mask takes 1 to 4 kB when it is packed, so those of a whole shot fit.
        self._masks: dict[str, dict[str, bytes]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._held: dict[str, Memory] = {}

    def prediction(self, loaded: LoadedFrame, look: Look, *, in_memory: bool = True) -> Prediction:
        """Return the answer for a frame, from the masks of both chains."""
        del in_memory
        return self._cache.answered(
            lambda: self._both.answer(loaded.index, look), lambda: self._answer(loaded, look)
        )

    def _answer(self, loaded: LoadedFrame, look: Look) -> Prediction:
        place = loaded.index
        forward = self._forward_masks(place, look)
        backward = self._backward_masks(place, look)
        low, high = self._line.segments.start(place, look), self._line.end(place, look)
        masks = {}
        for name in self._line.keyed.objects:
            sides = [side.get(name) for side in (forward, backward)]
            masks[name] = self._joined(name, place, (low, high), sides)
        return self._node.answer(
            loaded.seen.inputs, {n: m for n, m in masks.items() if m is not None}
        )

    def advance(self, loaded: LoadedFrame, look: Look, *, in_memory: bool = True) -> None:
        """Nothing: what a frame needs is stepped when it is asked for."""

    def plan(self, wanted: Sequence[int], look: Look, *, results: bool) -> Iterator[int]:
        """Yield the frames themselves; those before and after are read when they are stepped."""
        for index in wanted:
            yield self._line.frames[index]

    def _joined(
        self, name: str, place: int, take: tuple[int, int], sides: Sequence[Float | None]
    ) -> Float | None:
        """One object's mask: that of one chain, or both by their distance to the keys."""
        keyed, (forward, backward) = self._line.keyed, sides
        before, after = keyed.before(name, place, take[0]), keyed.after(name, place, take[1])
        if before == place or after is None or backward is None:
            return forward
        if before is None or forward is None:
            return backward
        share = np.float32((place - before) / (after - before))
        share = share * share * (3 - 2 * share)
        return np.asarray((1 - share) * forward + share * backward, np.float32)

    def _forward_masks(self, place: int, look: Look) -> dict[str, Float]:
        key = self._both.step(place, look).key
        if key not in self._masks:
            key, _ = self._forward(place, look)
        return self._unpacked(key)

    def _forward(self, place: int, look: Look) -> tuple[str, Memory]:
        """Return the state of the forward chain after a place, by the fewest steps from a known one.

        Its key comes first: a frame that was replaced while it was read has another one by then.
        """
        low = self._line.start(place, look)
        key = ""
        memory: Memory = {}
        for at in range(place, low - 1, -1):
            key = self._both.step(at, look).key
            found = self._state(key)
            if found is not None:
                memory, low = found, at + 1
                self._pack(key, found)
                break
        for at in range(low, place + 1):
            loaded = self.load(at, look)
            memory = self._stepped(loaded.seen.inputs, memory)
            chain = f"{id(self)} forward {self._line.start(at, look)}"
            key = loaded.link.key
            self._keep(key, memory, chain, at, at in self._line.keyed.marked)
        return key, memory

    def _backward_masks(self, place: int, look: Look) -> dict[str, Float]:
        key = self._both.back(place, look)
        if key is None:
            return {}
        if key not in self._masks:
            key = self._backward(place, look)
        return self._unpacked(key)

    def _backward(self, place: int, look: Look) -> str:
        """Step the backward chain down to a place, from the lowest state that is known.

        Returns the key of the state there.
        """
        start = self._line.backward_start(place, look)
        assert start is not None
        memory: Memory | None = None
        for at in range(place, start + 1):
            known = self._both.back(at, look)
            memory = None if known is None else self._state(known)
            if known is not None and memory is not None:
                start = at
                self._pack(known, memory)
                break
        chain = f"{id(self)} backward {start}"
        if memory is None:
            memory = self._handed(start, {}, look)
            self._keep_back(start, memory, chain, look)
        for at in range(start - 1, place - 1, -1):
            loaded = self.load(at, look)
            inputs = _without_marks(loaded.seen.inputs)
            memory = self._stepped(inputs, memory)
            if at in self._line.keyed.marked:
                memory = self._handed(at, memory, look)
            self._keep_back(at, memory, chain, look)
        key = self._both.back(place, look)
        assert key is not None
        return key

    def _handed(self, place: int, memory: Memory, look: Look) -> Memory:
        """Return a backward state at a key frame: the objects that are marked there as the forward chain
        has them, the others as they came from later frames."""
        marked = self._line.keyed.marked[place]
        forward = self._state(self._both.step(place, look).key)
        if forward is None:
            _, forward = self._forward(place, look)
        forward = self._node.turned(forward)
        kept = {name: tensor for name, tensor in memory.items() if name.rpartition("/")[0]}
        mine = {
            name: tensor
            for name, tensor in forward.items()
            if not name.rpartition("/")[0] or name.rpartition("/")[0] in marked
        }
        return kept | mine

    def _stepped(self, inputs: Inputs, memory: Memory) -> Memory:
        self.count += 1
        return self._node.advance(inputs, memory)

    def _state(self, key: str) -> Memory | None:
        found = self._held.get(key)
        return found if found is not None else self._cache.state(key)

    def _keep_back(self, place: int, memory: Memory, chain: str, look: Look) -> None:
        key = self._both.back(place, look)
        if key is not None:
            self._keep(key, memory, chain, len(self._line.frames) - place, False)

    def _keep(self, key: str, memory: Memory, chain: str, place: int, hold: bool) -> None:
        if hold:
            self._held[key] = memory
        self._cache.keep_state(key, memory, chain=chain, place=place, length=len(self._line.frames))
        self._pack(key, memory)

    def _pack(self, key: str, memory: Memory) -> None:
        """Remember the masks of a state: an answer needs no more."""
        packed = {}
        for name, tensor in memory.items():
            if name.endswith(MASK):
                packed[name[: -len(MASK)]] = zlib.compress(
                    np.ascontiguousarray(tensor).tobytes(), 1
                )
                self._shapes[key] = tensor.shape
        self._masks[key] = packed

    def _unpacked(self, key: str) -> dict[str, Float]:
        return {
            name: np.asarray(
                np.frombuffer(zlib.decompress(data), np.uint8).reshape(self._shapes[key])
                / np.float32(255),
                np.float32,
            )
            for name, data in self._masks[key].items()
        }


def _without_marks(inputs: Inputs) -> Inputs:
    """Return a frame as the backward chain sees it: its marks reach it by the forward chain's state."""
    points = inputs.points
    bare = None if points is None else replace(points, marks={})
    return replace(inputs, points=bare, segmentation=None, trimap=None)


def _no_step(inputs: Inputs, memory: Memory) -> tuple[Prediction, Memory]:
    raise NotImplementedError
