# SPDX-License-Identifier: Apache-2.0
"""Content keys of a shot's steps and results, each chained to all inputs that it depends on.

A step's key names the model's answer for a frame and its memory after it:
    still     H(step settings, inputs of the frame)
    window    H(step settings, inputs of the frame, plates of the neighbours)
    memory    H(key of the step before, inputs of the frame); the chain begins with
              H(step settings, first frame, "exact" or "warm from W")
A result's key is H(finishing settings, keys of the steps it is made from, all inputs).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from matte_nodes.temporal.digest import digest
from matte_nodes.temporal.inputs import FileHashes, InputPictures
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.card import Stage
    from matte_nodes.media.clip import Clip
    from matte_nodes.temporal.timeline import Timeline

PLATE = "plate"


@dataclass(frozen=True)
class Link:
    """One frame's place in a chain of keys.

    before: the key of the step before ("" where a chain begins or there is none). key: this
    step's. signs: of the inputs, as they were when the key was made. ids: what the inputs were.
    lasting: whether the key holds for as long as the signs stay the same.
    """

    before: str
    key: str
    signs: tuple[Hashable, ...]
    ids: tuple[str, ...]
    lasting: bool


class HintFrames(Protocol):
    """A hint of a shot: a clip, and which of its frames serves a frame of the plate."""

    clip: Clip

    def source_frame(self, frame: int) -> int | None: ...


@dataclass(frozen=True)
class KeyedInputs:
    """The inputs from which one shot's keys are made."""

    plate: Clip
    hints: Mapping[str, HintFrames]
    """The hints that were connected, by name."""
    read_by: Callable[[Stage], Collection[str]]
    """Returns the names of the hints that a stage reads."""
    settings: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]]
    """Returns all that a step, and all that a finished frame, depends on besides pictures."""
    seen: Callable[[], Mapping[str, Any]] = dict
    """Returns all that reading a frame, and changing it for the model, depends on besides pictures."""


class ShotKeys:
    """Keys of one shot. by content: the same in every process; otherwise for this one alone."""

    def __init__(
        self, inputs: KeyedInputs, timeline: Timeline, hashes: FileHashes, *, content: bool
    ) -> None:
        self._inputs, self._timeline = inputs, timeline
        clips = {PLATE: inputs.plate} | {name: hint.clip for name, hint in inputs.hints.items()}
        self._pictures = {
            name: InputPictures(clip, hashes, content=content) for name, clip in clips.items()
        }
        self._links: dict[int, Link] = {}
        self._settings: tuple[str, str] | None = None
        self._seen = ""
        self._lock = threading.RLock()

    def step(self, index: int, look: Look) -> Link:
        """Return the link of the step for the frame at this place of the clip."""
        with self._lock:
            if not self._timeline.has_memory:
                return self._made(index, "", look)
            start = self._timeline.start(index, look)
            checked = look.checked.get((id(self), start), start - 1)
            for place in range(max(start, checked + 1), index + 1):
                before = "" if place == start else self._links[place - 1].key
                self._made(place, before, look)
            look.checked[id(self), start] = max(index, checked)
            return self._links[index]

    def result(self, index: int, look: Look) -> str:
        """Return the key of the finished matte of the frame at this place of the clip."""
        with self._lock:
            steps = [
                self.step(place, look).key for place in self._timeline.steadied_by(index, look)
            ]
            inputs = [self._id(name, index, look)[0] for name in self._read_by("finish")]
            return digest(self.settings[1], steps, inputs)

    def seen(self, index: int, look: Look) -> str:
        """Return the key of a frame as it is read: of all its inputs, and of no step or finishing."""
        with self._lock:
            self._seen = self._seen or digest("seen", self._inputs.seen())
            where = self._inputs.plate.name, self._timeline.frames[index]
            return digest(self._seen, where, [text for text, _ in self._ids(index, look)])

    def forget(self, index: int, look: Look) -> None:
        """Check the inputs of this frame again: they may have changed."""
        look.forget(id(self), index)

    def unchanged(self, index: int, link: Link, look: Look) -> bool:
        """Whether the inputs of a frame are those that its link was made with.

        Files so young that their times tell nothing are compared by their content.
        """
        if self._signs(index, look) != link.signs:
            return False
        return link.lasting or tuple(text for text, _ in self._ids(index, look)) == link.ids

    def plate(self, index: int, look: Look) -> str:
        """Return the identity of one plate."""
        return self._id(PLATE, index, look)[0]

    @property
    def settings(self) -> tuple[str, str]:
        """Everything but pictures that this shot's steps, and its results, depend on."""
        if self._settings is None:
            step, finish = self._inputs.settings()
            self._settings = digest(step), digest(finish)
        return self._settings

    @property
    def _names(self) -> list[str]:
        return sorted(self._pictures)

    def _base(self, start: int, look: Look) -> str:
        """Return what a chain that begins at this place goes on from."""
        timeline = self._timeline
        if not timeline.has_memory:
            return self.settings[0]
        exact = timeline.segments.is_exact(start, look)
        begun = "exact" if exact else f"warm from {timeline.warm_up}"
        return digest(self.settings[0], begun, timeline.frames[start])

    def _made(self, index: int, before: str, look: Look) -> Link:
        known, signs = self._links.get(index), self._signs(index, look)
        if known and known.lasting and known.before == before and known.signs == signs:
            return known
        found = self._ids(index, look)
        ids = tuple(text for text, _ in found)
        read = set(self._read_by("step"))
        used = [text for name, text in zip(self._names, ids, strict=False) if name in read]
        used += ids[len(self._names) :]  # of the neighbours
        key = digest(before or self._base(index, look), used)
        link = Link(before, key, signs, ids, all(lasting for _, lasting in found))
        self._links[index] = link
        return link

    def _ids(self, index: int, look: Look) -> list[tuple[str, bool]]:
        """What all inputs of a frame are, and then the plates of its neighbours."""
        found = [self._id(name, index, look) for name in self._names]
        around = self._timeline.neighbours(index, look)
        return found + [self._id(PLATE, place, look) for place in around]

    def _read_by(self, stage: Stage) -> list[str]:
        read = self._inputs.read_by(stage)
        return [name for name in self._names if name == PLATE or name in read]

    def _signs(self, index: int, look: Look) -> tuple[Hashable, ...]:
        signs = [self._sign(name, index, look) for name in self._names]
        signs += [self._sign(PLATE, n, look) for n in self._timeline.neighbours(index, look)]
        return tuple(signs)

    def _sign(self, name: str, index: int, look: Look) -> Hashable:
        source = self._source(name, index)
        return None if source is None else self._pictures[name].sign(source, look)

    def _id(self, name: str, index: int, look: Look) -> tuple[str, bool]:
        source = self._source(name, index)
        if source is None:
            return f"no {name}", True
        pictures = self._pictures[name]
        text, lasting = pictures.id(source, pictures.sign(source, look), look)
        return f"{name} {text}", lasting

    def _source(self, name: str, index: int) -> int | None:
        frame = self._timeline.frames[index]
        return frame if name == PLATE else self._inputs.hints[name].source_frame(frame)
