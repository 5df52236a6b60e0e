# SPDX-License-Identifier: Apache-2.0
"""Shots: order never changes a pixel, steps are counted, hints are bound, chains are clips."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from matte_nodes import HintKeys, MatteNode
from matte_nodes.errors import BadPlateError, HintSizeError, MissingInputError, UsageError
from tests.made import plate_sequence, scenes, write_image

PLATES = [made.plate for made in scenes(6, 24, 32)]


def test_recurrent_shot_gives_a_straight_render_in_any_order() -> None:
    straight = dict(MatteNode("toy").connect(PLATES).render())
    shot = MatteNode("toy").connect(PLATES)
    for number in (6, 2, 5, 1, 3, 4):
        assert np.array_equal(shot.at(number).alpha, straight[number].alpha)
        assert np.array_equal(shot.at(number).foreground, straight[number].foreground)


def test_a_range_starts_at_the_shots_first_frame() -> None:
    whole = dict(MatteNode("toy").connect(PLATES).render())
    shot = MatteNode("toy").connect(PLATES)
    part = dict(shot.render(4, 5))
    assert list(part) == [4, 5]
    assert shot.steps == 5
    assert np.array_equal(part[4].alpha, whole[4].alpha)


def test_going_on_costs_one_step_a_frame() -> None:
    shot = MatteNode("toy").connect(PLATES)
    for number in range(1, 7):
        shot.at(number)
    assert shot.steps == 6


def test_a_still_model_steps_only_what_is_asked() -> None:
    shot = MatteNode("green-screen").connect(PLATES)
    shot.at(5)
    assert shot.steps == 1


def test_changing_the_past_changes_a_recurrent_frame() -> None:
    other = [PLATES[0] * 0.2, *PLATES[1:]]
    one = MatteNode("toy").connect(PLATES).at(3)
    two = MatteNode("toy").connect(other).at(3)
    assert not np.array_equal(one.alpha, two.alpha)


def test_unknown_frame_is_named() -> None:
    with pytest.raises(UsageError, match="no frame 9"):
        MatteNode("toy").connect(PLATES).at(9)
    with pytest.raises(UsageError, match="100-200"):
        list(MatteNode("toy").connect(PLATES).render(100, 200))


def test_missing_hint_is_said_when_connecting() -> None:
    with pytest.raises(MissingInputError, match="trimap"):
        MatteNode("closed-form").connect(PLATES)


def test_one_still_hint_serves_every_frame() -> None:
    trimap = np.zeros((24, 32), np.float32)
    trimap[:, :16] = 1
    shot = MatteNode("green-screen").connect(PLATES, trimap=trimap)
    assert (shot.at(4).alpha[:, :16] == 1).all()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("hold", {1: 2, 3: 2, 4: 5, 6: 5}), ("nearest", {1: 2, 3: 2, 4: 5, 6: 5})],
)
def test_sparse_hint_keys(mode: str, expected: dict[int, int]) -> None:
    keys = {number: np.full((24, 32), 0.5, np.float32) for number in (2, 5)}
    for number, trimap in keys.items():
        trimap[number] = 1
    shot = MatteNode("green-screen").connect(PLATES, trimap=keys, hint_keys=mode)
    if mode == "hold":
        expected = {1: 2, 3: 2, 4: 2, 6: 5}
    for frame, key in expected.items():
        assert (shot.at(frame).alpha[key] == 1).all(), (mode, frame)


def test_hint_keys_only_on_their_frames() -> None:
    keys = HintKeys({2: np.ones((24, 32), np.float32)}, "only")
    shot = MatteNode("green-screen").connect(PLATES, trimap=keys)
    assert (shot.at(2).alpha == 1).all()
    assert not (shot.at(3).alpha == 1).all()
    needing = MatteNode("closed-form").connect(PLATES, trimap=keys)
    with pytest.raises(MissingInputError, match="Frame 3"):
        needing.at(3)


def test_missing_hint_frame_is_an_error_unless_keys_hold(tmp_path: Path) -> None:
    pattern = plate_sequence(tmp_path, 4)
    (tmp_path / "trimap.1003.png").unlink()
    hint = str(tmp_path / "trimap.####.png")
    node = MatteNode("green-screen")
    with pytest.raises(Exception, match="1003"):
        node.connect(pattern, trimap=hint).at(1003)
    held = node.connect(pattern, trimap=hint, hint_keys="hold")
    assert held.at(1003).alpha.shape == (72, 96)


def test_hint_of_another_size_is_named(tmp_path: Path) -> None:
    pattern = plate_sequence(tmp_path, 2)
    write_image(tmp_path / "small.png", np.zeros((10, 10), np.uint8), "Y")
    with pytest.raises(HintSizeError, match=r"10 x 10.*96 x 72"):
        MatteNode("green-screen").connect(pattern, trimap=tmp_path / "small.png")


def test_segmentation_bounds_the_subject() -> None:
    plate = np.full((64, 200, 3), 0.4, np.float32)  # nothing green: alpha is 1 everywhere
    segmentation = np.zeros((64, 200), np.float32)
    segmentation[20:40, 20:40] = 1
    alpha = MatteNode("green-screen")(plate, segmentation=segmentation).alpha
    assert (alpha[25:35, 25:35] == 1).all()
    assert (alpha[:, 150:] == 0).all()


def test_a_shot_is_a_clip_and_chains() -> None:
    made = scenes(3, 48, 64)
    plates = [item.plate for item in made]
    coarse = MatteNode("green-screen", screen_level=0.2).connect(plates)
    fine = MatteNode("closed-form").connect(plates, trimap=coarse.trimap(width=4))
    alpha = fine.at(2).alpha
    assert np.abs(alpha - made[1].alpha).mean() < 0.05
    assert coarse.steps == 1


def test_grey_plate_is_refused_unless_allowed(tmp_path: Path) -> None:
    write_image(tmp_path / "grey.png", np.zeros((20, 30), np.uint16), "Y")
    node = MatteNode("green-screen")
    with pytest.raises(BadPlateError, match="allow-grey"):
        node.connect(tmp_path / "grey.png").at(1)
    assert node.connect(tmp_path / "grey.png", allow_grey=True).at(1).alpha.shape == (20, 30)


def test_nan_is_counted_and_its_frame_named() -> None:
    broken = [plate.copy() for plate in PLATES]
    broken[3][2, 3] = np.nan
    broken[3][4, 5, 0] = np.inf
    shot = MatteNode("green-screen").connect(broken)
    with pytest.raises(BadPlateError, match=r"Frame 4 .* 2 pixels"):
        list(shot.render())


def test_window_of_neighbours_is_clamped_at_the_ends() -> None:
    from matte_nodes import Inputs, ModelCard, Prediction, Window

    seen: dict[float, list[float]] = {}

    class Looks:
        def step(self, inputs: Inputs, memory: object, knobs: object) -> tuple[Prediction, dict]:
            seen[float(inputs.plate[0, 0, 0])] = [float(n[0, 0, 0]) for n in inputs.neighbours]
            return Prediction(inputs.plate[..., 0]), {}

    card = ModelCard("looks", "Looks", "Looks.", lambda context: Looks(), memory=Window((-2, 1)))
    plates = [np.full((4, 4, 3), 0.1 * (i + 1), np.float32) for i in range(4)]
    shot = MatteNode(card).connect(plates, colorspace="sRGB")
    list(shot.render())
    values = [round(v, 3) for v in sorted(seen)]
    assert [[round(n, 3) for n in seen[key]] for key in sorted(seen)] == [
        [values[0], values[1]],
        [values[0], values[2]],
        [values[0], values[3]],
        [values[1], values[3]],
    ]


def test_stream_resets_at_a_new_size_and_refuses_when_closed() -> None:
    node = MatteNode("toy")
    with node.stream() as live:
        live.step(PLATES[0])
        live.step(PLATES[1][:12])
        after_cut = live.step(PLATES[2]).alpha
        live.reset()
        assert np.array_equal(live.step(PLATES[2]).alpha, after_cut)
    with pytest.raises(UsageError, match="closed"):
        live.step(PLATES[0])


@pytest.mark.parametrize(
    ("encoded", "space"), [(False, "ACEScg"), (True, "ACEScg"), ("video", "Camera Rec.709")]
)
def test_a_linear_plate_is_encoded_for_video_only(
    encoded: bool | Literal["video"], space: str
) -> None:
    """Measurements compare foregrounds in the plate's own space; a movie needs an encoding."""
    shot = MatteNode("green-screen").connect(PLATES, encoded=encoded, colorspace="ACEScg")
    assert shot.at(1).colorspace == space
