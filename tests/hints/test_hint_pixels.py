# SPDX-License-Identifier: Apache-2.0
"""Trimaps made, cleaned and forced; segmentations that bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from matte_nodes.errors import HintSizeError, InputError, UsageError
from matte_nodes.node.hints import (
    HINT_KNOBS,
    bound_by_segmentation,
    clean_trimap,
    force_trimap,
    trimap_from_matte,
)

# a busy machine is no failure
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MATTES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)).map(
    lambda codes: (codes / np.float32(255)).astype(np.float32)
)


def half(height: int = 12, width: int = 40) -> np.ndarray:
    alpha = np.zeros((height, width), np.float32)
    alpha[:, width // 2 :] = 1
    return alpha


@pytest.mark.parametrize(("width", "each_side"), [(0, 0), (1, 1), (3, 3), (3.5, 3), (6, 6)])
def test_the_band_is_that_many_pixels_on_each_side(width, each_side):
    row = trimap_from_matte(half(), width)[5]
    expected = np.where(np.arange(40) < 20, 0, 1).astype(np.float32)
    expected[20 - each_side : 20 + each_side] = 0.5
    assert row.tolist() == expected.tolist()


def test_soft_pixels_are_unknown_wherever_they_lie():
    alpha = half()
    alpha[2, 3], alpha[9, 37] = 0.3, 0.9
    trimap = trimap_from_matte(alpha, 2)
    assert trimap[2, 3] == trimap[9, 37] == 0.5
    assert trimap[2, 4] == 0
    alpha[2, 3], alpha[9, 37] = 0.05, 0.95
    assert (trimap_from_matte(alpha, 2) == trimap_from_matte(half(), 2)).all()
    assert trimap_from_matte(alpha, 2, low=0.01, high=0.99)[2, 3] == 0.5


def test_holes_are_kept():
    y, x = np.mgrid[:60, :60]
    alpha = (np.hypot(y - 30, x - 30) > 12).astype(np.float32)
    trimap = trimap_from_matte(alpha, 4)
    assert trimap[30, 30] == 0
    assert trimap[30, 30 + 12] == 0.5
    assert trimap[30, 50] == 1


def test_the_frame_border_is_no_edge():
    trimap = trimap_from_matte(half(), 3)
    assert (trimap[:, 39] == 1).all()
    assert (trimap[[0, -1], 25] == 1).all()
    assert (trimap_from_matte(np.ones((5, 6), np.float32), 9) == 1).all()
    assert (trimap_from_matte(np.zeros((5, 6), np.float32), 9) == 0).all()


def test_the_band_is_round():
    alpha = np.zeros((21, 21), np.float32)
    alpha[10, 10] = 1
    unknown = trimap_from_matte(alpha, 5) == 0.5
    y, x = np.mgrid[:21, :21]
    assert (unknown == (np.hypot(y - 10, x - 10) <= 5)).all()


@given(MATTES, st.floats(0, 5), st.floats(0, 5))
def test_a_wider_band_knows_less_and_never_otherwise(alpha, one, other):
    narrow, wide = (trimap_from_matte(alpha, width) for width in sorted((one, other)))
    assert set(np.unique(wide)) <= {0, 0.5, 1}
    known = wide != 0.5
    assert (narrow[known] == wide[known]).all()
    assert (np.abs(alpha - wide)[known] <= 0.05 + 1e-7).all()


def test_bad_widths_and_thresholds_are_refused():
    for asked in ({"width": -1}, {"width": float("nan")}, {"width": 1, "low": 0.9, "high": 0.1}):
        with pytest.raises(UsageError):
            trimap_from_matte(half(), **asked)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0, 128, 255]], np.uint8),
        np.array([[0, 127, 255]], np.uint8),
        np.array([[12, 13, 243]], np.uint8),
        np.array([[0, 32768, 65535]], np.uint16),
        np.array([[0, 128, 255]], np.int64),
        np.array([[0, 32768, 65535]], np.int32),
        np.array([[0, 0.5, 1]], np.float64),
        np.array([[0, 0.5, 1]], np.float16),
        np.array([[0, 128, 255]], np.float32),
        np.array([[-0.01, 0.2, 1.02]], np.float32),
        np.array([[0.05, 0.06, 0.95]], np.float64),
    ],
)
def test_codes_of_every_kind_become_exact(array):
    clean = clean_trimap(array)
    assert clean.dtype == np.float32
    assert clean.tolist() == [[0, 0.5, 1]]


def test_bool_is_all_known():
    assert clean_trimap(np.array([[False, True]])).tolist() == [[0, 1]]


def test_between_is_unknown_and_an_8_bit_1_is_black():
    assert clean_trimap(np.array([[1, 60, 200]], np.uint8)).tolist() == [[0, 0.5, 0.5]]


@given(MATTES)
def test_cleaning_twice_is_cleaning_once(matte):
    clean = clean_trimap(matte)
    assert (clean_trimap(clean) == clean).all()
    assert (clean_trimap(np.round(matte * 255).astype(np.uint8)) == clean).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2, 3), np.uint8), "one channel"),
        (np.array([["a"]]), "numbers"),
        (np.array([[0, np.nan]]), "not finite"),
        (np.array([[0, 1j]]), "numbers"),
    ],
)
def test_what_is_no_trimap_is_refused(array, words):
    with pytest.raises(InputError, match=words):
        clean_trimap(array)


@given(MATTES)
def test_forcing_leaves_the_unknown_bit_for_bit(alpha):
    trimap = clean_trimap(alpha[::-1])
    forced = force_trimap(alpha, trimap)
    assert forced.dtype == np.float32
    assert (forced[trimap == 0.5] == alpha[trimap == 0.5]).all()
    assert (forced[trimap != 0.5] == trimap[trimap != 0.5]).all()


def test_sizes_must_agree():
    with pytest.raises(HintSizeError, match="40 x 12"):
        force_trimap(half(), np.zeros((12, 39), np.float32))
    with pytest.raises(HintSizeError, match="39 x 12"):
        bound_by_segmentation(half(), np.zeros((12, 39), np.float32), use="core", margin=1)


def test_bound_keeps_inside_the_margin_and_fades_to_nothing():
    alpha = np.full((8, 80), 0.7, np.float32)
    segmentation = np.zeros_like(alpha)
    segmentation[:, :20] = 1
    row = bound_by_segmentation(alpha, segmentation, use="bound", margin=10)[4]
    assert (row[:30] == alpha[4, :30]).all()  # pixel 29 is 10 pixels from pixel 19
    assert (row[34:] == 0).all()  # 15 pixels: the margin and half of it
    fading = row[29:35]
    assert (np.diff(fading) < 0).all()
    assert np.diff(fading).min() > -0.25


def test_bound_without_margin_still_fades():
    alpha = np.ones((4, 30), np.float32)
    segmentation = np.zeros_like(alpha)
    segmentation[:, :10] = 0.5
    row = bound_by_segmentation(alpha, segmentation, use="bound", margin=0)[0]
    assert row[8:13].tolist() == [1, 1, 0.5, 0, 0]


def test_bound_of_nothing_is_nothing_and_of_everything_everything():
    alpha = np.random.default_rng(0).random((6, 7), np.float32)
    nothing, everything = np.zeros_like(alpha), np.ones_like(alpha)
    assert (bound_by_segmentation(alpha, nothing, use="bound", margin=24) == 0).all()
    assert (bound_by_segmentation(alpha, everything, use="bound", margin=24) == alpha).all()


@given(MATTES, st.floats(0, 6))
def test_uses_of_a_segmentation(alpha, margin):
    segmentation = np.ascontiguousarray(alpha[:, ::-1])
    bound, garbage, core = (
        bound_by_segmentation(alpha, segmentation, use=use, margin=margin)
        for use in ("bound", "garbage", "core")
    )
    assert (garbage == alpha * segmentation).all()
    assert (garbage[segmentation == 1] == alpha[segmentation == 1]).all()
    assert (core >= segmentation).all()
    assert (core[segmentation == 0] == alpha[segmentation == 0]).all()
    assert (bound <= alpha).all()
    assert (bound[segmentation >= 0.5] == alpha[segmentation >= 0.5]).all()
    assert {bound.dtype, garbage.dtype, core.dtype} == {np.dtype(np.float32)}


def test_an_unknown_use_is_refused():
    with pytest.raises(UsageError, match="bound, garbage, core"):
        bound_by_segmentation(half(), half(), use="crop", margin=0)


def test_knobs_are_legal():
    use, margin = HINT_KNOBS
    assert use.default in use.choices
    assert margin.low <= margin.default <= margin.high
    assert margin.unit == "px"


def test_the_same_bits_wherever_the_memory_lies() -> None:
    y, x = np.mgrid[0:96, 0:128]
    segmentation = (np.hypot(x - 64, y - 48) < 28).astype(np.float32)
    alpha = np.ones((96, 128), np.float32)
    rng, bits = np.random.default_rng(0), set()
    for _ in range(60):
        moved = [np.empty(rng.integers(1, 20_000), np.uint8) for _ in range(rng.integers(1, 9))]
        bound = bound_by_segmentation(alpha, segmentation, use="bound", margin=20.0)
        bits.add(bound.tobytes())
        del moved
    assert len(bits) == 1
