# SPDX-License-Identifier: Apache-2.0
"""The measurement of warm-up lengths, on a model whose memory is known."""

from __future__ import annotations

import numpy as np

from matte_nodes import MatteNode
from matte_nodes.diagnostics.warm_up import VISIBLE, WarmUpRow, enough, measure
from tests.made import scenes


def test_a_known_memory_is_measured() -> None:
    plates = [made.plate for made in scenes(30, 24, 32)]
    rows = list(measure(MatteNode("toy", hold=0.5), plates, [15, 25], lengths=(0, 2, 4, 8, 24)))
    assert [row.length for row in rows] == [0, 2, 4, 8, 24]
    assert rows[0].largest > 0.05
    # The toy keeps half of the past: each frame of warm-up halves what a cold start forgot.
    assert rows[3].largest < rows[0].largest / 2**7
    assert rows[4].largest == 0.0 or rows[4].largest < 1e-3
    assert enough(rows) in (4, 8)


def test_enough_means_from_there_on() -> None:
    rows = [
        WarmUpRow(0, 1, 1),
        WarmUpRow(4, 0, VISIBLE / 2),
        WarmUpRow(8, 0, VISIBLE * 2),
        WarmUpRow(16, 0, 0),
    ]
    assert enough(rows) == 16
    assert enough(rows[:3]) is None
    assert np.isclose(VISIBLE, 1 / 255)
