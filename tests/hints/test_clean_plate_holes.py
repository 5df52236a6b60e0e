# SPDX-License-Identifier: Apache-2.0
"""Holes that a clean plate makes in the subject are closed; what shows the place stays open."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matte_nodes import MatteNode, ModelCard, Prediction
from matte_nodes.node.clean_plate_evidence import Evidence
from matte_nodes.node.clean_plate_holes import close_holes
from tests.test_align import textured

SIZE = (240, 320)
SUBJECT = np.s_[60:220, 80:240]
HOLE = np.s_[120:150, 130:170]


def made(*, see_through: bool = False, plain: bool = False) -> tuple[np.ndarray, ...]:
    """Alpha with a hole, plate and clean plate; the hole is the subject's, or shows the place."""
    place = np.full((*SIZE, 3), 0.5, np.float32) if plain else textured(*SIZE)
    plate, alpha = place.copy(), np.zeros(SIZE, np.float32)
    plate[SUBJECT] = cv2.GaussianBlur(textured(*SIZE, seed=9), (0, 0), 2)[SUBJECT]
    if plain:
        plate[SUBJECT] = 0.5
    if see_through:
        plate[HOLE] = place[HOLE]
    alpha[SUBJECT] = 1
    alpha[HOLE] = 0.3
    return alpha, plate, place


def test_a_hole_that_does_not_show_the_place_is_closed() -> None:
    alpha, plate, place = made()
    closed = close_holes(alpha, Evidence(plate, place))
    assert (closed[SUBJECT] == 1).all()
    closed[SUBJECT] = alpha[SUBJECT]
    assert np.array_equal(closed, alpha)


def test_a_hole_that_shows_the_place_stays_open() -> None:
    alpha, plate, place = made(see_through=True)
    assert np.array_equal(close_holes(alpha, Evidence(plate, place)), alpha)


def test_a_hole_before_a_plain_wall_stays_without_a_segmentation() -> None:
    alpha, plate, place = made(plain=True)
    assert np.array_equal(close_holes(alpha, Evidence(plate, place)), alpha)


def test_a_segmentation_closes_a_hole_before_a_plain_wall() -> None:
    alpha, plate, place = made(plain=True)
    mask = np.zeros(SIZE, np.float32)
    mask[SUBJECT] = 1
    assert np.array_equal(close_holes(alpha, Evidence(plate, place), mask), mask)


def test_a_rough_segmentation_closes_no_hole_that_shows_the_place() -> None:
    alpha, plate, place = made(see_through=True)
    assert np.array_equal(
        close_holes(alpha, Evidence(plate, place), np.ones(SIZE, np.float32)), alpha
    )


def test_a_rough_segmentation_adds_nothing_round_the_subject() -> None:
    alpha, plate, place = made(plain=True)
    alpha[HOLE] = 1
    assert np.array_equal(
        close_holes(alpha, Evidence(plate, place), np.ones(SIZE, np.float32)), alpha
    )


def test_a_hole_in_the_segmentation_too_stays() -> None:
    alpha, plate, place = made(plain=True)
    mask = (alpha > 0.5).astype(np.float32)
    assert np.array_equal(close_holes(alpha, Evidence(plate, place), mask), alpha)


def test_a_narrow_gap_in_the_edge_is_closed_by_a_segmentation() -> None:
    alpha, plate, place = made()
    alpha[HOLE] = 1
    alpha[100:103, 80:130] = 0  # a line of the place that runs into the subject
    mask = np.zeros(SIZE, np.float32)
    mask[SUBJECT] = 1
    assert np.array_equal(close_holes(alpha, Evidence(plate, place)), alpha)
    assert close_holes(alpha, Evidence(plate, place), mask)[100:103, 90:130].min() == 1


@pytest.mark.parametrize("on", [True, False])
def test_the_knob_turns_it_off(on: bool) -> None:
    alpha, plate, place = made()

    class Holed:
        def step(self, inputs, memory, knobs):  # type: ignore[no-untyped-def]
            return Prediction(alpha.copy()), {}

    card = ModelCard(
        "holed", "Holed", "Holed.", lambda context: Holed(), needs=frozenset({"background"})
    )
    node = MatteNode(card, close_holes=on)
    found = node(plate, background=place, colorspace="sRGB").alpha
    assert (found[HOLE] == 1).all() == on
