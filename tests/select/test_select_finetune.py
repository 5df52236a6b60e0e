# SPDX-License-Identifier: Apache-2.0
"""The selected mattes of accepted frames are key mattes for a fine-tuning."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import InputError
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.train.keys import read_keys
from tests.select.scenes import BLUE, RED, Thing, clip

MOVING = Thing(5, RED, (40, 55), (6, 1))
STANDING = Thing(6, BLUE, (120, 40), (0, 0), (14, 12))
POINTS = {"front": {1: [MOVING.at(0)]}, "back": {1: [STANDING.at(0)]}}


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plate")
    for number, picture in enumerate(clip([STANDING, MOVING], 3)[0], 1):
        assert cv2.imwrite(str(folder / f"p.{number:04d}.png"), picture[..., ::-1])
    return str(folder / "p.####.png")


def test_accepted_frames_of_one_object_are_keys(plate: str, tmp_path: Any) -> None:
    written = str(tmp_path / "m.####.exr")
    Render(plate, written, "click", knobs={}, node={"device": "cpu"},
           connect={"points": POINTS}).run(None, None, Quiet())  # fmt: skip
    select = MatteNode("click", device="cpu").connect(plate, points=POINTS)
    shot = MatteNode("green-screen", device="cpu").connect(plate)
    keys = read_keys(shot, written, [1, 3], "alpha.front")
    assert [key.frame for key in keys] == [1, 3]
    for key in keys:
        wanted = select.at(key.frame).extras["alpha.front"]
        assert np.abs(key.alpha - wanted).max() < 1e-3
    union = read_keys(shot, written, [3])[0]
    assert np.abs(union.alpha - select.at(3).alpha).max() < 1e-3
    with pytest.raises(InputError, match=r"alpha\.side"):
        read_keys(shot, written, [1], "alpha.side")


def test_a_selected_shot_is_keys_without_files(plate: str) -> None:
    select = MatteNode("click", device="cpu").connect(plate, points={1: [MOVING.at(0)]})
    shot = MatteNode("green-screen", device="cpu").connect(plate)
    keys = read_keys(shot, select, [2])
    assert [key.frame for key in keys] == [2]
    assert np.abs(keys[0].alpha - select.at(2).alpha).max() < 1e-6
