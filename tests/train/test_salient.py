# SPDX-License-Identifier: Apache-2.0
"""Backgrounds without subjects, own backgrounds, crops of own foregrounds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from matte_nodes.errors import WeightsError
from matte_nodes.train import samples
from matte_nodes.train.data import Material, maker
from matte_nodes.train.recipe import find, trial
from matte_nodes.train.salient import has_subject, without_subjects
from tests.conftest import needs_weights

from .made import tiny


def disc(share: float) -> np.ndarray:
    mask = np.zeros((100, 100), np.float32)
    cv2.circle(mask, (50, 50), round(100 * np.sqrt(share / np.pi)), 1.0, -1)
    return mask


def test_an_object_is_a_subject_a_haze_a_speck_and_a_whole_picture_are_none() -> None:
    assert has_subject(disc(0.2))
    assert not has_subject(disc(0.002))
    assert not has_subject(np.ones((50, 50), np.float32))
    rng = np.random.default_rng(1)
    haze = cv2.GaussianBlur(rng.random((100, 100)).astype(np.float32), (0, 0), 8)
    assert not has_subject((haze - haze.min()) / np.ptp(haze))


@needs_weights("u2netp")
def test_a_photograph_with_a_subject_is_no_background() -> None:
    grey = np.full((120, 160, 3), 150, np.uint8) + np.random.default_rng(0).integers(
        0, 6, (120, 160, 3), dtype=np.uint8
    )
    apple = grey.copy()
    cv2.circle(apple, (80, 65), 34, (200, 30, 30), -1, cv2.LINE_AA)
    cv2.ellipse(apple, (70, 50), (8, 5), 0, 0, 360, (250, 160, 160), -1, cv2.LINE_AA)
    stripes = np.zeros_like(grey)
    stripes[::8] = 120
    said: list[str] = []
    kept = without_subjects(Material([apple, stripes]), "u2netp", said.append)
    assert kept.backgrounds is not None
    assert len(kept.backgrounds) == 1
    assert np.array_equal(kept.backgrounds[0], stripes)
    assert len(kept.photographs) == 2  # textures of foregrounds may still be of it
    assert said == ["1 of 2 photographs show no subject and are backgrounds"]
    with pytest.raises(WeightsError, match="finds a subject in every one"):
        without_subjects(Material([apple]), "u2netp")


def test_without_a_detector_or_photographs_nothing_is_left_out() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    assert without_subjects(Material([picture]), "").backgrounds is None
    assert without_subjects(Material(), "u2netp").backgrounds is None


def test_own_backgrounds_are_what_is_behind() -> None:
    red = np.zeros((90, 90, 3), np.uint8)
    red[..., 0] = 200
    recipe = tiny()
    made = maker(recipe, Material(backgrounds=[red]), "train")
    assert made.backs is not None
    from dataclasses import replace

    always = replace(made, backs=type(made.backs)([red], 1.0))
    composite = always.composite(np.random.default_rng(3))
    strongest = composite.background.mean((0, 1))
    # Its channels may change places; one of them stays far above the others.
    assert np.sort(strongest)[-1] > 5 * np.sort(strongest)[-2]


def test_the_rssn_recipe_takes_large_crops_and_plain_backgrounds() -> None:
    recipe = find("gfm")
    assert tuple(recipe.data.zooms) == (2.0, 3.0, 4.0)
    assert recipe.data.plain == "u2netp"
    assert (recipe.route.denoise, recipe.route.sharpness, recipe.route.noise) == (0.5, 0.5, 0.5)
    layer = np.zeros((300, 300, 4), np.uint8)
    cv2.circle(layer, (150, 150), 60, (250, 250, 250, 255), -1, cv2.LINE_AA)
    rng = np.random.default_rng
    areas = [samples.cut(rng(7), layer, 64, (zoom,)).alpha.mean() for zoom in (1.0, 4.0)]
    assert areas[1] < areas[0]


def test_the_rssn_route_makes_composites_of_a_user_s_folder(tmp_path: Path) -> None:
    from matte_nodes.train.export import write_pictures

    write_pictures(trial(find("gfm"), side=64), Material(), tmp_path, 1)
    assert cv2.imread(str(tmp_path / "plate" / "00000.png")) is not None
