# SPDX-License-Identifier: Apache-2.0
"""Shrink, feather, levels and despill: how far, how soft, and exactly nothing when off."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from matte_nodes.errors import KnobValueError
from matte_nodes.node.finesse import FINESSE_KNOBS, apply_finesse, despill

# a busy machine is no failure
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MATTES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)).map(
    lambda codes: (codes / np.float32(255)).astype(np.float32)
)
RADII = st.floats(0.05, 6)


def edge(degrees: float, softness: float, size: int = 72) -> np.ndarray:
    """A straight edge near the middle, averaged over each pixel's area."""
    fine = 12
    at = (np.arange(size * fine) + 0.5) / fine - size / 2
    x, y = np.meshgrid(at, at)
    away = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees)) + 0.13
    coverage = np.clip(away / softness + 0.5, 0, 1)
    return coverage.reshape(size, fine, size, fine).mean((1, 3)).astype(np.float32)


def moved(before: np.ndarray, after: np.ndarray, degrees: float) -> float:
    """How far an edge of up to 45 degrees went inward, in pixels along its normal."""
    rows = slice(24, -24)
    area = before[rows].astype(np.float64).sum(1) - after[rows].astype(np.float64).sum(1)
    return float(area.mean() * math.cos(math.radians(degrees)))


def test_nothing_asked_is_the_very_same_pixels():
    alpha = np.random.default_rng(1).random((9, 7), np.float32)
    asked = {knob.name: knob.default for knob in FINESSE_KNOBS if "despill" not in knob.name}
    assert apply_finesse(alpha, **asked) is alpha


@pytest.mark.parametrize("amount", [0.1, 0.25, 0.5, 1, 1.3, 2.7, 6, -0.1, -0.5, -1, -3.4])
@pytest.mark.parametrize("turns", range(4))
def test_an_upright_or_level_edge_moves_exactly(amount, turns):
    alpha = edge(0, 1)
    after = np.rot90(apply_finesse(np.rot90(alpha, turns).copy(), shrink=amount), -turns)
    assert moved(alpha, after, 0) == pytest.approx(amount, abs=1e-4)


@pytest.mark.parametrize("amount", [0.3, 0.5, 1, 1.7, 3.6, -0.4, -1.2, -5.5])
@pytest.mark.parametrize("degrees", [4, 11, 20, 27, 33, 40, 45])
@pytest.mark.parametrize("softness", [1, 3])
def test_a_slanted_edge_moves_as_far_within_a_twentieth(amount, degrees, softness):
    alpha = edge(degrees, softness)
    after = apply_finesse(alpha, shrink=amount)
    assert moved(alpha, after, degrees) == pytest.approx(amount, abs=0.05)


def test_a_soft_edge_keeps_its_profile():
    ramp = np.clip((np.arange(40, dtype=np.float32) - 14) / 12, 0, 1)
    alpha = np.tile(ramp, (20, 1))
    shifted = np.clip((np.arange(40, dtype=np.float32) - 14 - 2.5) / 12, 0, 1)
    after = apply_finesse(alpha, shrink=2.5)
    # only the two corners of the ramp, between pixels, may be rounded
    assert np.abs(after[10] - shifted).max() <= 0.5 / 12 / 2 + 1e-6
    assert np.isclose(after[10], shifted, atol=1e-6).sum() >= 38


def test_a_soft_strand_is_thinned_by_half_a_pixel_and_not_cut():
    alpha = np.zeros((20, 21), np.float32)
    alpha[:, 9:12] = [0.3, 0.8, 0.3]
    after = apply_finesse(alpha, shrink=0.25)[10]
    assert 0.6 < after[10] < 0.8
    assert 0.15 < after[9] < 0.3
    assert after[[8, 12]].tolist() == [0, 0]


def test_the_frame_border_is_no_edge():
    alpha = np.zeros((30, 30), np.float32)
    alpha[10:, :12] = 1
    after = apply_finesse(alpha, shrink=2)
    assert (after[13:, :9] == 1).all()
    assert (apply_finesse(alpha, feather=1.5)[18:, 0] == 1).all()


@given(MATTES, RADII)
def test_shrinking_only_darkens_and_growing_only_lifts(alpha, radius):
    assert (apply_finesse(alpha, shrink=radius) <= alpha).all()
    assert (apply_finesse(alpha, shrink=-radius) >= alpha).all()


@given(MATTES, RADII, st.floats(0.05, 3))
def test_a_higher_matte_stays_higher(alpha, radius, feather):
    lower = alpha * np.float32(0.75)
    for asked in ({"shrink": radius}, {"shrink": -radius}, {"feather": feather}, {"gamma": radius}):
        # the blur and the power are rounded once more than the extremes are
        assert (apply_finesse(lower, **asked) <= apply_finesse(alpha, **asked) + 1e-6).all()


@given(MATTES, RADII)
def test_growing_is_shrinking_the_outside(alpha, radius):
    grown = apply_finesse(alpha, shrink=-radius)
    assert np.abs(1 - apply_finesse(1 - alpha, shrink=radius) - grown).max() < 1e-6


