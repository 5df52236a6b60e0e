# SPDX-License-Identifier: Apache-2.0
"""What must hold of the metrics for any mattes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from matte_nodes.evaluate import conn, dtssd, evaluate_frame, grad, mad, mse, sad

# a busy machine is no failure
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
METRICS = {"sad": sad, "mad": mad, "mse": mse, "grad": grad, "conn": conn}
all_metrics = pytest.mark.parametrize("name", METRICS)


@st.composite
def pairs(draw):
    """Two mattes of one size, of 8-bit values."""
    shape = draw(SHAPES)
    codes = arrays(np.uint8, shape)
    return tuple((draw(codes) / 255).astype(np.float32) for _ in range(2))


@st.composite
def subjects(draw):
    """Two mattes with one solid block that is by far the largest piece, and noise about it."""
    pred, true = (np.zeros((16, 18), np.float32) for _ in range(2))
    for matte in (pred, true):
        matte[1:-1, 1:6] = draw(arrays(np.uint8, (14, 5))) / np.float32(255)
        matte[2:14, 6:16] = 1
    return pred, true


@all_metrics
@given(pairs())
def test_a_matte_is_no_different_from_itself(name, pair):
    assert METRICS[name](pair[0], pair[0].copy()) == 0


@all_metrics
@given(pairs())
def test_symmetric_and_never_negative(name, pair):
    pred, true = pair
    forward = METRICS[name](pred, true)
    assert forward >= 0
    assert METRICS[name](true, pred) == pytest.approx(forward, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", ["sad", "mad", "mse"])
@given(pairs())
def test_any_difference_is_seen(name, pair):
    assume((pair[0] != pair[1]).any())
    assert METRICS[name](*pair) > 0


@all_metrics
@given(subjects(), st.sampled_from([np.flipud, np.fliplr, np.transpose]))
def test_flipping_both_changes_nothing(name, pair, flip):
    pred, true = (np.ascontiguousarray(flip(matte)) for matte in pair)
    assert METRICS[name](pred, true) == pytest.approx(METRICS[name](*pair), rel=1e-9, abs=1e-15)


@all_metrics
@given(pairs(), st.data())
def test_regions_add_up(name, pair, data):
    pred, true = pair
    region = data.draw(arrays(np.bool_, true.shape))
    inside, outside = (METRICS[name](pred, true, part) for part in (region, ~region))
    weights = (1, 1)
    if name in ("mad", "mse"):
        weights = (region.mean(), 1 - region.mean())
    total = weights[0] * (inside or 0) + weights[1] * (outside or 0)
    assert total == pytest.approx(METRICS[name](pred, true), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", ["sad", "mad", "mse"])
@given(pairs(), st.floats(0, 1), st.floats(0, 1))
def test_more_of_the_same_error_is_worse(name, pair, one, other):
    pred, true = pair
    less, more = (true + np.float32(part) * (pred - true) for part in sorted((one, other)))
    assert METRICS[name](less, true) <= METRICS[name](more, true) + 1e-7


@pytest.mark.parametrize("name", ["sad", "mad", "mse", "grad", "conn"])
@given(subjects(), st.tuples(*[st.integers(0, 5)] * 4))
def test_known_background_round_about_changes_nothing_in_the_unknown(name, pair, border):
    pred, true = pair
    # four pixels of background first: the gradient's kernel must see none of the old border
    pred, true = np.pad(pred, 4), np.pad(true, 4)
    unknown = (true > 0) & (true < 1)
    assume(unknown.any())
    top, bottom, left, right = border
    around = ((top, bottom), (left, right))
    bigger = [np.pad(array, around) for array in (pred, true, unknown)]
    assert METRICS[name](*bigger) == pytest.approx(METRICS[name](pred, true, unknown), rel=1e-9)


@given(pairs())
def test_dtssd_is_symmetric_and_zero_when_the_change_is_right(pair):
    pred, true = pair
    pred_before, true_before = pred[::-1], true[:, ::-1]
    assert dtssd(pred, pred, true, true) == 0
    assert dtssd(true, true_before, true, true_before) == 0
    forward = dtssd(pred, pred_before, true, true_before)
    assert dtssd(true, true_before, pred, pred_before) == pytest.approx(forward)


@settings(max_examples=40)
@given(pairs())
def test_a_frame_with_forced_known_regions_has_all_its_error_in_the_unknown(pair):
    pred, true = pair
    trimap = np.where((true > 0.2) & (true < 0.8), np.float32(0.5), np.round(true))
    forced = np.where(trimap == 0.5, pred, true)
    scores = evaluate_frame(forced, true, trimap.astype(np.float32))
    assert scores["region_source"] == "trimap"
    assert scores["whole"]["sad"] == pytest.approx(scores["unknown"]["sad"])
