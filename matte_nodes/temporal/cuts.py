# SPDX-License-Identifier: Apache-2.0
"""Finding cuts: hard changes of picture between two frames of what the network sees.

A frame is boiled down to a print: the means of 12 x 8 cells and a histogram of 64 colours, in whole
numbers, so that the decision is the same on every machine. A cut is where both the layout and the
colours change, by much, and by clearly more than round about (fast motion changes every frame);
a flash, after which the old picture comes back, is none. Whether a frame is a cut depends on the
prints of the six frames from three before to two after it and on nothing else, so that frames may
be asked for in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.temporal.memo import Memo
    from matte_nodes.temporal.stat_cache import Look

    Print = NDArray[np.uint8]

ROWS, COLUMNS = 8, 12
BEFORE, AFTER = 3, 2
VERSION = "cuts1"

# Differences are between 0 and 1. Chosen on made clips and 4 real ones (docs/caching.md).
LEAST = 0.07
TIMES = 2.5


def frame_print(seen: Float) -> Print:
    """Return the print of a network copy (H, W, 3) float32 0..1: (352,) uint8."""
    import cv2

    small = cv2.resize(seen, (COLUMNS * 4, ROWS * 4), interpolation=cv2.INTER_AREA)
    codes = np.clip(np.rint(small * 255), 0, 255).astype(np.uint8)
    cells = codes.reshape(ROWS, 4, COLUMNS, 4, 3).mean(axis=(1, 3))
    wide = (codes >> 6).astype(np.int64)
    colours = np.bincount(
        (wide[..., 0] * 16 + wide[..., 1] * 4 + wide[..., 2]).ravel(), minlength=64
    )
    shares = np.rint(colours * (255 / codes[..., 0].size)).astype(np.uint8)
    return np.concatenate([np.rint(cells).astype(np.uint8).ravel(), shares])


def difference(one: Print, two: Print) -> float:
    """Return how unlike two frames are, 0 to 1: the smaller one of layout and colours."""
    cells = ROWS * COLUMNS * 3
    a, b = one.astype(np.float64), two.astype(np.float64)
    # Brightness may jump without a cut (a lamp, an iris): a stop and a half of it is forgiven.
    gain = np.clip((a[:cells].mean() + 4) / (b[:cells].mean() + 4), 0.5, 2.0)
    layout = np.abs(a[:cells] - gain * b[:cells]).mean() / (127 * (1 + max(gain, 1.0)))
    colours = np.abs(a[cells:] - b[cells:]).sum() / 510
    return float(min(1.0, 3 * layout, colours))


def is_cut(prints: list[Print | None]) -> bool:
    """Whether the frame in the middle starts a new take.

    prints: of the frames BEFORE before to AFTER after it; None where the clip has no frame.
    """
    here = prints[BEFORE]
    before = prints[BEFORE - 1]
    if here is None or before is None:
        return False
    jump = difference(before, here)
    if jump < LEAST:
        return False
    pairs = [
        (BEFORE - 3, BEFORE - 2),
        (BEFORE - 2, BEFORE - 1),
        (BEFORE, BEFORE + 1),
        (BEFORE + 1, BEFORE + 2),
    ]
    around = [_between(prints[a], prints[b]) for a, b in pairs]
    if jump < TIMES * sorted(around)[-2]:  # one of them may be another cut close by
        return False
    # A flash: the picture of before comes back, or was there just before it.
    returns = [_between(before, later) for later in prints[BEFORE + 1 :] if later is not None]
    returns += [_between(earlier, here) for earlier in prints[: BEFORE - 1] if earlier is not None]
    return all(value > jump / 3 for value in returns)


class CutDetector:
    """Finds the cuts of one clip (a `segments.CutFinder`).

    seen: the network copy of a frame by its place. identity: of that copy, without white space.
    memo: prints that were made before, so that the clip is not read again.
    """

    def __init__(
        self,
        count: int,
        seen: Callable[[int], Float],
        identity: Callable[[int, Look], str],
        memo: Memo | None,
    ) -> None:
        self._count, self._seen, self._identity, self._memo = count, seen, identity, memo
        self._prints: dict[str, Print] = {}
        self._decided: dict[tuple[str, ...], bool] = {}

    def is_cut(self, place: int, look: Look) -> bool:
        """Whether a new take begins at this place."""
        around = range(place - BEFORE, place + AFTER + 1)
        names = tuple(
            self._identity(other, look) if 0 <= other < self._count else "" for other in around
        )
        if names not in self._decided:
            prints = [
                self._print(other, name) if name else None
                for other, name in zip(around, names, strict=True)
            ]
            self._decided[names] = is_cut(prints)
        return self._decided[names]

    def _print(self, place: int, name: str) -> Print:
        found = self._prints.get(name)
        if found is None and self._memo is not None:
            text = self._memo.get(f"{VERSION}:{name}")
            if text is not None and len(text) == 2 * (ROWS * COLUMNS * 3 + 64):
                found = np.frombuffer(bytes.fromhex(text), np.uint8)
        if found is None:
            found = frame_print(self._seen(place))
            if self._memo is not None:
                self._memo.put(f"{VERSION}:{name}", found.tobytes().hex())
        self._prints[name] = found
        return found


class LiveCuts:
    """Finds cuts in a live picture at once, from the frames so far. Later frames do not exist yet.

    A flash counts as a cut. A restart there does less harm than the flash in the model's memory.
    """

    def __init__(self) -> None:
        self._before: Print | None = None
        self._jumps: deque[float] = deque(maxlen=BEFORE)

    def is_cut(self, seen: Float) -> bool:
        """Whether the newest frame, (H, W, 3) as the network sees it, starts a new take."""
        here, before = frame_print(seen), self._before
        self._before = here
        if before is None:
            return False
        jump = difference(before, here)
        cut = jump >= LEAST and jump >= TIMES * max(self._jumps, default=0.0)
        if cut:
            self._jumps.clear()
        else:
            self._jumps.append(jump)
        return cut

    def forget(self) -> None:
        """Forget all frames: the next frame is the first."""
        self._before = None
        self._jumps.clear()


def _between(one: Print | None, two: Print | None) -> float:
    return 0.0 if one is None or two is None else difference(one, two)
