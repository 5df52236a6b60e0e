# SPDX-License-Identifier: Apache-2.0
"""A state machine: whatever is edited, evicted, damaged or restarted, a shot gives a straight render.

The number of model steps is predicted by a small model of its own, that knows only which steps
were ever made from which inputs, and nothing of keys, files or checkpoints.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from matte_nodes import MatteNode
from tests.temporal.rig import CARDS, disk, same, write_plate, write_trimap

COUNT = 6
KEYS = (1, 4)
FRAMES = st.integers(1, COUNT)
SEEDS = st.integers(0, 4)
OFFSETS = (-2, -1, 1)
HINTS = {"trimap": ("t", "png"), "background": ("b", "exr"), "segmentation": ("s", "png")}
WARM_START, WARM_UP = 4, 2


class ShotMachine(RuleBasedStateMachine):
    """One shot with a cache on disk, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="matte-machine-"))
        self.known: set[Any] = set()
        self.whole = True  # whether all that is known is still in the cache
        self.straight: dict[Any, Any] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(
        name=st.sampled_from(sorted(CARDS)),
        hinted=st.sets(st.sampled_from(sorted(HINTS)), min_size=1),
        memory=st.sampled_from([0, 1 << 24]),
    )
    def begin(self, name: str, hinted: set[str], memory: int) -> None:
        self.card, self.memory = CARDS[name], memory
        self.remembers = name in ("remembering", "banking")
        # Wider, the margin would take in all of so small a picture.
        self.knobs: dict[str, Any] = {"segmentation_margin": 0.0}
        self.cuts: tuple[int, ...] = ()
        self.plate = dict.fromkeys(range(1, COUNT + 1), 0)
        self.hints = {hint: dict.fromkeys(KEYS, 0) for hint in sorted(hinted)}
        for frame, seed in self.plate.items():
            write_plate(self.folder / f"p.{frame}.exr", seed)
        for hint in self.hints:
            for frame in KEYS:
                self.draw(hint, frame, 0)
        self.restart()

    def draw(self, hint: str, frame: int, seed: int) -> None:
        """Write one key of a hint."""
        letter, kind = HINTS[hint]
        write = write_plate if hint == "background" else write_trimap
        write(self.folder / f"{letter}.{frame}.{kind}", seed)
        self.hints[hint][frame] = seed

    # what may happen

    @rule()
    def restart(self) -> None:
        """A new process: memory is gone."""
        self.cache = disk(self.folder / "cache", memory=self.memory)
        self.shot = self.connect(self.cache)

    # Edits ask for a frame before and after: left to chance, too few of them would be seen.

    @rule(frame=FRAMES, seed=SEEDS, seen=FRAMES)
    def edit_plate(self, frame: int, seed: int, seen: int) -> None:
        self.look(seen)
        self.plate[frame] = seed
        write_plate(self.folder / f"p.{frame}.exr", seed)
        self.look(seen)

    @rule(which=st.integers(0, 2), frame=st.sampled_from(KEYS), seed=SEEDS, seen=FRAMES)
    def edit_hint(self, which: int, frame: int, seed: int, seen: int) -> None:
        self.look(seen)
        self.draw(sorted(self.hints)[which % len(self.hints)], frame, seed)
        self.look(seen)

    @rule(
        knob=st.sampled_from(
            [("hold", 0.5), ("hold", 0.8), ("gamma", 1.0), ("gamma", 0.7), ("steady", 0.0),
             ("steady", 0.6), ("exposure", 0.0), ("exposure", 1.0)]
        )
    )  # fmt: skip
    def turn_knob(self, knob: tuple[str, float]) -> None:
        self.knobs[knob[0]] = knob[1]
        self.shot = self.connect(self.cache)

    @rule(cuts=st.sets(st.integers(2, COUNT), max_size=2))
    def cut(self, cuts: set[int]) -> None:
        self.cuts = tuple(sorted(cuts))
        self.shot = self.connect(self.cache)

    @rule(limit=st.sampled_from([0, 3000, 10_000]))
    def evict(self, limit: int) -> None:
        assert self.cache.store is not None
        if self.cache.store.collect(limit)[0]:
            self.whole = False

    @rule()
    def forget_memory(self) -> None:
        self.cache.forget_memory()

    @rule(seed=st.integers(0, 1000), how=st.sampled_from(["delete", "flip", "cut", "empty"]))
    def damage(self, seed: int, how: str) -> None:
        rng = random.Random(seed)
        files = sorted(path for path in (self.folder / "cache").rglob("*") if path.is_file())
        if not files:
            return
        for path in rng.sample(files, min(len(files), 3)):
            content = bytearray(path.read_bytes())
            if how == "delete":
                path.unlink()
            elif how == "cut":
                path.write_bytes(content[: rng.randint(0, len(content))])
            elif how == "empty":
                path.write_bytes(b"")
            elif content:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
                path.write_bytes(content)
        self.whole = False

    @rule()
    def clear(self) -> None:
        """Everything is thrown away."""
        assert self.cache.store is not None
        self.cache.store.clear()
        self.restart()
        self.known.clear()
        self.whole = True

    # what must be right all the same

    @rule(frame=FRAMES)
    def at(self, frame: int) -> None:
        self.look(frame)

    def look(self, frame: int) -> None:
        self.ask([frame], lambda: [(frame, self.shot.at(frame))])

    @rule(ends=st.tuples(FRAMES, FRAMES))
    def render(self, ends: tuple[int, int]) -> None:
        first, last = min(ends), max(ends)
        self.ask(range(first, last + 1), lambda: list(self.shot.render(first, last)))

    @rule(frame=st.integers(WARM_START, COUNT))
    def warm(self, frame: int) -> None:
        """A warm start on the same cache: its own straight render, never mixed with the exact one."""
        asked = {"warm_up": WARM_UP, "start": WARM_START}
        shot = self.connect(self.cache, **asked)
        expected = dict(self.connect(None, **asked).render(WARM_START, frame))[frame]
        assert same(shot.at(frame), expected)
        assert shot.steps <= COUNT - (WARM_START - WARM_UP) + 1

    def ask(self, frames: Any, answer: Any) -> None:
        """Ask for frames: the right pixels, for the predicted number of steps or fewer."""
        expected = self.expected()
        before, kept = self.shot.steps, self.known
        # From a cache that lost who knows what, each step is made once more at most.
        self.known = kept if self.whole else set()
        allowed = sum(self.predicted(frame) for frame in frames)
        self.known |= kept
        for frame, matte in answer():
            assert same(matte, expected[frame]), frame
        assert self.shot.steps - before <= allowed

    def connect(self, cache: Any, **asked: Any) -> Any:
        hints = {h: str(self.folder / f"{HINTS[h][0]}.#.{HINTS[h][1]}") for h in self.hints}
        node = MatteNode(self.card, **self.knobs)
        return node.connect(
            str(self.folder / "p.#.exr"), cache=cache, cuts=self.cuts, hint_keys="hold",
            **hints, **asked,
        )  # fmt: skip

    def expected(self) -> Any:
        """A straight render that knows of no cache; made once for the same inputs."""
        inputs = (
            tuple(self.plate.items()), str(self.hints), tuple(self.knobs.items()), self.cuts,
        )  # fmt: skip
        if inputs not in self.straight:
            self.straight[inputs] = dict(self.connect(None).render())
        return self.straight[inputs]

    def predicted(self, frame: int) -> int:
        """How many steps a frame may cost; the steps it makes are known from then on."""
        start = max([1, *(cut for cut in self.cuts if cut <= frame)])
        ahead = [number for number in range(start, COUNT + 1) if not self.between(start, number)]
        around = {frame}
        if self.knobs.get("steady"):
            around |= {number for number in (frame - 1, frame + 1) if number in ahead}
        cost = 0
        for number in sorted(around):
            if not self.remembers:
                cost += self.step(number)
                continue
            first = number
            while first > start and self.inputs(number) not in self.known:
                if self.inputs(first - 1) in self.known:
                    break
                first -= 1
            cost += sum(self.step(place) for place in range(first, number + 1))
        return cost

    def step(self, frame: int) -> int:
        inputs = self.inputs(frame)
        if inputs in self.known:
            return 0
        self.known.add(inputs)
        return 1

    def between(self, start: int, number: int) -> bool:
        return any(start < cut <= number for cut in self.cuts)

    def inputs(self, frame: int) -> Any:
        """All that the model's answer for a frame is made from."""
        start = max([1, *(cut for cut in self.cuts if cut <= frame)])
        takes = [n for n in range(start, COUNT + 1) if not self.between(start, n)]
        settings_ = (self.knobs.get("hold", 0.5), self.knobs.get("exposure", 0.0))
        # A hint that the model does not take only finishes the frame.
        taken = {hint for hint in self.hints if hint in self.card.takes}
        # Whether the clean plate must be moved is decided beside the subject.
        taken |= {"segmentation"} if "background" in taken else set()
        seen = [keys for hint, keys in self.hints.items() if hint in taken]
        held = {n: max(k for k in KEYS if k <= n) for n in range(1, COUNT + 1)}
        drawn = {n: tuple(keys[held[n]] for keys in seen) for n in held}
        if self.remembers:
            return settings_, start, tuple(
                (self.plate[n], drawn[n]) for n in range(start, frame + 1)
            )  # fmt: skip
        around = OFFSETS if self.card.name == "looking" else ()
        near = [min(max(frame + offset, takes[0]), takes[-1]) for offset in around]
        return settings_, self.plate[frame], drawn[frame], tuple(self.plate[n] for n in near)


def machine(examples: int, steps: int) -> None:
    """Run it."""
    run_state_machine_as_test(
        ShotMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens_a_shot_gives_a_straight_render() -> None:
    machine(50, 25)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_whatever_happens_for_long() -> None:
    machine(1500, 50)
