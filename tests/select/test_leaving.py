# SPDX-License-Identifier: Apache-2.0
"""What an object leaves behind, and where it is found again: also cut by the border."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.select import lost
from matte_nodes.select.flow import Flow, left_behind

SIZE = 60, 100


def moved(by: int, **more: Any) -> tuple[Any, Flow]:
    """A square of 20 pixels that goes `by` pixels to the right, and the flow that follows it."""
    mask = np.zeros(SIZE, np.float32)
    mask[20:40, 30:50] = 1
    forth = np.zeros((*SIZE, 2), np.float32)
    forth[mask > 0, 0] = by
    back = np.zeros((*SIZE, 2), np.float32)
    came_out = np.zeros(SIZE, bool)
    came_out[20:40, 30 : min(50, 30 + by)] = True
    found = {"back": back, "is_back": ~came_out, "forth": forth, "is_forth": mask > 0} | more
    return mask, Flow(**found)


def test_the_background_behind_a_thing_that_has_moved_is_not_its_mask() -> None:
    mask, flow = moved(30)
    gone = left_behind(mask, flow)
    assert gone[25:35, 35:45].all()
    assert not gone[20:40, 60:80].any()


def test_what_the_flow_is_sure_of_stays() -> None:
    mask, flow = moved(30, is_back=np.ones(SIZE, bool))
    assert not left_behind(mask, flow).any()


def test_pixels_without_a_flow_go_as_the_others_do() -> None:
    known = np.zeros(SIZE, bool)
    known[20:40, 30:40] = True  # half of it
    mask, flow = moved(30, is_forth=known)
    gone = left_behind(mask, flow)
    assert gone[25:35, 32:45].all()
    assert not gone[20:40, 60:80].any()


def test_a_rest_at_the_border_that_nothing_is_known_of_has_gone() -> None:
    mask, flow = moved(0, is_forth=np.zeros(SIZE, bool), is_back=np.zeros(SIZE, bool))
    assert not left_behind(mask, flow).any(), "in the middle of the picture it may be hidden"
    at_border = np.roll(mask, 50, axis=1)
    assert left_behind(at_border, flow)[at_border > 0].all()


def test_an_empty_mask_leaves_nothing_behind() -> None:
    mask, flow = moved(5)
    assert not left_behind(mask * 0, flow)[25:35, 35:45].any()


@pytest.fixture(scope="module")
def thing() -> Any:
    draw = np.random.default_rng(4)
    small = draw.random((12, 10, 3)).astype(np.float32)
    return cv2.resize(small, (40, 48), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def shown(thing: Any, x: int, y: int) -> Any:
    """A picture of the thing with its corner at x, y; parts may lie outside."""
    room = np.full((SIZE[0] + 200, SIZE[1] + 200, 3), 0.5, np.float32)
    room += np.random.default_rng(9).normal(0, 0.02, room.shape).astype(np.float32)
    room[100 + y : 148 + y, 100 + x : 140 + x] = thing
    return np.ascontiguousarray(room[100:-100, 100:-100])


@pytest.mark.parametrize("place", [(30, 6), (-30, 6), (85, 3), (30, -30)])
def test_a_thing_is_found_also_where_the_border_cuts_it(thing: Any, place: Any) -> None:
    mask = np.ones(thing.shape[:2], np.float32)
    assert lost.place(shown(thing, *place), thing, mask) == place


def test_a_thing_that_is_not_there_is_not_found(thing: Any) -> None:
    mask = np.ones(thing.shape[:2], np.float32)
    assert lost.place(shown(thing, 150, 6), thing, mask) is None


def test_a_flat_part_of_a_thing_is_not_found_at_the_border(thing: Any) -> None:
    """Its left edge has the colour of the room: it would be found at every border."""
    flat = thing.copy()
    flat[:, :20] = 0.5
    mask = np.ones(flat.shape[:2], np.float32)
    assert lost.place(shown(flat, 150, 6), flat, mask) is None
