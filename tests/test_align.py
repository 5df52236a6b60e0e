# SPDX-License-Identifier: Apache-2.0
"""A hand-held clean plate is laid over the plate, or left alone when that cannot be trusted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matte_nodes import MatteNode, ModelCard, Prediction
from matte_nodes.node import align_background as align
from matte_nodes.testing.scene import scene


def textured(height: int = 240, width: int = 320, seed: int = 1) -> np.ndarray:
    """A place with corners to hold on to: blocks, lines and grain."""
    rng = np.random.default_rng(seed)
    picture = rng.random((height // 20, width // 20, 3)).astype(np.float32)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    for _ in range(40):
        a, b = rng.integers(0, (width, height)), rng.integers(0, (width, height))
        cv2.line(picture, a.tolist(), b.tolist(), rng.random(3).tolist(), 2)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def shaken(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture seen from a hand that moved: (picture, homography from it to the original)."""
    height, width = picture.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners + np.float32([[6, -4], [-3, 5], [4, 3], [-5, -2]])
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return cv2.warpPerspective(picture, matrix, (width, height)), np.linalg.inv(matrix)


def test_a_shaken_clean_plate_comes_back() -> None:
    plate = textured()
    background, _ = shaken(plate)
    before = np.abs(background - plate)[20:-20, 20:-20].mean()
    after = np.abs(align.aligned(background, plate) - plate)[20:-20, 20:-20].mean()
    assert after < 0.2 * before


def test_the_subject_does_not_pull_it_away() -> None:
    place = textured()
    background, truth = shaken(place)
    plate, mask = place.copy(), np.zeros(place.shape[:2], np.float32)
    plate[60:180, 100:220] = textured(120, 120, seed=9)
    mask[60:180, 100:220] = 1
    found = align.find_homography(background, plate, mask)
    assert found is not None
    points = np.array([[20, 20, 1], [300, 30, 1], [280, 220, 1]], float)
    a, b = points @ found.T, points @ truth.T
    assert np.abs(a[:, :2] / a[:, 2:] - b[:, :2] / b[:, 2:]).max() < 1.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_every_pixel_type_keeps_its_type(dtype: type) -> None:
    plate = textured()
    background, _ = shaken(plate)
    scale = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    result = align.aligned((background * scale).astype(dtype), (plate * scale).astype(dtype))
    assert result.dtype == dtype
    assert np.abs(result.astype(np.float32) / scale - plate)[30:-30, 30:-30].mean() < 0.02


@pytest.mark.parametrize("other", [np.zeros((240, 320, 3), np.float32), textured(seed=77)])
def test_fail_safe_when_nothing_fits(other: np.ndarray) -> None:
    assert align.aligned(other, textured()) is other


def keeps() -> tuple[ModelCard, list[np.ndarray]]:
    """A model with a clean plate, and what it was given as that."""
    given: list[np.ndarray] = []

    class Keeps:
        def step(self, inputs, memory, knobs):  # type: ignore[no-untyped-def]
            given.append(inputs.background)
            return Prediction(inputs.plate[..., 0]), {}

    card = ModelCard(
        "keeps", "Keeps", "Keeps.", lambda context: Keeps(), needs=frozenset({"background"})
    )
    return card, given


def backgrounds_given(knob: str, plate: np.ndarray, background: np.ndarray) -> list[np.ndarray]:
    """What a model is given as the clean plate: alone and in a shot, with the knob off and auto."""
    card, given = keeps()
    for how in ("off", "auto"):
        node = MatteNode(card, **{knob: how})
        node(plate, background=background, colorspace="sRGB")
        node.connect(plate, background=background, colorspace="sRGB").at(1)
    return given


def test_the_knob_aligns_what_the_model_is_given() -> None:
    plate = textured()
    background, _ = shaken(plate)
    given = backgrounds_given("align_background", plate, background)
    errors = [np.abs(found - plate)[30:-30, 30:-30].mean() for found in given]
    assert max(errors[2:]) < 0.3 * min(errors[:2])


