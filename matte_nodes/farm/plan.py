# SPDX-License-Identifier: Apache-2.0
"""How a range is cut for a farm: at the takes' beginnings first, then into chunks or a chain of them.

A chunk's memory begins where a straight render's does ("exact"), or some frames early ("warm"), or
there is none ("free"). Free chunks may lie anywhere. A warm chunk never reaches over a cut without
need. Exact chunks of one take depend on each other: the later one goes on from the earlier one's
state; other takes do not wait.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from matte_nodes.card import Bank, Recurrent
from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from matte_nodes.card import ModelCard

Handover = Literal["free", "warm", "exact"]

MOST_STEPS = 95
"""A job template of 2023-09 holds 100 steps; one is Validate."""


@dataclass(frozen=True)
class Step:
    """Frames that are cut into chunks of `size`, which may run at once; after: the step before."""

    name: str
    frames: tuple[int, ...]
    size: int
    after: str | None = None


@dataclass(frozen=True)
class Plan:
    """All steps of a job. warm_up: frames that each chunk begins early (warm only)."""

    handover: Handover
    warm_up: int | None
    steps: tuple[Step, ...]

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """First and last frames of all chunks, in order."""
        return [
            (part[0], part[-1])
            for step in self.steps
            for run in contiguous(step.frames)
            for part in balanced(run, step.size)
        ]


def handover(cards: Sequence[ModelCard], warm_up: int | None) -> tuple[Handover, int | None]:
    """How chunks of a chain of models begin: ("free", None) without memory, "warm" with the frames
    that were asked for or that its cards state as measured, else "exact"."""
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
) -> Plan:
    """Cut these frames. size: frames of a chunk at most (None: 32, or as many as keep the job
    small). Raises UsageError when there would be more steps than a job can hold."""
    size = size or max(32, -(-len(frames) // 30))
    if begins == "free":
        return Plan(begins, warm_up, (Step("Matte", tuple(frames), size),))
    steps: list[Step] = []
    for group in _groups(frames, cuts, size):
        if begins == "warm":
            steps.append(Step(_name(group), tuple(group), size))
            continue
        before = None
        for part in balanced(group, size):
            steps.append(Step(_name(part), tuple(part), len(part), before))
            before = steps[-1].name
    if len(steps) > MOST_STEPS:
        raise UsageError(
            f"--chunk {size} makes {len(steps)} steps of {len(frames)} frames; a job holds "
            f"{MOST_STEPS}. Take larger chunks."
        )
    if len(steps) == 1:
        steps = [Step("Matte", steps[0].frames, steps[0].size)]
    return Plan(begins, warm_up, tuple(steps))


def balanced(frames: Sequence[int], size: int) -> list[Sequence[int]]:
    """Chunks of at most `size` whose lengths differ by one at most: 10 by 4 is 4, 3, 3."""
    count = -(-len(frames) // size)
    short, longer = divmod(len(frames), count)
    edges = [0]
    for index in range(count):
        edges.append(edges[-1] + short + (index < longer))
    return [frames[a:b] for a, b in pairwise(edges)]


def contiguous(frames: Sequence[int]) -> list[Sequence[int]]:
    """Runs of frames that follow each other by one."""
    breaks = [i for i in range(1, len(frames)) if frames[i] != frames[i - 1] + 1]
    return [frames[a:b] for a, b in pairwise([0, *breaks, len(frames)])]


def spelled(frames: Sequence[int]) -> str:
    """Frames as a range expression: "1001-1010,1012"."""
    runs = contiguous(frames)
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def parsed(text: str) -> list[int]:
    """Frames of a range expression, in order; UsageError for anything else."""
    frames: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", part.strip())
        if not match:
            raise UsageError(f"Frames are as in 1001-1100,1110, not {text!r}.")
        frames.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(frames)


def _groups(frames: Sequence[int], cuts: Sequence[int], size: int) -> list[Sequence[int]]:
    """Takes; short ones that follow each other are put together while they make one chunk."""
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
