# SPDX-License-Identifier: Apache-2.0
"""What counts as a seam."""

from __future__ import annotations

import numpy as np

from matte_nodes.farm.seams import LIMIT, measured

CODE = np.float32(1 / 255)


def flat() -> np.ndarray:
    return np.full((64, 96), 0.5, np.float32)


def test_equal_mattes_have_none() -> None:
    seam = measured(5, 4, flat(), flat())
    assert (seam.square, seam.largest, seam.band) == (0, 0, 0)
    assert not seam.is_seen()


def test_one_code_everywhere_is_what_rounding_makes() -> None:
    assert not measured(5, 4, flat() + CODE, flat()).is_seen()


def test_a_lone_pixel_is_not_seen() -> None:
    shown = flat()
    shown[30, 40] += 100 * CODE
    seam = measured(5, 4, shown, flat())
    assert not seam.is_seen()
    assert round(seam.largest) == 100


def test_a_small_area_is_seen_and_named() -> None:
    shown = flat()
    shown[16:24, 40:48] += 2.5 * CODE
    seam = measured(5, 4, shown, flat())
    assert seam.is_seen()
    assert abs(seam.square - 2.5) < 0.01
    assert seam.place == (44, 20)
    assert "frame 5, begun anew after frame 4" in seam.sentence


def test_the_limit_is_the_users() -> None:
    shown = flat() + 3 * CODE
    assert measured(5, 4, shown, flat()).is_seen(LIMIT)
    assert not measured(5, 4, shown, flat()).is_seen(4.0)


def test_a_corner_counts_no_more_than_the_middle() -> None:
    corner, middle = flat(), flat()
    corner[:4, :4] += 4 * CODE
    middle[20:24, 20:24] += 4 * CODE
    one, two = measured(5, 4, corner, flat()), measured(5, 4, middle, flat())
    assert abs(one.square - two.square) < 1e-3
