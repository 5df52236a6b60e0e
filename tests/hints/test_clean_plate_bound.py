# SPDX-License-Identifier: Apache-2.0
"""The bound of a segmentation follows what a clean plate proves, and nothing else."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matte_nodes import MatteNode, ModelCard, Prediction
from matte_nodes.node import clean_plate_bound
from matte_nodes.node.clean_plate_bound import distances
from matte_nodes.node.clean_plate_evidence import Evidence
from matte_nodes.node.hints import bound_by_segmentation, distance_to
from tests.hints.test_hint_fit import told
from tests.test_align import textured

SIZE = (240, 320)
MARGIN = 8.0
SUBJECT = np.s_[70:200, 30:120]
PENCIL = np.s_[90:94, 100:250]  # held by the subject; the segmentation misses it
ARM = np.s_[150:176, 110:230]
APART = np.s_[100:200, 240:300]
SHADOW = np.s_[140:180, 110:250]  # from the subject to the thing apart


def place(*, plain: bool = False) -> np.ndarray:
    """A place: blocks, lines and fine details of grey; or a plain wall with a little grain."""
    rng = np.random.default_rng(4)
    fine = cv2.GaussianBlur(rng.normal(0, 1, SIZE).astype(np.float32), (0, 0), 1)[..., None]
    if plain:
        return np.full((*SIZE, 3), (0.55, 0.5, 0.45), np.float32) + 0.004 * fine
    return (0.25 + 0.4 * textured(*SIZE) + 0.2 * fine).clip(0.05, 0.95)


def scene(
    *parts: Any, plain: bool = False, colour: Any = (0.1, 0.75, 0.2)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Alpha of a subject and more parts, plate, clean plate, and a segmentation of the subject."""
    clean = place(plain=plain)
    plate, alpha = clean.copy(), np.zeros(SIZE, np.float32)
    plate[SUBJECT] = textured(*SIZE, seed=9)[SUBJECT]
    for part in parts:
        plate[part] = colour
    for part in (SUBJECT, *parts):
        alpha[part] = 1
    mask = np.zeros(SIZE, np.float32)
    mask[SUBJECT] = 1
    return alpha, plate, clean, mask


def noisy(picture: np.ndarray, seed: int, much: float = 0.01) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, much, picture.shape)
    return (picture + noise).clip(0, 1).astype(np.float32)


def node_for(alpha: np.ndarray, *, needs: str = "background", **knobs: Any) -> MatteNode:
    """A node whose model answers with this alpha, and needs (or only takes) a clean plate."""

    class Known:
        def step(self, inputs: Any, memory: Any, knobs: Any) -> Any:
            return Prediction(alpha.copy()), {}

    hints = {"needs" if needs else "takes": frozenset({"background"})}
    card = ModelCard("known", "Known", "Known.", lambda context: Known(), **hints)
    return MatteNode(card, segmentation_margin=MARGIN, **knobs)


def bounded(alpha: Any, plate: Any, clean: Any, mask: Any, **knobs: Any) -> np.ndarray:
    """Alpha by the node, with its defaults; the pictures have been matched already."""
    node = node_for(alpha, **{"align_background": "off", "match_background": "off"} | knobs)
    return node(plate, background=clean, segmentation=mask, colorspace="sRGB").alpha


def as_before(alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Alpha by the segmentation alone, rounded to half floats as a Matte's."""
    found = bound_by_segmentation(alpha, mask, use="bound", margin=MARGIN)
    return found.astype(np.float16).astype(np.float32)


def is_far(mask: np.ndarray) -> np.ndarray:
    """Where a segmentation alone leaves nothing."""
    return np.asarray(distance_to(mask >= 0.5) > 1.5 * MARGIN)


@pytest.mark.parametrize("plain", [True, False])
def test_a_pencil_that_the_segmentation_misses_stays_whole(plain: bool) -> None:
    alpha, plate, clean, mask = scene(PENCIL, plain=plain)
    assert as_before(alpha, mask)[90:94, 140:].max() == 0
    assert np.array_equal(bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask), alpha)


def test_an_arm_of_the_places_colour_stays_because_it_hides_details() -> None:
    alpha, plate, clean, mask = scene(ARM, colour=(0.4, 0.4, 0.4))
    clean[:] = clean.mean(axis=2, keepdims=True)  # grey, so that no colour tells
    plate = np.where(alpha[..., None] > 0, plate, clean)
    assert as_before(alpha, mask)[ARM].mean() < 0.2
    assert bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask)[ARM].mean() > 0.995


def test_a_black_thing_before_a_bright_wall_is_no_shadow() -> None:
    alpha, plate, clean, mask = scene(ARM, plain=True, colour=(0.02, 0.02, 0.02))
    plate, clean = noisy(plate, 1), noisy(clean, 2)
    assert np.array_equal(bounded(alpha, plate, clean, mask), alpha)


def test_parts_that_touch_at_a_corner_hang_together() -> None:
    alpha, plate, clean, mask = scene(np.s_[90:110, 110:140], np.s_[110:130, 140:180], plain=True)
    assert np.array_equal(bounded(alpha, plate, clean, mask), alpha)


