# SPDX-License-Identifier: Apache-2.0
"""Frame numbers as text: `1001-1100`, `1001-1010,1012`, `1001,1024`.

Negative numbers are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from matte_nodes.errors import UsageError

_RUN = re.compile(r"\s*(-?[0-9]+)(?:-(-?[0-9]+))?\s*")
_MOST = 10_000_000
"""Frames of one list: five days at 24 frames a second."""


def parsed_span(text: str | None, name: str = "--frames") -> tuple[int | None, int | None]:
    """ "1001-1100" or "1042" as (first, last), both included; (None, None) for None.

    name: what the user calls the option. Raises UsageError.
    """
    if text is None:
        return None, None
    run = _run(text)
    if run is None:
        raise UsageError(f"{name} is a range like 1001-1100 or one frame number, not {text!r}.")
    if run[1] < run[0]:
        raise UsageError(f"{name} {text}: The last frame comes before the first.")
    return run


def parsed_frames(text: str, name: str = "Frames") -> list[int]:
    """Return the frames of "1001-1010,1012", ascending, each once. Raises UsageError."""
    frames: set[int] = set()
    for part in text.split(","):
        run = _run(part)
        if run is None or run[1] < run[0]:
            raise UsageError(
                f"{name} are ranges and frame numbers, for example 1001-1100,1110, not {text!r}."
            )
        if run[1] - run[0] + len(frames) >= _MOST:
            raise UsageError(f"{name} {text}: that is more than {_MOST} frames.")
        frames.update(range(run[0], run[1] + 1))
    return sorted(frames)


def parsed_numbers(given: Iterable[int] | str | None, name: str) -> list[int]:
    """Single frames, "1012,1100" or a list of numbers, in their order; [] for None and "".

    Raises UsageError.
    """
    try:
        if isinstance(given, str):
            return [int(part) for part in given.split(",") if part.strip()]
        return [int(number) for number in given or ()]
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} are frame numbers with commas between, for example 1012,1100, not {given!r}."
        ) from error


def spelled(frames: Sequence[int]) -> str:
    """Ascending frames as `parsed_frames` reads them: "1001-1010,1012"."""
    runs = contiguous(frames)
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def contiguous(frames: Sequence[int]) -> list[Sequence[int]]:
    """Split frames into runs of consecutive numbers."""
    if not frames:
        return []
    breaks = [i for i in range(1, len(frames)) if frames[i] != frames[i - 1] + 1]
    return [frames[a:b] for a, b in pairwise([0, *breaks, len(frames)])]


def _run(text: str) -> tuple[int, int] | None:
    match = _RUN.fullmatch(text)
    return (int(match[1]), int(match[2] or match[1])) if match else None