@given(MATTES, st.floats(-6, 6), st.floats(0, 3), st.floats(0, 0.4), st.floats(0.6, 1))
def test_alpha_stays_in_range_and_solid_stays_solid(alpha, shrink, feather, black, white):
    asked = {"shrink": shrink, "feather": feather, "black_point": black, "white_point": white}
    after = apply_finesse(alpha, **asked)
    assert after.dtype == np.float32
    assert after.shape == alpha.shape
    assert after.min() >= 0
    assert after.max() <= 1
    for solid in (0, 1):
        flat = np.full_like(alpha, solid)
        assert (apply_finesse(flat, **asked) == solid).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_more_shrink_never_leaves_more(sign):
    alpha = edge(20, 4)
    steps = [apply_finesse(alpha, shrink=sign * radius / 8) for radius in range(1, 49)]
    for less, more in pairwise(steps):
        assert (sign * (more - less) < 2e-3).all()


def test_a_speck_anywhere_inside_the_disc_is_found():
    alpha = np.ones((31, 31), np.float32)
    alpha[15, 15] = 0
    after = apply_finesse(alpha, shrink=7)
    y, x = np.mgrid[:31, :31]
    assert (after[np.hypot(y - 15, x - 15) <= 7] == 0).all()
    assert (after[np.hypot(y - 15, x - 15) > 8.5] == 1).all()


def test_work_by_tiles_leaves_no_seam():
    random = np.random.default_rng(3)
    alpha = np.zeros((300, 530), np.float32)
    alpha[250:262, 250:520] = random.random((12, 270), np.float32)
    whole = apply_finesse(alpha, shrink=-3.3)
    part = apply_finesse(alpha[240:280, 200:320].copy(), shrink=-3.3)
    assert (whole[245:275, 205:315] == part[5:-5, 5:-5]).all()


@pytest.mark.parametrize("sigma", [0.2, 0.5, 0.69, 0.71, 2, 7.5])
def test_feather_is_a_gaussian_of_that_sigma_and_leaves_the_edge_where_it_was(sigma):
    alpha = np.zeros((40, 120), np.float32)
    alpha[:, 60:] = 1
    profile = apply_finesse(alpha, feather=sigma)[20].astype(np.float64)
    slope = np.diff(profile)
    centre = np.arange(0.5, 119)
    assert (slope * centre).sum() == pytest.approx(59.5, abs=1e-4)
    width = math.sqrt((slope * (centre - 59.5) ** 2).sum())
    assert width == pytest.approx(sigma, rel=0.01)
    reach = math.ceil(4 * sigma)
    assert (profile[: 60 - reach - 1] == 0).all()
    assert (profile[60 + reach + 1 :] == 1).all()


def test_levels():
    alpha = np.array([[0, 0.1, 0.3, 0.5, 0.9, 1]], np.float32)
    after = apply_finesse(alpha, black_point=0.1, white_point=0.9)
    assert after[0] == pytest.approx([0, 0, 0.25, 0.5, 1, 1])
    assert after[0, 1] == 0
    assert after[0, 4] == 1
    assert apply_finesse(alpha, gamma=2)[0, 2] == pytest.approx(math.sqrt(0.3))


def test_levels_come_before_shrinking():
    noisy = np.ones((9, 9), np.float32)
    noisy[4, 4] = 0.95
    assert (apply_finesse(noisy, white_point=0.9, shrink=2) == 1).all()


@pytest.mark.parametrize(
    "asked", [{"black_point": 1}, {"white_point": 0}, {"gamma": 0}, {"feather": -1}]
)
def test_what_makes_no_sense_is_refused(asked):
    with pytest.raises(KnobValueError, match=next(iter(asked))):
        apply_finesse(np.zeros((2, 2), np.float32), **asked)


def test_despill_off_is_the_very_same_pixels():
    colour = np.random.default_rng(2).random((4, 5, 3), np.float32)
    assert despill(colour, screen="green", amount=0) is colour


def test_despill_limits_to_the_average():
    colour = np.array([[[0.2, 0.9, 0.4], [0.5, 0.4, 0.5], [2.0, 6.0, 1.0]]], np.float32)
    assert despill(colour, screen="green", amount=1)[0, :, 1] == pytest.approx([0.3, 0.4, 1.5])
    assert despill(colour, screen="green", amount=0.5)[0, :, 1] == pytest.approx([0.6, 0.4, 3.75])
    blue = despill(colour[..., [0, 2, 1]], screen="blue", amount=1)
    assert blue[0, :, 2] == pytest.approx([0.3, 0.4, 1.5])
    assert colour[0, 0, 1] == np.float32(0.9)


@given(
    arrays(np.float32, (3, 4, 3), elements=st.floats(-1, 8, width=32)),
    st.floats(0, 1),
    st.sampled_from(["green", "blue"]),
)
def test_despill_changes_one_channel_and_only_downward(colour, amount, screen):
    after = despill(colour, screen=screen, amount=amount)
    channel = 1 if screen == "green" else 2
    others = [index for index in range(3) if index != channel]
    assert (after[..., others] == colour[..., others]).all()
    assert (after[..., channel] <= colour[..., channel]).all()
    grey = np.repeat(colour[..., :1], 3, axis=2)
    assert (despill(grey, screen=screen, amount=amount) == grey).all()


def test_despill_knows_two_screens():
    with pytest.raises(KnobValueError, match="red"):
        despill(np.zeros((1, 1, 3), np.float32), screen="red", amount=1)


def test_knobs_are_off_and_legal():
    assert {knob.name for knob in FINESSE_KNOBS} == {
        *("shrink", "feather", "black_point", "white_point", "gamma"),
        *("despill", "despill_screen"),
    }
    for knob in FINESSE_KNOBS:
        assert knob.help
        if knob.kind == "choice":
            assert knob.default in knob.choices
        else:
            assert knob.low <= knob.default <= knob.high
