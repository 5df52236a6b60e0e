# SPDX-License-Identifier: Apache-2.0
"""Faint, small parts of a live matte that touch nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes.hosts.obs.specks import without_specks


def person(*parts: tuple[int, int, int, float]) -> Any:
    """(144, 256) alpha: a person of 5000 pixels with a soft edge, and squares: row, column, side, alpha."""
    alpha = np.zeros((144, 256), np.float32)
    alpha[43:144, 99:151] = 0.4
    alpha[44:, 100:150] = 1
    for row, column, side, value in parts:
        alpha[row : row + side, column : column + side] = value
    return alpha


def test_a_faint_small_part_is_removed_and_nothing_else_changes() -> None:
    found = without_specks(person((10, 10, 5, 0.6), (20, 200, 1, 0.75)))
    np.testing.assert_array_equal(found, person())


@pytest.mark.parametrize(
    ("row", "column", "side", "alpha"),
    [
        (10, 10, 2, 1.0),  # a small solid one: a finger, somebody far away
        (10, 10, 20, 0.6),  # a large faint one: a hand that moves
        (60, 151, 5, 0.6),  # one that touches the person
    ],
)
def test_what_is_solid_large_or_touches_the_person_stays(
    row: int, column: int, side: int, alpha: float
) -> None:
    given = person((row, column, side, alpha))
    assert without_specks(given) is given


def test_a_part_fades_as_it_becomes_firm_or_large() -> None:
    by_peak = [without_specks(person((10, 10, 5, a)))[12, 12] for a in (0.79, 0.85, 0.9, 0.95)]
    assert by_peak[0] == 0
    assert by_peak[-1] == np.float32(0.95)
    assert 0 < by_peak[1] < by_peak[2] < by_peak[3]
    by_size = [without_specks(person((10, 10, side, 0.5)))[11, 11] for side in (7, 9, 11, 13)]
    assert by_size[0] == 0
    assert by_size[-1] == 0.5
    assert 0 < by_size[1] < by_size[2] < by_size[3]


def test_nobody_and_a_ghost_alone_stay_as_they_are() -> None:
    for alpha in (np.zeros((9, 9), np.float32), np.full((9, 9), 0.3, np.float32)):
        assert without_specks(alpha) is alpha
