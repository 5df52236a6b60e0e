# SPDX-License-Identifier: Apache-2.0
"""Measures how many frames of warm-up a recurrent model needs after a cold start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matte_nodes.shot.matte_node import MatteNode

LENGTHS = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48)
VISIBLE = 1 / 255
"""One code of an 8-bit alpha: a smaller difference is not seen at a seam."""


@dataclass(frozen=True)
class WarmUpRow:
    """One length of warm-up: largest and 99.9th percentile difference of alpha, over the starts."""

    length: int
    largest: float
    percentile: float


def measure(
    node: MatteNode,
    plate: Any,
    starts: Sequence[int],
    lengths: Sequence[int] = LENGTHS,
    *,
    cuts: str = "",
) -> Iterator[WarmUpRow]:
    """Return rows for each length: the first frame of a chunk, started `length` frames early.

    node: of a recurrent model. plate: a clip. starts: first frames of chunks; the worst one counts.
    cuts: as `MatteNode.connect` takes them. Without cuts, the full run carries memory across them,
    and the comparison means nothing.
    """
    whole = node.connect(plate, cuts=cuts)
    expected = {start: whole.at(start).alpha for start in sorted(starts)}
    for length in lengths:
        worst = percentile = 0.0
        for start in starts:
            cold = node.connect(plate, warm_up=length, start=start, cuts=cuts)
            difference = np.abs(cold.at(start).alpha - expected[start])
            worst = max(worst, float(difference.max()))
            percentile = max(percentile, float(np.quantile(difference, 0.999)))
            cold.close()
        yield WarmUpRow(length, worst, percentile)
    whole.close()


def enough(rows: Sequence[WarmUpRow], tolerance: float = VISIBLE) -> int | None:
    """Return the shortest length after which 99.9 % of the pixels stay within the tolerance."""
    for index, row in enumerate(rows):
        if all(later.percentile <= tolerance for later in rows[index:]):
            return row.length
    return None
