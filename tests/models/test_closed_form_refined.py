# SPDX-License-Identifier: Apache-2.0
"""Closed form, refined: where its network is asked, and where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.color import PlateColor
from matte_nodes.models.closed_form_refined import REACH, clipped


def test_white_of_an_8_bit_picture_is_not_clipped_light() -> None:
    white = PlateColor("srgb_tx").to_working(np.ones((8, 8, 3), np.float32))
    assert white.max() > 1  # by a rounding of OCIO's
    assert clipped(white) is None


def test_a_light_above_white_is_clipped_and_so_is_what_is_near() -> None:
    scene = np.full((1, 4 * REACH, 3), 0.5, np.float32)
    scene[0, 0] = 6.0
    found = clipped(scene)
    assert found is not None
    assert found[0, : REACH + 1] == pytest.approx(1)
    assert found[0, 2 * REACH + 1 :] == pytest.approx(0)


def test_a_white_wall_does_not_keep_the_network_from_its_work() -> None:
    rng = np.random.default_rng(3)
    plate = rng.integers(0, 256, (48, 48, 3)).astype(np.uint8)
    plate[:6] = 255
    trimap = np.zeros((48, 48), np.uint8)
    trimap[14:30], trimap[30:] = 128, 255
    refined, plain = (
        MatteNode(name, device="cpu", threads=1)(plate, trimap=trimap).alpha
        for name in ("closed-form-refined", "closed-form")
    )
    assert (refined != plain)[14:30].mean() > 0.5