def test_a_small_picture_without_details_keeps_its_clean_plate() -> None:
    made = scene(40, 60)
    node = MatteNode("green-screen")
    assert node.knobs["align_background"] == "auto"
    assert node(made.plate, background=made.background).alpha.shape == (40, 60)
    found = align.laid_over(made.background, made.plate)
    assert found.pixels is made.background
    assert not found.complaint


@pytest.mark.parametrize(("given", "value"), [(True, "on"), (False, "off"), ("auto", "auto")])
def test_a_switch_is_accepted_for_the_choice(given: bool | str, value: str) -> None:
    assert MatteNode("green-screen", align_background=given).knobs["align_background"] == value


def noisy(picture: np.ndarray, seed: int) -> np.ndarray:
    """As an 8-bit camera gives it."""
    noise = np.random.default_rng(seed).normal(0, 1.5 / 255, picture.shape)
    return np.round((picture + noise).clip(0, 1) * 255).astype(np.uint8)


def with_subject(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A place with something before it, and the mask of that."""
    plate, mask = place.copy(), np.zeros(place.shape[:2], np.float32)
    height, width = mask.shape
    mask[height // 4 :, width // 3 : 2 * width // 3] = 1
    plate[mask > 0] = textured(height, width, seed=9)[mask > 0]
    return plate, mask


def test_auto_a_locked_off_clean_plate_stays_bit_for_bit() -> None:
    place = textured(480, 640)
    plate = noisy(with_subject(place)[0], 1)
    background = noisy(place * 0.93 + 0.02, 2)  # another exposure, its own noise
    found = align.laid_over(background, plate)
    assert found.pixels is background
    assert not found.is_moved
    assert not found.complaint


@pytest.mark.parametrize("with_mask", [False, True])
def test_auto_a_moved_clean_plate_is_laid_over(with_mask: bool) -> None:
    place = textured(480, 640)
    plate, mask = with_subject(place)
    background, _ = shaken(place)
    found = align.laid_over(noisy(background, 1), noisy(plate, 2), mask if with_mask else None)
    assert found.is_moved
    assert not found.complaint
    free = mask[20:-20, 20:-20] == 0
    apart = np.abs(found.pixels / 255 - place)[20:-20, 20:-20][free].mean()
    assert apart < 0.25 * np.abs(background - place)[20:-20, 20:-20][free].mean()


def test_auto_a_move_of_one_pixel_is_seen() -> None:
    place = textured(480, 640)
    moved = cv2.warpAffine(place, np.float32([[1, 0, 0.9], [0, 1, -0.6]]), (640, 480))
    assert align.laid_over(noisy(moved, 1), noisy(place, 2)).is_moved


def test_a_clean_plate_of_another_place_is_complained_of() -> None:
    found = align.laid_over(noisy(textured(480, 640, 77), 1), noisy(textured(480, 640), 2))
    assert not found.is_moved
    assert "does not fit" in found.complaint
    assert "same camera position" in found.complaint


def test_a_plain_clean_plate_is_never_complained_of() -> None:
    plate = with_subject(np.full((480, 640, 3), 0.4, np.float32))[0]
    found = align.laid_over(noisy(np.full((480, 640, 3), 0.6, np.float32), 1), noisy(plate, 2))
    assert not found.complaint


def test_a_subject_over_most_of_the_picture_is_no_complaint() -> None:
    place = textured(480, 640)
    plate = place.copy()
    plate[:, 140:] = textured(480, 640, seed=9)[:, 140:]
    assert not align.laid_over(noisy(place, 1), noisy(plate, 2)).complaint


def test_the_decision_is_the_same_each_time() -> None:
    place = textured(480, 640)
    background, plate = noisy(shaken(place)[0], 1), noisy(with_subject(place)[0], 2)
    first, again = (align.laid_over(background, plate) for _ in range(2))
    assert first.fit == again.fit
    assert np.array_equal(first.pixels, again.pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (31, 31), (2, 200)])
def test_a_picture_smaller_than_a_tile_keeps_its_clean_plate(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).random((*size, 3)).astype(np.float32)
    for mask in (None, np.zeros(size, np.float32)):
        found = align.laid_over(picture, picture * 0.9, mask, "on")
        assert found.pixels is picture
        assert not found.complaint
