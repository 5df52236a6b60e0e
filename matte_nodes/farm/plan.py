# SPDX-License-Identifier: Apache-2.0
"""Cuts a frame range for a farm: first at cuts of the shot, then into chunks.

A chunk's memory begins as in a straight render ("exact"), or some frames early ("warm"), or the
model has no memory ("free"). Free chunks may begin at any frame. A warm chunk crosses a cut only
where it must. Exact chunks of one take depend on each other: a chunk starts from the state that the
chunk before it saved. Chunks of other takes do not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from matte_nodes.card import Bank, Recurrent
from matte_nodes.errors import UsageError
from matte_nodes.frame_range import contiguous

if TYPE_CHECKING:
    from matte_nodes.card import ModelCard

Handover = Literal["free", "warm", "exact"]

MOST_STEPS = 95
"""A job template of 2023-09 holds 100 steps; one is Validate."""


@dataclass(frozen=True)
class FarmStep:
    """Frames that are cut into chunks that may run at the same time."""

    name: str
    """The step's name in the job."""
    frames: tuple[int, ...]
    """The step's frames, in order."""
    size: int
    """Most frames in one chunk. Chunks of a step may run at the same time."""
    after: str | None = None
    """The step that must end before this one starts."""


@dataclass(frozen=True)
class ChunkPlan:
    """All steps of a job."""

    handover: Handover
    """How a chunk's memory begins: "exact", "warm" or "free"."""
    warm_up: int | None
    """Frames that a warm chunk starts early; None for the other kinds."""
    steps: tuple[FarmStep, ...]
    """The steps, in order."""

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """Return the first and last frames of all chunks, in order."""
        return [
            (part[0], part[-1])
            for step in self.steps
            for run in contiguous(step.frames)
            for part in balanced(run, step.size)
        ]


def handover(cards: Sequence[ModelCard], warm_up: int | None) -> tuple[Handover, int | None]:
    """Return how chunks begin, as (kind, frames of warm-up).

    Returns ("free", None) for models without memory, "warm" with the frames that the user asked for
    or that the cards state as measured, and "exact" otherwise.
    """
    memories = [card.memory for card in cards if isinstance(card.memory, Recurrent | Bank)]
    if not memories:
        return "free", None
    if warm_up is not None:
        return "warm", warm_up
    stated = [memory.warm_up for memory in memories if isinstance(memory, Recurrent)]
    measured = [length for length in stated if length is not None]
    if len(measured) == len(memories):
        return "warm", max(measured)
    return "exact", None


def plan(
    frames: Sequence[int],
    cuts: Sequence[int],
    size: int | None,
    begins: Handover,
    warm_up: int | None,
) -> ChunkPlan:
    """Cut frames into steps and chunks of at most `size` frames (None: 32, or more for a long
    range).

    Raises UsageError when a job cannot hold that many steps.
    """
    size = size or max(32, -(-len(frames) // 30))
    if begins == "free":
        return ChunkPlan(begins, warm_up, (FarmStep("Matte", tuple(frames), size),))
    steps: list[FarmStep] = []
    for group in _groups(frames, cuts, size):
        if begins == "warm":
            steps.append(FarmStep(_name(group), tuple(group), size))
            continue
        before = None
        for part in balanced(group, size):
            steps.append(FarmStep(_name(part), tuple(part), len(part), before))
            before = steps[-1].name
    if len(steps) > MOST_STEPS:
        raise UsageError(
            f"--chunk {size} makes {len(steps)} steps of {len(frames)} frames, but a job holds "
            f"{MOST_STEPS}. Use larger chunks (--chunk)."
        )
    if len(steps) == 1:
        steps = [FarmStep("Matte", steps[0].frames, steps[0].size)]
    return ChunkPlan(begins, warm_up, tuple(steps))


def balanced(frames: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return chunks of at most `size` whose lengths differ by at most one: 10 by 4 gives 4, 3, 3."""
    count = -(-len(frames) // size)
    short, longer = divmod(len(frames), count)
    edges = [0]
    for index in range(count):
        edges.append(edges[-1] + short + (index < longer))
    return [frames[a:b] for a, b in pairwise(edges)]


def takes_of(frames: Sequence[int], cuts: Sequence[int]) -> list[Sequence[int]]:
    """Return the frames by takes."""
    return _groups(frames, cuts, 1)


def _groups(frames: Sequence[int], cuts: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return takes; neighbouring short takes are joined while they fit into one chunk."""
    inner = set(cuts)
    starts = [0, *(i for i in range(1, len(frames)) if frames[i] in inner), len(frames)]
    groups: list[tuple[int, int]] = []
    for begin, end in pairwise(starts):
        if groups and end - groups[-1][0] <= size:
            groups[-1] = (groups[-1][0], end)
        else:
            groups.append((begin, end))
    return [frames[a:b] for a, b in groups]


def _name(frames: Sequence[int]) -> str:
    return f"Matte_{frames[0]}_{frames[-1]}"
