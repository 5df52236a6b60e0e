# SPDX-License-Identifier: Apache-2.0
"""Frames, sequences, reports and tables: the keys and the means."""

from __future__ import annotations

import json

import numpy as np
import pytest

from matte_nodes.evaluate import (
    SequenceScores,
    conn,
    evaluate_frame,
    evaluate_sequence,
    format_table,
    grad,
    mad,
    mse,
    report,
    sad,
)

SCORES = ["sad", "mad", "mse", "grad", "conn", "fg_mse", "dtssd", "seconds"]
UNITS = [*SCORES[:6], "dtssd_before", *SCORES[6:]]  # before: only of a node with `steady`
GREY = np.full((4, 5), 0.5, np.float32)


def brighter(by: float) -> np.ndarray:
    return GREY + np.float32(by)


def test_a_frame_has_the_six_keys_in_both_regions():
    scores = evaluate_frame(GREY, GREY)
    assert list(scores["whole"]) == list(scores["unknown"]) == SCORES[:6]
    assert scores["whole"]["fg_mse"] is None
    assert scores["region_source"] == "true alpha, grown 10 px"


def test_foreground_needs_both():
    colour = np.ones((4, 5, 3), np.float32)
    assert evaluate_frame(GREY, GREY, pred_fg=colour)["whole"]["fg_mse"] is None
    scores = evaluate_frame(GREY, GREY, pred_fg=colour, true_fg=colour * 0.5)
    assert scores["whole"]["fg_mse"] == pytest.approx(0.25)


def test_a_sequence_is_the_mean_of_its_frames_and_pairs():
    frames = [(brighter(0), GREY), (brighter(0.1), GREY), (brighter(0.3), GREY)]
    scores = evaluate_sequence(frames, seconds=0.5)
    assert list(scores["whole"]) == list(scores["unknown"]) == SCORES
    assert scores["frames"] == 3
    assert scores["whole"]["mad"] == pytest.approx(0.4 / 3, rel=1e-5)
    assert scores["whole"]["dtssd"] == pytest.approx((10 + 20) / 2, rel=1e-5)
    assert scores["whole"]["seconds"] == scores["unknown"]["seconds"] == 0.5


def test_one_frame_has_no_dtssd_and_none_has_nothing():
    assert evaluate_sequence([(GREY, GREY)])["whole"]["dtssd"] is None
    empty = evaluate_sequence([])
    assert empty["frames"] == 0
    assert set(empty["whole"].values()) == {None}


def test_dtssd_of_the_unknown_is_over_what_is_unknown_in_either_frame():
    first, second = np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)
    first[0, 0] = second[0, 1] = 0.5  # as trimaps: pixel 0 is unknown in one, pixel 1 in the other
    true = np.zeros((1, 4), np.float32)
    pred = np.array([[0.4, 0.0, 0.0, 0.8]], np.float32)
    scores = evaluate_sequence([(true, true, first), (pred, true, second)])
    assert scores["unknown"]["dtssd"] == pytest.approx(100 * np.sqrt(0.16 / 2), rel=1e-5)
    assert scores["whole"]["dtssd"] == pytest.approx(100 * np.sqrt(0.8 / 4), rel=1e-5)


def test_a_caller_may_reuse_its_arrays():
    pred, true = GREY.copy(), GREY.copy()
    scores = SequenceScores()
    scores.add(pred, true)
    pred += np.float32(0.1)
    scores.add(pred, true)
    assert scores.result()["whole"]["dtssd"] == pytest.approx(10, rel=1e-5)


def test_report_means_what_is_there_and_is_json():
    still = evaluate_sequence([(brighter(0.1), GREY)], seconds=1)
    moving = evaluate_sequence([(GREY, GREY), (brighter(0.2), GREY)], seconds=3)
    document = report({"still": still, "moving": moving})
    assert json.loads(json.dumps(document)) == document
    assert [item["name"] for item in document["items"]] == ["still", "moving"]
    assert list(document["mean"]["whole"]) == list(document["mean"]["unknown"]) == SCORES
    assert document["mean"]["whole"]["mad"] == pytest.approx(0.1, rel=1e-5)
    assert document["mean"]["whole"]["dtssd"] == pytest.approx(20, rel=1e-5)
    assert document["mean"]["whole"]["seconds"] == 2
    assert document["mean"]["whole"]["fg_mse"] is None
    assert set(document["units"]) == set(UNITS)


def test_table_leaves_out_empty_columns_and_dashes_missing_values():
    still = evaluate_sequence([(brighter(0.1), GREY)])
    moving = evaluate_sequence([(GREY, GREY), (brighter(0.2), GREY)])
    rows = format_table(report({"still": still, "moving": moving}))
    assert rows[0] == ["item", "region", *SCORES[:5], "dtssd"]
    assert [row[:2] for row in rows[1:]] == [
        [name, region] for name in ("still", "moving", "mean") for region in ("whole", "unknown")
    ]
    assert rows[1][-1] == "-"
    assert rows[1][3] == "0.1"
    assert all(len(row) == len(rows[0]) for row in rows)


def test_a_perfect_item_counts_in_the_mean():
    perfect, poor = (evaluate_sequence([(brighter(by), GREY)]) for by in (0, 0.2))
    mean = report({"perfect": perfect, "poor": poor})["mean"]
    assert mean["unknown"]["mad"] == pytest.approx(0.1, rel=1e-5)


def test_a_frame_scores_as_the_single_metrics_do():
    random = np.random.default_rng(0)
    pred, true = (random.random((12, 15), np.float32) for _ in range(2))
    trimap = random.choice(np.array([0, 0.5, 1], np.float32), (12, 15))
    scores = evaluate_frame(pred, true, trimap)
    for name, metric in {"sad": sad, "mad": mad, "mse": mse, "grad": grad, "conn": conn}.items():
        assert scores["whole"][name] == metric(pred, true)
        assert scores["unknown"][name] == metric(pred, true, trimap == 0.5)


def test_report_of_nothing():
    assert set(report({})["mean"]["whole"].values()) == {None}
    assert format_table(report({}))[0] == ["item", "region"]
