# SPDX-License-Identifier: Apache-2.0
"""A trimap's band is wider where the edge moves across itself, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.node.moving_band import MOST, moving_band
from matte_nodes.shot import chain
from tests.select.scenes import RED, Thing, clip


def box(left: int, right: int) -> Any:
    alpha = np.zeros((60, 120), np.float32)
    alpha[20:40, left:right] = 1
    return alpha


def unknown(trimap: Any, row: int) -> int:
    return int((trimap[row] == 0.5).sum())


def test_a_resting_edge_has_the_plain_band() -> None:
    assert moving_band(box(30, 60), [box(30, 60), box(30, 60)], 4) == 4
    assert moving_band(box(30, 60), [], 4) == 4


def test_the_edge_that_moves_is_wider_and_the_others_are_not() -> None:
    now, before = box(30, 90), box(22, 90)  # the left edge moved by 8, the right one rests
    trimap = trimap_from_matte(now, moving_band(now, [before], 4.0))
    plain = trimap_from_matte(now, 4.0)
    assert (trimap[30, 20:40] == 0.5).sum() == 16  # 4 + 8 / 2 to each side
    assert (plain[30, 20:40] == 0.5).sum() == 8
    assert np.array_equal(trimap[30, 60:], plain[30, 60:])


def test_the_band_has_a_limit() -> None:
    now = box(10, 40)
    assert np.max(moving_band(now, [box(70, 110)], 4.0)) == MOST * 4


@pytest.mark.parametrize("other", [np.zeros((60, 120), np.float32), np.ones((60, 120), np.float32)])
def test_a_frame_without_an_edge_says_nothing(other: Any) -> None:
    assert moving_band(box(30, 60), [other], 4) == 4


def test_the_chain_of_a_selector_has_it_and_a_given_width_is_kept() -> None:
    thing = Thing(5, RED, (40, 55), (9, 0))
    frames, _ = clip([thing], 3)
    asked: dict[str, Any] = {"knobs": {}, "node": {"device": "cpu"},
                             "connect": {"points": {1: [thing.at(0)]}}}  # fmt: skip
    own = chain.build(frames, "click", refine="trimap-cues", **asked)
    fixed = chain.build(frames, "click", refine="trimap-cues", refine_width=4.0, **asked)
    bands = [c.shot.hints["trimap"].clip for c in (own, fixed)]
    wide, plain = (int((band.read(2).pixels == 0.5).sum()) for band in bands)
    assert wide > 1.15 * plain
    still = MatteNode("click", device="cpu").connect(frames, points={1: [thing.at(0)]})
    assert np.array_equal(bands[1].read(2).pixels, still.trimap(4.0).read(2).pixels)
    assert bands[0].stamp(1) != bands[1].stamp(1)
