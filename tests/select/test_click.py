# SPDX-License-Identifier: Apache-2.0
"""The selector as a model: masks through time, both directions, keys, several objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import MissingInputError, UsageError
from matte_nodes.select import track
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from tests.select.scenes import BLUE, RED, Thing, clip, iou

COUNT = 10
MOVING = Thing(5, RED, (40, 55), (6, 1))
STANDING = Thing(6, BLUE, (120, 40), (0, 0), (14, 12))


@pytest.fixture(scope="module")
def node() -> MatteNode:
    return MatteNode("click", device="cpu")


@pytest.fixture(scope="module")
def one() -> tuple[list[Any], list[Any]]:
    return clip([MOVING], COUNT)


@pytest.fixture(scope="module")
def two() -> tuple[list[Any], list[Any]]:
    return clip([STANDING, MOVING], COUNT)


def on(thing: Thing, time: int) -> tuple[float, float]:
    return thing.at(time)


def alphas(shot: Any) -> dict[int, Any]:
    return {frame: matte.alpha for frame, matte in shot.render()}


def test_one_click_is_followed_through_the_shot(node: Any, one: Any) -> None:
    frames, masks = one
    found = alphas(node.connect(frames, points={1: [on(MOVING, 0)]}))
    for time in range(COUNT):
        assert iou(found[time + 1] > 0.5, masks[time][0]) > 0.85, time


def test_a_click_on_the_last_frame_reaches_the_first(node: Any, one: Any) -> None:
    frames, masks = one
    shot = node.connect(frames, points={COUNT: [on(MOVING, COUNT - 1)]})
    found = alphas(shot)
    for time in range(COUNT):
        assert iou(found[time + 1] > 0.5, masks[time][0]) > 0.85, time


KEYS = {1: [on(MOVING, 0)], 6: [on(MOVING, 5)], 9: [(*on(MOVING, 8), True), (3, 3, False)]}


def test_any_order_gives_the_pixels_of_a_straight_render(node: Any, one: Any) -> None:
    straight = alphas(node.connect(one[0], points=KEYS, cache="off"))
    shot = node.connect(one[0], points=KEYS)
    for frame in (7, 2, 10, 5, 1, 9, 3, 8, 4, 6):
        assert np.array_equal(shot.at(frame).alpha, straight[frame]), frame


def test_sixty_requests_take_no_more_steps_than_a_straight_render(node: Any, one: Any) -> None:
    straight = node.connect(one[0], points=KEYS, cache="off")
    alphas(straight)
    shot = node.connect(one[0], points=KEYS, cache="off")
    order = np.random.default_rng(3).integers(1, COUNT + 1, 60)
    for frame in order:
        shot.at(int(frame))
    assert shot.steps <= 1.3 * straight.steps


def test_states_are_saved_loaded_and_hashed(node: Any, one: Any, tmp_path: Any) -> None:
    plain = alphas(node.connect(one[0], points=KEYS))
    for mode in ("states", "disk"):
        store = Store(tmp_path / mode)
        first = node.connect(one[0], points=KEYS, cache=Cache(mode, store=store))
        assert all(np.array_equal(plain[n], a) for n, a in alphas(first).items())
        again = node.connect(one[0], points=KEYS, cache=Cache(mode, store=store))
        assert np.array_equal(again.at(8).alpha, plain[8])
        assert again.steps < first.steps


def stamps(node: Any, frames: Any, points: Any) -> list[str]:
    shot = node.connect(frames, points=points)
    return [shot.stamp(frame) for frame in shot.frames]


def test_a_changed_click_changes_the_keys_of_the_frames_it_reaches(node: Any, one: Any) -> None:
    """Back to the key before, on to the next frame with a box; no other frame."""
    box = {"box": (60, 40, 120, 75)}
    before = stamps(node, one[0], {1: [on(MOVING, 0)], 5: [on(MOVING, 4)], 8: box})
    moved = {1: [on(MOVING, 0)], 5: [(*on(MOVING, 4), True), (2, 2, False)], 8: box}
    after = stamps(node, one[0], moved)
    changed = [frame for frame in range(1, COUNT + 1) if before[frame - 1] != after[frame - 1]]
    assert changed == [2, 3, 4, 5, 6, 7]


def test_keys_are_the_same_in_another_node_and_change_with_a_plate(node: Any, one: Any) -> None:
    points = {1: [on(MOVING, 0)], 5: {"box": (60, 40, 120, 75)}}
    first = stamps(node, one[0], points)
    assert stamps(MatteNode("click", device="cpu"), one[0], points) == first
    other = [picture.copy() for picture in one[0]]
    other[6][0, 0] ^= 1
    changed = [a != b for a, b in zip(first, stamps(node, other, points), strict=True)]
    assert changed == [False] * 6 + [True] * 4


def test_a_correction_reaches_both_ways(node: Any, two: Any) -> None:
    """The moving thing passes in front of the standing one, which is selected and then corrected."""
    frames, masks = two
    clicked = {1: [on(STANDING, 0)]}
    corrected = {**clicked, COUNT: [(*on(STANDING, 0), True), (*on(MOVING, 9), False)]}
    plain = alphas(node.connect(frames, points=clicked))
    better = alphas(node.connect(frames, points=corrected))
    score = [
        np.mean([iou(a[t + 1] > 0.5, masks[t][0]) for t in range(COUNT)]) for a in (plain, better)
    ]
    assert score[1] > 0.7
    assert score[1] >= score[0] - 0.02


def test_two_objects_are_layers_that_do_not_overlap(node: Any, two: Any) -> None:
    frames, masks = two
    points = {"front": {1: [on(MOVING, 0)]}, "back": {1: [on(STANDING, 0)]}}
    for frame, matte in node.connect(frames[:6], points=points).render():
        assert list(matte.extras) == ["alpha.front", "alpha.back"]
        front, back = matte.extras["alpha.front"], matte.extras["alpha.back"]
        assert (front + back <= 1 + 1e-6).all()
        assert np.allclose(front + back, matte.alpha, atol=2e-3)
        assert iou(front > 0.5, masks[frame - 1][1]) > 0.8, frame
        assert iou(back > 0.5, masks[frame - 1][0]) > 0.8, frame


def test_a_small_thing_before_a_large_one_keeps_its_pixels() -> None:
    """What is marked anew shares no pixel with others: the smaller one keeps them."""
    holder, held = np.zeros((20, 30), np.float32), np.zeros((20, 30), np.float32)
    holder[2:18, 2:28], held[6:12, 8:16] = 1, 1
    for order in (("holder", "held"), ("held", "holder")):
        masks = {name: {"holder": holder, "held": held}[name] for name in order}
        found = track._apart(masks, None, ["held"])
        assert np.array_equal(found["held"], held)
        assert np.array_equal(found["holder"], holder - held)


def test_an_object_first_clicked_later_is_there_before(node: Any, two: Any) -> None:
    frames, masks = two
    points = {"a": {1: [on(MOVING, 0)]}, "b": {4: [on(STANDING, 3)]}}
    matte = node.connect(frames[:6], points=points).at(2)
    assert iou(matte.extras["alpha.b"] > 0.5, masks[1][0]) > 0.8


def test_a_painted_key_wins_in_its_frame_and_steers_its_neighbours(node: Any, two: Any) -> None:
    frames, masks = two
    shot = node.connect(
        frames, points={1: [on(MOVING, 0)]}, segmentation={4: masks[3][0].astype(np.float32)}
    )
    assert iou(shot.at(4).alpha > 0.5, masks[3][0]) > 0.95
    assert iou(shot.at(5).alpha > 0.5, masks[4][0]) > 0.8
    assert iou(shot.at(1).alpha > 0.5, masks[0][1]) > 0.8


def test_a_thing_that_leaves_and_comes_back_is_found_again(node: Any) -> None:
    """It stands still, is gone for three frames, and is back elsewhere."""
    here, there = (Thing(5, RED, place, (0, 0)) for place in ((50, 55), (105, 50)))
    nothing: list[Any] = []
    frames, masks = [], []
    for things in [[here]] * 3 + [nothing] * 3 + [[there]] * 3:
        pictures, found = clip(things, 1)
        frames.append(pictures[0])
        masks.append(found[0][0] if found[0] else np.zeros(pictures[0].shape[:2], bool))
    found = alphas(node.connect(frames, points={1: [(50, 55)]}))
    assert iou(found[3] > 0.5, masks[2]) > 0.85
    assert (found[6] > 0.5).sum() < 20
    assert iou(found[9] > 0.5, masks[8]) > 0.8


def test_memory_starts_anew_at_a_cut(node: Any, one: Any) -> None:
    shot = node.connect(one[0], points={1: [on(MOVING, 0)]}, cuts=[5])
    assert shot.at(4).alpha.max() == 1
    assert shot.at(5).alpha.max() == 0


def test_a_mask_feeds_a_trimap_and_a_segmentation(node: Any, one: Any) -> None:
    mask = node.connect(one[0], points={1: [on(MOVING, 0)]})
    assert set(np.unique(mask.trimap(4).read(3).pixels)) == {0, 0.5, 1}
    keyer = MatteNode("green-screen", device="cpu", segmentation_margin=0.0)
    bounded = keyer.connect(one[0], segmentation=mask).at(3).alpha
    assert not bounded[mask.at(3).alpha == 0].all()


def test_without_points_the_error_says_how_to_click(node: Any, one: Any) -> None:
    with pytest.raises(MissingInputError, match="--click"):
        node.connect(one[0])
    with pytest.raises(UsageError, match="name frame 99"):
        node.connect(one[0], points={99: [(1, 1)]})


def test_without_salience_weights_it_works_and_keys_differ(
    one: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = stamps(MatteNode("click", device="cpu"), one[0], KEYS)
    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    bare = MatteNode("click", device="cpu")
    assert bare.weights_identity == {"u2netp.onnx": "not here"}
    if there:
        found = alphas(bare.connect(one[0], points={1: [on(MOVING, 0)]}))
        assert iou(found[5] > 0.5, one[1][4][0]) > 0.8
