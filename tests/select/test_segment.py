# SPDX-License-Identifier: Apache-2.0
"""One frame's clicks and box to a mask, on made pictures; the pieces it is made of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.points import Marks
from matte_nodes.select import segment
from matte_nodes.select.cut import LIMIT, cut, geodesic
from matte_nodes.select.edge import bounded, full_size
from matte_nodes.select.segment import select, sure_pixels
from matte_nodes.select.shares import shares
from tests.select.scenes import BLUE, RED, Thing, frame, iou


def made(*things: Thing) -> tuple[Any, list[Any]]:
    picture, masks = frame(list(things), 0.0)
    return picture.astype(np.float32) / 255, masks


ONE = Thing(5, RED, (70, 55), (0, 0))
TWO = Thing(6, BLUE, (112, 50), (0, 0))


def test_a_cut_follows_clear_odds_and_sure_pixels() -> None:
    lab = np.zeros((20, 30, 3), np.float32)
    odds = np.full((20, 30), -LIMIT, np.float32)
    odds[5:15, 5:20] = LIMIT
    sure = np.zeros((20, 30), np.int8)
    assert np.array_equal(cut(lab, odds, sure), odds > 0)
    sure[7:9, 7:9], sure[:, 25:] = -1, 1
    found = cut(lab, odds, sure)
    assert not found[7:9, 7:9].any()
    assert found[:, 25:].all()


def test_a_cut_prefers_an_edge_where_odds_say_nothing() -> None:
    lab = np.zeros((24, 24, 3), np.float32)
    lab[:, 11:, 0] = 60
    sure = np.zeros((24, 24), np.int8)
    sure[:, 0], sure[:, -1] = 1, -1
    found = cut(lab, np.zeros((24, 24), np.float32), sure)
    assert found[:, :11].all()
    assert not found[:, 11:].any()


def test_geodesic_distance_goes_round_a_wall() -> None:
    down, right = np.ones((8, 9), np.float32), np.ones((9, 8), np.float32)
    right[:7, 3:5] = 100
    down[:, 4] = 100
    seeds = np.full((9, 9), 1e6, np.float32)
    seeds[0, 0] = 0
    found = geodesic(down, right, seeds, rounds=8)
    assert found[0, 3] == 3
    assert found[8, 8] == 16
    assert found[0, 8] == 7 + 8 + 7  # down past the wall, across, and up again


def test_one_click_selects_a_thing() -> None:
    plate, (mask,) = made(ONE)
    assert iou(select(plate, Marks(((70, 55),))) > 0.5, mask) > 0.9


def test_a_box_selects_a_thing() -> None:
    plate, (mask,) = made(ONE)
    assert iou(select(plate, Marks(box=(46, 38, 94, 72))) > 0.5, mask) > 0.9


def test_a_click_beside_takes_the_other_thing_away() -> None:
    plate, (one, two) = made(ONE, TWO)
    found = select(plate, Marks(((70, 55),), ((112, 50),))) > 0.5
    assert iou(found, one) > 0.85
    assert (found & two).sum() < 0.05 * two.sum()


def test_a_second_click_adds_the_other_thing() -> None:
    plate, (one, two) = made(ONE, TWO)
    found = select(plate, Marks(((70, 55), (112, 50)))) > 0.5
    assert iou(found, one | two) > 0.85


def test_clicked_pixels_are_what_was_clicked() -> None:
    plate, _ = made(ONE, TWO)
    found = select(plate, Marks(((70, 55), (3, 3)), ((112, 50), (75, 55))))
    assert found[55, 70] == found[3, 3] == 1
    assert found[50, 112] == found[55, 75] == 0


def test_a_map_of_what_stands_out_is_believed_only_where_it_has_the_click() -> None:
    plate, (one, two) = made(ONE, TWO)

    def other(picture: Any) -> Any:
        return cv2.resize(two.astype(np.float32), picture.shape[1::-1])

    found = select(plate, Marks(((70, 55),)), other) > 0.5
    assert iou(found, one) > 0.8


def test_the_same_clicks_give_the_same_pixels() -> None:
    plate, _ = made(ONE, TWO)
    marks = Marks(((70, 55),), ((112, 50),))
    cv2.setRNGSeed(1)
    first = select(plate, marks)
    cv2.setRNGSeed(99)
    assert np.array_equal(first, select(plate, marks))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (5, 3), (17, 15)])
def test_any_size_has_an_answer(size: tuple[int, int]) -> None:
    plate = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    found = select(plate, Marks(((size[1] / 2, size[0] / 2),)))
    assert found.shape == size
    assert found[size[0] // 2, size[1] // 2] == 1
    assert full_size(found, plate, plate).shape == size


def test_the_edge_at_full_size_follows_the_plate() -> None:
    rows, columns = np.mgrid[0:400, 0:600]
    disc = np.hypot(rows - 200, columns - 300) < 120.5
    plate = np.where(disc[..., None], [0.8, 0.3, 0.2], [0.1, 0.4, 0.3]).astype(np.float32)
    small = bounded(plate, 100)
    mask = (small[..., 0] > 0.45).astype(np.float32)
    found = full_size(mask, small, plate)
    plain = cv2.resize(mask, (600, 400), interpolation=cv2.INTER_LINEAR)
    assert iou(found > 0.5, disc) > 0.99
    assert iou(found > 0.5, disc) > iou(plain > 0.5, disc)
    assert (found[disc & (np.hypot(rows - 200, columns - 300) < 100)] == 1).all()


def test_shares_sum_to_the_alpha_and_follow_the_masks() -> None:
    one, two = np.zeros((30, 40), np.float32), np.zeros((30, 40), np.float32)
    one[5:25, 5:20], two[5:25, 20:35] = 1, 1
    alpha = cv2.GaussianBlur(one + two, (0, 0), 2)
    found = shares(alpha, {"b": two, "a": one})
    assert list(found) == ["b", "a"]
    # Parts are half floats, and so is what they sum to.
    assert np.array_equal(found["a"] + found["b"], alpha.astype(np.float16).astype(np.float32))
    assert found["a"][15, 10] > 0.99
    assert found["b"][15, 30] > 0.99 * alpha[15, 30]
    assert 0.2 < found["a"][15, 20] < 0.8


def test_a_click_beside_the_subject_outweighs_a_wrong_map() -> None:
    """The map has the neighbour's colour among the subject's: one click there takes most of it back."""
    lab = np.zeros((120, 160, 3), np.float32)
    lab[..., 0] = 50
    lab[20:100, 20:75] = (60, 50, 30)  # the subject
    lab[20:100, 75:140] = (45, -40, 30)  # its neighbour
    wrong = np.zeros((120, 160), np.float32)
    wrong[20:100, 20:140] = 1
    sure = sure_pixels((120, 160), Marks(((50, 60),), ((110, 60),)))
    odds = segment._colours(lab, wrong, sure, sure < 0)
    assert odds[60, 130] < 1  # 4 without the weight of such a click
    assert odds[60, 30] > 0.5
    assert odds[5, 5] < -0.5
