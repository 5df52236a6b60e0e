# SPDX-License-Identifier: Apache-2.0
"""Which thing one click means, with made networks that see two things as one in a large picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.points import Marks
from matte_nodes.select import proposals
from matte_nodes.select.proposals import meant, parts
from matte_nodes.select.segment import select
from tests.select.scenes import iou

HEIGHT, WIDTH = 160, 240
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
ONE = (np.abs(ROWS - 85) < 50) & (np.abs(COLUMNS - 90) < 28)
TWO = (np.abs(ROWS - 85) < 50) & (np.abs(COLUMNS - 145) < 28)
CLICK = (90.5, 85.5)


def plate() -> Any:
    """Two things of much the same colours that touch, before a ground of another colour."""
    picture = np.full((HEIGHT, WIDTH, 3), (0.2, 0.4, 0.6), np.float32)
    picture[ONE], picture[TWO] = (0.7, 0.35, 0.2), (0.7, 0.37, 0.2)
    grain = np.random.default_rng(3).normal(0, 0.005, picture.shape)
    return (picture + grain).clip(0, 1).astype(np.float32)


def all_things(picture: Any) -> Any:
    """Everything that is not ground."""
    return (cv2.GaussianBlur(picture, (0, 0), 1)[..., 0] > 0.45).astype(np.float32)


def sees_what_is_in_the_middle(picture: Any) -> Any:
    """In a part of the picture only the thing in its middle stands out."""
    found = all_things(picture)
    if picture.shape[1] == WIDTH:
        return found
    green = cv2.GaussianBlur(picture, (0, 0), 2)[..., 1]
    middle = green[picture.shape[0] // 2, picture.shape[1] // 2]
    return found * (np.abs(green - middle) < 0.01)


def test_parts_are_the_whole_picture_and_smaller_ones_with_the_click() -> None:
    found = parts((HEIGHT, WIDTH), (230.0, 10.0))
    assert found[0] == (0, 0, WIDTH, HEIGHT)
    assert len(found) == len(set(found)) > 4
    for x0, y0, x1, y1 in found:
        assert 0 <= x0 <= 230 < x1 <= WIDTH
        assert 0 <= y0 <= 10 < y1 <= HEIGHT


def test_a_click_on_one_of_two_things_that_touch_means_that_one() -> None:
    found = meant(plate(), CLICK, sees_what_is_in_the_middle)
    assert found is not None
    assert iou(found > 0.5, ONE) > 0.9


def test_the_selector_takes_the_thing_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks((CLICK,))
    found = select(plate(), marks, sees_what_is_in_the_middle) > 0.5
    assert iou(found, ONE) > 0.9
    monkeypatch.setattr(proposals, "SIZES", ())
    assert iou(select(plate(), marks, sees_what_is_in_the_middle) > 0.5, ONE) < 0.7


def test_what_a_part_cuts_off_loses_against_what_is_whole() -> None:
    """Parts agree with the whole picture about a thing that is larger than all of them."""
    found = meant(plate(), (118.0, 85.0), all_things)
    assert found is not None
    assert iou(found > 0.5, ONE | TWO) > 0.95


def test_nothing_is_meant_where_nothing_stands_out() -> None:
    assert meant(plate(), (10.0, 10.0), all_things) is None


def test_one_answer_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "SIZES", ())
    found = meant(plate(), CLICK, all_things)
    assert found is not None
    assert iou(found > 0.5, ONE | TWO) > 0.95


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3)])
def test_small_pictures_have_parts(size: tuple[int, int]) -> None:
    for x0, y0, x1, y1 in parts(size, (size[1] - 1.0, size[0] - 1.0)):
        assert x0 < x1
        assert y0 < y1
