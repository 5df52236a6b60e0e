# SPDX-License-Identifier: Apache-2.0
"""Remarks about automatic mattes that cover almost nothing, or almost everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matte_nodes.frame_range import spelled

if TYPE_CHECKING:
    from matte_nodes.card import Float

NOTHING, EVERYTHING = 0.001, 0.999
"""Mean alpha of a frame below and above which nothing was found, or nothing was left out."""


class Coverage:
    """Counts the frames whose alpha is almost 0 or almost 1 everywhere."""

    def __init__(self) -> None:
        self._count = 0
        self._empty: list[int] = []
        self._full: list[int] = []

    def add(self, frame: int, alpha: Float) -> None:
        """Look at the alpha (H, W), 0..1, of a frame. Threads may call it at the same time."""
        mean = float(alpha.mean())
        self._count += 1
        if mean < NOTHING:
            self._empty.append(frame)
        elif mean > EVERYTHING:
            self._full.append(frame)

    def remarks(self, model: str) -> list[str]:
        """A sentence for each kind of such frames, for the user."""
        kinds = (
            (self._empty, "almost nothing: it found no subject"),
            (self._full, "almost everything: it found no background"),
        )
        advice = "Name another model (--model), or give a hint (--segmentation, --click, --trimap)."
        return [
            f"In {_which(frames, self._count)} the alpha of {model} covers {what}. {advice}"
            for frames, what in kinds
            if frames
        ]


def _which(frames: list[int], count: int) -> str:
    if len(frames) == count:
        return "this picture" if count == 1 else f"all {count} frames"
    return f"{len(frames)} of {count} frames ({spelled(sorted(frames))})"
