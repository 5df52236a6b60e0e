# SPDX-License-Identifier: Apache-2.0
"""An alpha that was found on a reduced plate is refined at full size, by the plate's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.models import rvm
from matte_nodes.models.full_size_edge import refined

RATIO = 512 / 3840


def window(contrast: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window of a 4K plate with a slanted edge and strands: (plate, true alpha, network's alpha).

    The network's alpha is crisp at a 7.5th of the size, and enlarged by linear interpolation: that
    is what makes stair-steps.
    """
    height, width, many = 300, 450, 4
    large = np.zeros((height * many, width * many), np.uint8)
    corners = np.array([[0, 250], [450, 120], [450, 300], [0, 300]]) * many
    cv2.fillPoly(large, [corners], 255)
    for place in range(40, 420, 60):
        cv2.line(large, (place * many, 240 * many), ((place + 25) * many, 90 * many), 255, 10)
    true = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    ground = cv2.resize(
        np.random.default_rng(1).random((6, 9, 3)).astype(np.float32), (width, height)
    )
    behind = 0.7 + 0.2 * ground
    front = behind + contrast * (np.float32([0.25, 0.15, 0.1]) - behind)
    noise = np.random.default_rng(2).normal(0, 1 / 255, (height, width, 3))
    plate = true[..., None] * front + (1 - true[..., None]) * behind + noise
    plate = (np.round(plate.clip(0, 1) * 255) / 255).astype(np.float32)
    small = cv2.resize(true, (round(width * RATIO), round(height * RATIO)), cv2.INTER_AREA)
    crisp = np.clip((small - 0.5) * 3 + 0.5, 0, 1)
    return plate, true, cv2.resize(crisp, (width, height), interpolation=cv2.INTER_LINEAR)


def wrong(alpha: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(alpha - true).mean())


def edge_places(alpha: np.ndarray) -> np.ndarray:
    """Where the slanted edge lies in each column, without the strands."""
    columns = np.r_[0:30, 435:450]
    return alpha[150:, columns].sum(axis=0)


def test_the_edge_of_a_4k_plate_is_nearer_to_the_truth() -> None:
    plate, true, alpha = window()
    found = refined(alpha, plate, RATIO)
    assert wrong(found, true) < 0.95 * wrong(alpha, true)


def test_stair_steps_are_smaller() -> None:
    plate, true, alpha = window()
    before = np.abs(edge_places(alpha) - edge_places(true)).max()
    after = np.abs(edge_places(refined(alpha, plate, RATIO)) - edge_places(true)).max()
    assert after < 0.7 * before


def test_a_weak_edge_gets_no_worse() -> None:
    plate, true, alpha = window(contrast=0.02)
    assert wrong(refined(alpha, plate, RATIO), true) < 1.02 * wrong(alpha, true)


def test_solid_and_empty_parts_stay_bit_for_bit() -> None:
    plate, _, alpha = window()
    found = refined(alpha, plate, RATIO)
    sure = (alpha < 0.01) | (alpha > 0.99)
    assert np.array_equal(found[sure], alpha[sure])
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("ratio", [0.25, 512 / 1920, 0.4, 1.0])
def test_plates_up_to_2048_pixels_stay_as_they_are(ratio: float) -> None:
    plate, _, alpha = window()
    assert refined(alpha, plate, ratio) is alpha


def test_a_tile_is_the_same_wherever_its_neighbours_lie() -> None:
    """What a pixel gets depends on what lies near it, not on the tiling."""
    plate, _, alpha = window()
    whole = refined(alpha, plate, RATIO)
    part = refined(alpha[:, 128:], plate[:, 128:], RATIO)
    assert np.abs(part[:, 80:] - whole[:, 208:]).max() < 1e-3


@pytest.mark.parametrize("on", [True, False])
def test_the_knob_turns_it_off(on: bool) -> None:
    plate, _, alpha = window()
    found = rvm._edge(alpha, plate, RATIO, {"full_size_edge": on})
    assert (found is alpha) != on
    assert MatteNode("rvm", full_size_edge=on).knobs["full_size_edge"] is on
