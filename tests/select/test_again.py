# SPDX-License-Identifier: Apache-2.0
"""What goes behind something is found again on the other side; others' parts are dropped."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from matte_nodes.points import Marks
from matte_nodes.select import track
from matte_nodes.select.again import again
from tests.select.scenes import iou, texture

COUNT = 12
SIZE = (180, 300)
RADII = (52, 40)
WALL = slice(150, 190)
RED = ((0.6, 0.1, 0.1), (1.0, 0.6, 0.2))
GROUND = texture(1, ((0.15, 0.30, 0.15), (0.35, 0.5, 0.3)), SIZE, 3)
STONE = texture(9, ((0.3, 0.3, 0.35), (0.5, 0.5, 0.55)), SIZE, 3)
SKIN = texture(5, RED, SIZE, 1.6)


def whole_at(time: int) -> Any:
    """(H, W) bool: all of the thing, as if there were no wall."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    x = 70 + 15 * time
    return ((columns - x) / RADII[0]) ** 2 + ((rows - 90) / RADII[1]) ** 2 < 1


def walled() -> tuple[list[Any], list[Any]]:
    """Frames (float32) of a thing that passes behind a wall, and its visible masks."""
    found, seen = [], []
    for time in range(COUNT):
        whole = whole_at(time)
        plate = GROUND.copy()
        plate[whole] = np.roll(SKIN, 15 * time, axis=1)[whole]
        plate[:, WALL] = STONE[:, WALL]
        whole[:, WALL] = False
        found.append(np.round(cv2.GaussianBlur(plate, (0, 0), 0.6) * 255) / np.float32(255))
        seen.append(whole)
    return found, seen


def test_all_of_an_object_is_known_where_a_part_is_seen() -> None:
    frames, masks = walled()
    key = frames[0], masks[0].astype(np.float32)
    time = 7  # the wall stands before it
    there = again(frames[time], key)
    assert there is not None
    assert iou(there.whole, whole_at(time)) > 0.9
    assert iou(there.seen, masks[time]) > 0.7
    assert not there.seen[:, WALL][:, 3:-3].any()


def test_a_picture_without_the_object_says_nothing() -> None:
    frames, masks = walled()
    empty = STONE
    assert again(empty, (frames[0], masks[0].astype(np.float32))) is None
    assert again(np.zeros_like(empty), (frames[0], masks[0].astype(np.float32))) is None


def test_a_turned_and_smaller_object_is_found() -> None:
    frames, masks = walled()
    move = cv2.getRotationMatrix2D((100, 90), 25, 0.8)
    size = frames[0].shape[1], frames[0].shape[0]
    turned = cv2.warpAffine(frames[0], move, size, borderMode=cv2.BORDER_REFLECT)
    wanted = cv2.warpAffine(masks[0].astype(np.uint8), move, size) > 0
    there = again(turned, (frames[0], masks[0].astype(np.float32)))
    assert there is not None
    assert iou(there.whole, wanted) > 0.85


def test_what_passes_behind_a_wall_is_followed_to_the_other_side() -> None:
    frames, masks = walled()
    memory: Any = {}
    scores = []
    for time, plate in enumerate(frames):
        marks = {"object": Marks(box=(16, 48, 124, 132))} if time == 0 else {}
        memory = track.followed(plate, ["object"], marks, memory, None)
        scores.append(iou(memory["object/mask"] > 127, masks[time]))
    assert min(scores) > 0.6, scores
    assert scores[-1] > 0.85
