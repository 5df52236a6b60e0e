# SPDX-License-Identifier: Apache-2.0
"""Remarks about automatic mattes that cover almost nothing, almost everything, or nothing surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.frame_range import spelled

if TYPE_CHECKING:
    from matte_nodes.card import Float

NOTHING, EVERYTHING = 0.001, 0.999
"""Mean alpha of a frame below and above which nothing was found, or nothing was left out."""

THERE, SURE = 0.05, 0.9
"""Alpha from which a pixel is in the matte at all, and from which it is the subject's for sure."""

UNSURE = 0.6
"""Share of a matte's pixels that are not sure, above which no subject was found.

By `u2netp`, 20 of 21 pictures with a subject are at 0.05 to 0.45, foliage is at 1, and 7 of 12
wallpapers, most of them landscapes, are at 0.8 to 1.
"""


class Coverage:
    """Counts the frames whose alpha is almost 0 or almost 1 everywhere, or soft nearly all over."""

    def __init__(self) -> None:
        self._count = 0
        self._empty: list[int] = []
        self._full: list[int] = []
        self._unsure: list[int] = []

    def add(self, frame: int, alpha: Float) -> None:
        """Look at the alpha (H, W), 0..1, of a frame. Threads may call it at the same time."""
        mean = float(alpha.mean())
        self._count += 1
        if mean < NOTHING:
            self._empty.append(frame)
        elif mean > EVERYTHING:
            self._full.append(frame)
        elif np.count_nonzero(alpha >= SURE) < (1 - UNSURE) * np.count_nonzero(alpha >= THERE):
            self._unsure.append(frame)

    def remarks(self, model: str) -> list[str]:
        """A sentence for each kind of such frames, for the user."""
        kinds = (
            (self._empty, "covers almost nothing: it found no subject"),
            (self._full, "covers almost everything: it found no background"),
            (self._unsure, "is soft nearly all over: it is unsure what the subject is"),
        )
        advice = "Name another model (--model), or give a hint (--segmentation, --click, --trimap)."
        return [
            f"In {_which(frames, self._count)} the alpha of {model} {what}. {advice}"
            for frames, what in kinds
            if frames
        ]


def _which(frames: list[int], count: int) -> str:
    if len(frames) == count:
        return "this picture" if count == 1 else f"all {count} frames"
    return f"{len(frames)} of {count} frames ({spelled(sorted(frames))})"
