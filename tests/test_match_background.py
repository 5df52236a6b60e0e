# SPDX-License-Identifier: Apache-2.0
"""A clean plate of another exposure is given that of the plate, or left alone where none is due."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matte_nodes import MatteNode
from matte_nodes.node import align_background, match_background
from tests.made import write_image
from tests.test_align import backgrounds_given, keeps, noisy, textured, with_subject


def exposed(picture: np.ndarray, gain: tuple[float, ...], gamma: float) -> np.ndarray:
    """The picture by another exposure, balance and contrast."""
    return (np.asarray(gain, np.float32) * picture**gamma).clip(0, 1)


def place(height: int = 240, width: int = 320) -> np.ndarray:
    """A textured place that clips nowhere."""
    return (0.15 + 0.6 * textured(height, width)).astype(np.float32)


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_gain_balance_and_gamma_come_back(dtype: type, with_mask: bool) -> None:
    clean = place()
    plate, mask = with_subject(exposed(clean, (1.15, 1.08, 0.98), 0.92))
    if np.dtype(dtype).kind == "u":
        most = np.iinfo(dtype).max
        pictures = [np.round(p * most).astype(dtype) for p in (clean, plate)]
    else:
        pictures = [(p**2).astype(dtype) for p in (clean, plate)]  # scene-linear
    found = match_background.matched(*pictures, mask if with_mask else None)
    assert found.dtype == dtype
    values = found.astype(np.float32)
    values = values / most if found.dtype.kind == "u" else np.sqrt(values)
    free = mask == 0
    assert np.abs(clean - plate)[free].mean() > 8 / 255
    assert np.abs(values - plate)[free].mean() < 1 / 255


def test_the_same_exposure_stays_bit_for_bit() -> None:
    plate, _ = with_subject(place())
    background = noisy(place(), 2)
    assert match_background.matched(background, noisy(plate, 1)) is background


def test_off_touches_nothing() -> None:
    background = place()
    plate = exposed(background, (1.2, 1.2, 1.2), 1)
    assert match_background.matched(background, plate, how="off") is background


def test_another_place_is_left_alone() -> None:
    rng = np.random.default_rng(4)
    background = rng.random((240, 320, 3)).astype(np.float32)
    plate = rng.random((240, 320, 3)).astype(np.float32)
    assert match_background.matched(background, plate) is background


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_shadow_is_not_taken_for_the_exposure(with_mask: bool) -> None:
    clean = place()
    now = exposed(clean, (1.1, 1.1, 1.1), 1)
    now[:, :110] *= 0.6
    plate, mask = with_subject(now)
    found = match_background.curve(clean, plate, mask if with_mask else None)
    assert found is not None
    lit = found(clean)[:, 220:]
    assert np.abs(lit - now[:, 220:]).mean() < 0.012


def test_a_plain_wall_is_matched_beside_a_subject_that_covers_half() -> None:
    wall = np.full((200, 300, 3), (0.5, 0.45, 0.4), np.float32)
    plate = wall * 1.12
    plate[:, 150:] = textured(200, 150, seed=3)
    pictures = [noisy(picture, seed) for seed, picture in enumerate((wall, plate))]
    found = match_background.matched(*pictures).astype(np.float32)
    assert np.abs(found - pictures[1])[:, :140].mean() < 2.5  # of noise alone 1.7


@pytest.mark.parametrize("values", [(np.nan, np.inf), (-0.2, 30.0), (60000.0, 1e-7)])
def test_odd_light_is_kept_and_breaks_nothing(values: tuple[float, float]) -> None:
    clean = place() ** 2
    plate = clean * 1.2
    clean[5, 5], clean[9, 9] = values
    for dtype in (np.float32, np.float16):
        found = match_background.matched(clean.astype(dtype), plate.astype(dtype))
        odd = found[5, 5], found[9, 9]
        for got, value in zip(odd, values, strict=True):
            if not np.isfinite(value):
                assert np.array_equal(got, np.full(3, value, dtype), equal_nan=True)
            elif value < 0:
                assert np.allclose(got, value, atol=1e-3)
            else:
                assert np.isfinite(got).all()
        assert np.isfinite(np.delete(found.reshape(-1, 3), (5 * 320 + 5, 9 * 320 + 9), 0)).all()


@settings(max_examples=25, deadline=None)
@given(
    gain=st.floats(0.75, 1.35),
    tint=st.floats(0.94, 1.06),
    gamma=st.floats(0.8, 1.25),
    seed=st.integers(0, 5),
)
def test_what_is_matched_is_never_farther_than_before(
    gain: float, tint: float, gamma: float, seed: int
) -> None:
    clean = (0.15 + 0.5 * textured(120, 160, seed=seed)).astype(np.float32)
    plate = exposed(clean, (gain * tint, gain, gain / tint), gamma)
    pictures = [noisy(picture, seed) for seed, picture in enumerate((clean, plate))]
    found = match_background.matched(*pictures)
    apart = [np.abs(p.astype(np.float32) - pictures[1]).mean() for p in (pictures[0], found)]
    assert apart[1] <= apart[0]
    assert apart[1] < 3.5  # codes; noise alone leaves 1.7


def test_the_knob_matches_what_the_model_is_given() -> None:
    clean = place()
    plate = exposed(clean, (1.2, 1.15, 1.1), 1)
    given_to = backgrounds_given("match_background", plate, clean)
    errors = [np.abs(found - plate).mean() for found in given_to]
    assert max(errors[2:]) < 0.1 * min(errors[:2])


def test_a_clean_plate_of_another_colour_space_is_not_matched(tmp_path: Path) -> None:
    """Codes of two spaces differ without any change of light: its own transform makes them alike."""
    for name, picture in (("plate", place() * 1.2), ("clean", place())):
        write_image(tmp_path / f"{name}.png", np.round(picture * 255).astype(np.uint8))
    card, given_to = keeps()
    for space in ("sRGB - Texture", "ACEScct"):
        for how in ("off", "auto"):
            shot = MatteNode(card, match_background=how).connect(
                str(tmp_path / "plate.png"), background=str(tmp_path / "clean.png"),
                colorspace="sRGB - Texture", background_colorspace=space,
            )  # fmt: skip
            shot.at(1)
    assert not np.array_equal(*given_to[:2])
    assert np.array_equal(*given_to[2:])


def test_codes_are_not_matched_to_floats() -> None:
    codes = np.round(place() * 255).astype(np.uint8)
    assert match_background.matched(codes, (place() * 1.2).astype(np.float32)) is codes


def test_steps_over_all_tiles_mend_the_last_pixel() -> None:
    clean = textured(480, 640)
    corners = np.float32([[0, 0], [640, 0], [640, 480], [0, 480]])
    moved = corners + np.float32([[0.9, -0.7], [0.6, -0.9], [1.1, -0.5], [0.8, -0.8]])
    matrix = cv2.getPerspectiveTransform(corners, moved)
    now = cv2.warpPerspective(clean, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    plate, _ = with_subject(now * 1.06)
    found = align_background.settled(noisy(clean, 1), noisy(plate, 2))
    assert found is not None
    points = np.array([[40, 40, 1], [600, 50, 1], [60, 440, 1], [590, 430, 1]], float)
    a, b = (points @ part.T for part in (found, matrix))
    apart = np.hypot(*(a[:, :2] / a[:, 2:] - b[:, :2] / b[:, 2:]).T)
    assert apart.max() < 0.15