def test_noise_is_no_reason_not_to_believe_a_clean_plate() -> None:
    alpha, plate, clean, mask = scene(ARM, plain=True)
    alpha, plate, clean, mask = (
        cv2.resize(one, (1280, 960), interpolation=cv2.INTER_NEAREST)
        for one in (alpha, plate, clean, mask)
    )
    evidence = Evidence(noisy(plate, 1, 0.03), noisy(clean, 2, 0.03))
    assert (distances(alpha, mask, 24.0, evidence)[alpha > 0] <= 24).all()


def test_the_soft_edge_of_what_is_held_stays() -> None:
    alpha, plate, clean, mask = scene(np.s_[88:97, 100:250])
    soft = cv2.GaussianBlur(alpha, (0, 0), 1.5)
    plate = clean * (1 - soft[..., None]) + plate * soft[..., None]
    found = bounded(soft, noisy(plate, 1), noisy(clean, 2), mask)
    assert np.abs(found - soft)[:, 125:].max() < 0.001  # half floats


def test_a_hole_in_the_segmentation_stays_closed() -> None:
    alpha, plate, clean, mask = scene()
    mask[100:170, 50:100] = 0
    assert as_before(alpha, mask)[135, 75] == 0
    assert np.array_equal(bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask), alpha)


def test_a_second_changed_thing_apart_is_taken_out() -> None:
    alpha, plate, clean, mask = scene(APART, colour=(0.9, 0.2, 0.7))
    assert np.array_equal(bounded(alpha, plate, clean, mask), as_before(alpha, mask))


def test_a_thing_apart_beside_a_held_thing_is_taken_out_with_its_rim() -> None:
    alpha, plate, clean, mask = scene(PENCIL, np.s_[96:200, 200:300])  # two pixels below it
    alpha[94:96, 200:250] = 0.04
    found = bounded(alpha, plate, clean, mask)
    assert (found[PENCIL] == 1).all()
    assert found[94:, 140:].max() == 0


def test_a_thing_beside_an_empty_part_of_the_segmentation_is_taken_out() -> None:
    alpha, plate, clean, mask = scene(APART, colour=(0.9, 0.2, 0.7))
    mask[140:160, 215:240] = 1  # ends where the thing begins; the model finds nothing in it
    assert np.array_equal(bounded(alpha, plate, clean, mask), as_before(alpha, mask))


def test_a_thin_alpha_of_what_is_held_stays() -> None:
    alpha, plate, clean, mask = scene(ARM)
    alpha[ARM] = np.maximum(0.25, alpha[ARM] * mask[ARM])
    assert np.array_equal(bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask), alpha)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("soft", [0, 6])
@pytest.mark.parametrize("rows", [(140, 180), (156, 164)])
def test_a_thing_joined_only_by_a_shadow_stays_out(
    plain: bool, soft: float, rows: tuple[int, int]
) -> None:
    alpha, plate, clean, mask = scene(plain=plain)
    shadow = np.zeros(SIZE, np.float32)
    shadow[rows[0] : rows[1], 110:250] = 1
    if soft:
        shadow = cv2.GaussianBlur(shadow, (0, 0), soft)
    dark = plate * (1 - shadow[..., None] * np.float32([0.52, 0.5, 0.48]))  # a little blue
    plate = np.where(alpha[..., None] > 0, plate, dark)
    plate[APART], alpha[APART] = (0.9, 0.2, 0.7), 1
    alpha = np.maximum(alpha, 0.6 * (shadow > 0.05)).astype(np.float32)  # the model takes it, too
    found = bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask)
    assert found[:, 140:].max() == 0  # the margin and the fade end 12 pixels beside the subject


def test_a_thing_joined_by_what_is_no_shadow_comes_in() -> None:
    alpha, plate, clean, mask = scene(APART, SHADOW)
    assert np.array_equal(bounded(alpha, noisy(plate, 1), noisy(clean, 2), mask), alpha)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("gain", [0.94, 1.06])
@pytest.mark.parametrize("much", [0.01, 0.03])
def test_another_exposure_and_noise_open_nothing(plain: bool, gain: float, much: float) -> None:
    _, plate, clean, mask = scene(plain=plain)
    alpha = np.ones(SIZE, np.float32)  # a model that takes all for the subject
    found = bounded(alpha, noisy(plate, 1, much), noisy(clean * gain, 2, much), mask)
    assert found[is_far(mask)].max() == 0


def test_a_clean_plate_of_another_place_opens_nothing() -> None:
    alpha, plate, clean, mask = scene(PENCIL)
    wall = np.full_like(clean, (0.9, 0.1, 0.1))
    for wrong in (np.roll(clean, (9, 14), (0, 1)), clean[::-1].copy(), 1 - clean, wall):
        found = bounded(alpha, plate, wrong, mask)
        assert np.array_equal(found, as_before(alpha, mask))


