# SPDX-License-Identifier: Apache-2.0
"""Metrics against examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matte_nodes.errors import HintSizeError, InputError
from matte_nodes.evaluate import conn, dtssd, fg_mse, grad, mad, mse, sad, unknown_region


def matte(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_sad_mad_mse_of_two_wrong_pixels():
    true = matte([0, 1], [1, 0.5])
    pred = matte([0, 0.5], [1, 0.25])
    assert sad(pred, true) == pytest.approx(0.75 / 1000)
    assert mad(pred, true) == pytest.approx(0.75 / 4)
    assert mse(pred, true) == pytest.approx((0.25 + 0.0625) / 4)


def test_region_counts_only_its_own_pixels():
    true = matte([0, 1], [1, 0.5])
    pred = matte([0, 0.5], [1, 0.25])
    region = np.array([[False, True], [False, True]])
    assert sad(pred, true, region) == pytest.approx(0.75 / 1000)
    assert mad(pred, true, region) == pytest.approx(0.375)
    assert mse(pred, true, region) == pytest.approx(0.3125 / 2)


def test_nothing_to_measure_is_none_for_means_and_zero_for_sums():
    true = matte([0, 1])
    nowhere = np.zeros((1, 2), np.bool_)
    assert mad(true, true, nowhere) is None
    assert mse(true, true, nowhere) is None
    assert dtssd(true, true, true, true, nowhere) is None
    assert sad(true, true, nowhere) == grad(true, true, nowhere) == conn(true, true, nowhere) == 0


def test_grad_of_a_ramp_is_its_slope_times_the_kernel_moments():
    offset = range(-4, 5)
    bell = [math.exp(-(x**2) / (2 * 1.4**2)) for x in offset]
    slope = [x * b for x, b in zip(offset, bell, strict=True)]
    bell_norm = math.sqrt(sum(b * b for b in bell))
    slope_norm = math.sqrt(sum(s * s for s in slope))
    response = sum(x * s for x, s in zip(offset, slope, strict=True)) / slope_norm
    response *= sum(bell) / bell_norm
    ramp = np.tile(np.arange(40, dtype=np.float32) / 64, (20, 1))
    flat = np.full_like(ramp, 0.5)
    inside = np.zeros(ramp.shape, np.bool_)
    inside[8:12, 8:32] = True
    expected = inside.sum() * (response / 64) ** 2 / 1000
    assert grad(ramp, flat, inside) == pytest.approx(expected, rel=1e-6)


def test_conn_of_a_piece_cut_off():
    # The source is pixels 0-2 at every level; 3 to 5 are never reached (l = 0), so
    # phi(true) = 0 there and phi(pred) = 1 - alpha, but for pixel 3, whose alpha is 0: phi = 1.
    true = matte([1, 1, 1, 1, 1, 1])
    pred = matte([1, 1, 1, 0, 0.5, 0.5])
    assert conn(pred, true) == pytest.approx((1 + 0.5 + 0.5) / 1000)


@pytest.mark.parametrize(
    ("true_end", "pred_end", "error"),
    [
        (0.70, 0.62, 0.0),  # level 0.6; 0.10 and 0.02 are both below theta
        (0.78, 0.62, 0.18),  # 0.18 is above theta, 0.02 is not
        (1.00, 0.62, 0.40),
        (0.62, 1.00, 0.40),
    ],
)
def test_conn_ignores_what_is_below_theta(true_end, pred_end, error):
    true = matte([1, 1, true_end])
    pred = matte([1, 1, pred_end])
    assert conn(pred, true) == pytest.approx(error / 1000, abs=1e-9)


def test_conn_knows_no_diagonal_neighbours():
    true = matte([1, 1, 0], [1, 1, 0], [0, 0, 1])
    pred = matte([1, 1, 0], [1, 1, 0], [0, 0, 0.5])
    assert conn(pred, true) == pytest.approx(0.5 / 1000)


def test_conn_counts_a_pixel_once_left_as_left():
    # At 0.1 to 0.3 the longer piece (pixels 3-5) is the source; from 0.4 on the shorter one (0-1)
    # is, but its pixels were outside before: l = 0 for them, l = 0.3 for the others.
    true = matte([1, 1, 0, 1, 1, 1])
    pred = matte([1, 0.9, 0, 0.3, 0.3, 0.3])
    expected = 0.1 + 3 * (1 - 0.3)
    assert conn(pred, true) == pytest.approx(expected / 1000, rel=1e-6)


def test_fg_mse_is_measured_where_there_is_a_subject():
    alpha = matte([0, 0.5, 1])
    true = np.zeros((1, 3, 3), np.float32)
    pred = true.copy()
    pred[0, 0] = 9.0  # outside the subject: not seen
    pred[0, 1] = [0.3, 0, 0]
    assert fg_mse(pred, true, alpha) == pytest.approx(0.09 / 6)
    assert fg_mse(pred, true, alpha, np.array([[True, False, False]])) is None


def test_dtssd_of_a_flicker_of_a_tenth_is_ten():
    still = np.full((3, 4), 0.5, np.float32)
    assert dtssd(still + np.float32(0.1), still, still, still) == pytest.approx(10, rel=1e-5)
    half = np.zeros((3, 4), np.bool_)
    half[:, :2] = True
    flicker = still.copy()
    flicker[:, 2:] += np.float32(0.2)
    assert dtssd(flicker, still, still, still, half) == 0
    assert dtssd(flicker, still, still, still) == pytest.approx(20 / math.sqrt(2), rel=1e-5)


def test_dtssd_forgives_a_steady_error():
    true = np.linspace(0, 0.5, 12, dtype=np.float32).reshape(3, 4)
    moved = true + np.float32(0.25)
    steady = np.float32(0.125)
    assert dtssd(moved + steady, true + steady, moved, true) == pytest.approx(0, abs=1e-5)


def test_unknown_region_of_a_trimap_is_what_is_between():
    region, source = unknown_region(matte([0, 0.5, 1]), matte([0.5, 0, 1]))
    assert source == "trimap"
    assert region.tolist() == [[True, False, False]]


def test_unknown_region_without_a_trimap_is_the_soft_part_grown():
    true = np.zeros((50, 60), np.float32)
    true[25, 30] = 0.5
    region, source = unknown_region(true)
    assert "true alpha" in source
    assert region[25, 30 - 11 : 30 + 12].all()  # its neighbours are a step, then 10 pixels
    assert not region[25, 30 + 12]
    assert not region[0].any()


def test_unknown_region_of_a_hard_edge_is_not_empty_and_of_no_edge_is():
    true = np.zeros((40, 60), np.float32)
    true[:, 30:] = 1
    region, _ = unknown_region(true)
    assert region[0].nonzero()[0].tolist() == list(range(19, 41))
    assert not unknown_region(np.ones((40, 60), np.float32))[0].any()


def test_sizes_types_and_nan_are_refused():
    true = np.zeros((4, 5), np.float32)
    with pytest.raises(InputError, match="one size"):
        sad(np.zeros((5, 4), np.float32), true)
    with pytest.raises(InputError, match="one size"):
        grad(true, true, np.zeros((5, 4), np.bool_))
    with pytest.raises(InputError, match="uint8"):
        conn(np.zeros((4, 5), np.uint8), true)
    with pytest.raises(InputError, match="not finite"):
        mse(np.full((4, 5), np.nan, np.float32), true)
    with pytest.raises(InputError, match="one size"):
        fg_mse(np.zeros((4, 5, 3)), np.zeros((4, 4, 3)), true)
    with pytest.raises(HintSizeError):
        unknown_region(true, np.zeros((5, 4), np.float32))
