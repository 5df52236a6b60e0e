# SPDX-License-Identifier: Apache-2.0
"""The shipped weights: inside the package, right, and better than what they start from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from matte_nodes import MatteNode, models, weights
from matte_nodes.errors import WeightsError
from matte_nodes.models import cues
from matte_nodes.train.data import Material, maker
from matte_nodes.train.recipe import find

SHIPPED = ("trimap-cues", "closed-form-refined", "clean-plate-cues")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_file_is_in_the_package_and_is_what_is_declared(name: str) -> None:
    for item in models.card(name).weights:
        assert weights.verify(item) == "ok"
        assert item.size < 5_000_000
        assert item.commercial == "yes"
        assert weights.pull(item) == weights.place(item)


def test_a_damaged_shipped_file_is_said() -> None:
    item = models.card("trimap-cues").weights[0]
    with pytest.raises(WeightsError, match="install it again"):
        weights.pull(dataclasses.replace(item, size=1))


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Made scenes that training has not seen: plate, trimap, true alpha; a seed of their own."""
    recipe = find("trimap-cues")
    make = maker(recipe.for_stage(recipe.stages[-1]), Material(), "train")
    make = dataclasses.replace(make, side=192)
    found = []
    for number in range(6):
        sample = make(12345, number)
        trimap = np.select([sample[..., 15] == 0, sample[..., 15] == 255], [0, 255], 128)
        found.append((sample[..., :3].copy(), trimap.astype(np.uint8), sample[..., -1] / 255))
    return found


def _error(alpha: np.ndarray, trimap: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(alpha - true)[trimap == 128].sum())


def test_the_trimap_network_beats_the_colours_it_is_given(scenes: list) -> None:  # type: ignore[type-arg]
    node = MatteNode("trimap-cues", device="cpu", threads=1)
    own = start = 0.0
    for plate, trimap, true in scenes:
        own += _error(node(plate, trimap=trimap).alpha, trimap, true)
        hint = np.select([trimap == 0, trimap == 255], [0.0, 1.0], 0.5).astype(np.float32)
        planes = cues.planes(plate / np.float32(255), hint)
        front, back = planes[..., 9:12], planes[..., 12:15]
        apart = front - back
        along = ((planes[..., :3] - back) * apart).sum(2) / ((apart**2).sum(2) + 1e-3)
        start += _error(along.clip(0, 1), trimap, true)
    assert own < 0.9 * start


def test_refining_beats_closed_form(scenes: list) -> None:  # type: ignore[type-arg]
    totals = []
    for name in ("closed-form-refined", "closed-form"):
        node = MatteNode(name, device="cpu", threads=1)
        totals.append(sum(_error(node(p, trimap=t).alpha, t, true) for p, t, true in scenes))
    assert totals[0] < 0.95 * totals[1]


def test_the_clean_plate_network_finds_the_subject_before_an_imperfect_plate() -> None:
    recipe = find("clean-plate-cues")
    make = dataclasses.replace(maker(recipe, Material(), "train"), side=192)
    node = MatteNode("clean-plate-cues", device="cpu", threads=1)
    own = key = 0.0
    for number in range(6):
        sample = make(12345, number)
        plate, clean, true = sample[..., :3], sample[..., 3:6], sample[..., 7] / 255
        own += np.abs(node(plate.copy(), background=clean.copy()).alpha - true).sum()
        size = np.abs(plate.astype(np.float32) - clean).max(2) / 255
        key += np.abs(((size - 0.06) / 0.12).clip(0, 1) - true).sum()
    assert own < 0.6 * key