def test_only_what_is_asked_for_is_proved() -> None:
    _, plate, clean, mask = scene(ARM)
    where = np.zeros(SIZE, np.bool_)
    where[:, 130:160] = True
    found = Evidence(plate, clean).proves_other(where, mask < 0.5)
    assert found[150:176, 130:160].mean() > 0.9
    assert not found[~where].any()


def test_without_a_clean_plate_the_bound_is_the_segmentations() -> None:
    alpha, plate, clean, mask = scene(PENCIL)
    soft = cv2.GaussianBlur(alpha, (0, 0), 1.5)
    for background in ({}, {"background": clean}):  # a model that does not need it
        node = node_for(soft, needs="", align_background="off", match_background="off")
        found = node(plate, segmentation=mask, colorspace="sRGB", **background).alpha
        assert np.array_equal(found, as_before(soft, mask))


def test_garbage_and_core_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(clean_plate_bound, "distances")  # they need none
    alpha, plate, clean, mask = scene(PENCIL)
    for use, expected in (("garbage", alpha * mask), ("core", np.maximum(alpha, mask))):
        found = bounded(alpha, plate, clean, mask, segmentation_use=use)
        assert np.array_equal(found, expected)


def test_any_number_of_threads_makes_the_same_bits() -> None:
    alpha, plate, clean, mask = scene(PENCIL, ARM)
    big = [cv2.resize(one, (1280, 960), interpolation=cv2.INTER_LINEAR) for one in (
        alpha, noisy(plate, 1), noisy(clean, 2), mask
    )]  # fmt: skip
    before, found = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            found.append(distances(big[0], big[3], 24.0, Evidence(big[1], big[2])))
    finally:
        cv2.setNumThreads(before)
    assert (found[0] < distance_to(big[3] >= 0.5)).any()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_where_nothing_is_cut_nothing_is_compared() -> None:
    alpha, plate, clean, mask = scene(ARM)

    class Never(Evidence):
        def proves_other(self, where: Any, outside: Any) -> Any:
            raise AssertionError

    evidence = Never(plate, clean)
    assert np.array_equal(distances(alpha * mask, mask, MARGIN, evidence), distance_to(mask > 0.5))
    assert np.array_equal(distances(alpha, mask, 300.0, evidence), distance_to(mask > 0.5))
    assert np.isinf(distances(alpha, 0 * mask, MARGIN, evidence)).all()
    with pytest.raises(AssertionError):
        distances(alpha, mask, MARGIN, evidence)


def test_a_render_without_closed_holes_follows_the_clean_plate_too() -> None:
    alpha, plate, clean, mask = scene(PENCIL)
    node = node_for(alpha, close_holes=False, align_background="off")
    shot = node.connect([plate] * 2, background=clean, segmentation=mask, colorspace="sRGB")
    for _, matte in shot.render():
        assert np.array_equal(matte.alpha, alpha)


@pytest.mark.parametrize("joined", [True, False])
def test_a_held_segmentation_is_complained_of_where_it_really_cuts(joined: bool) -> None:
    alpha, plate, clean, mask = scene(ARM)
    if not joined:  # the arm shows the clean plate: the model is wrong, and it is cut
        plate[ARM] = np.where(mask[ARM][..., None] > 0, plate[ARM], clean[ARM])
    shot = node_for(alpha, align_background="off").connect(
        [plate] * 2, background=clean, segmentation={1: mask}, hint_keys="hold", colorspace="sRGB"
    )
    assert any("segmentation of frame 1" in text for text in told(shot)) != joined
    assert (shot.at(2).alpha[ARM].min() == 1) == joined


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    margin=st.sampled_from([0.0, 1.0, 4.5, 24.0]),
    gain=st.floats(0.8, 1.2),
    share=st.floats(0.0, 1.0),
)
def test_never_above_the_model_and_never_below_the_segmentation_alone(
    seed: int, margin: float, gain: float, share: float
) -> None:
    rng = np.random.default_rng(seed)

    def blobs(sigma: float) -> np.ndarray:
        field = cv2.GaussianBlur(rng.normal(0, 1, (60, 90)).astype(np.float32), (0, 0), sigma)
        return (0.5 + field / (4 * field.std() + 1e-6)).clip(0, 1).astype(np.float32)

    alpha = (2 * blobs(4) - 0.6).clip(0, 1)
    mask = (blobs(6) > 0.4 + 0.3 * share).astype(np.float32)
    clean = np.dstack([blobs(s) for s in (1, 2, 3)])
    front = np.dstack([blobs(s) for s in (2, 1, 2)])
    plate = (gain * clean * (1 - alpha[..., None]) + front * alpha[..., None]).clip(0, 1)
    away = distances(alpha, mask, margin, Evidence(plate.astype(np.float32), clean))
    new = bound_by_segmentation(alpha, mask, use="bound", margin=margin, away=away)
    old = bound_by_segmentation(alpha, mask, use="bound", margin=margin)
    assert (new <= alpha).all()
    assert (new >= old).all()
    assert np.array_equal(new[old == alpha], alpha[old == alpha])
