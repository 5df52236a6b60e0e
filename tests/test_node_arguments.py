# SPDX-License-Identifier: Apache-2.0
"""What people hand to a node by mistake, or by another habit than ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteError, MatteNode
from matte_nodes.errors import DeviceError, KnobValueError, UnknownModelError, UsageError
from matte_nodes.testing.scene import scene

MADE = scene(48, 64)


@pytest.mark.parametrize(
    "knobs",
    [
        {"feather": None}, {"feather": [1]}, {"feather": 1j}, {"feather": float("nan")},
        {"tile": float("nan")}, {"tile": float("inf")}, {"tile": 2.5}, {"tile": 10**30},
        {"foreground": None}, {"foreground": ["auto"]}, {"align_background": 1},
    ],
)  # fmt: skip
def test_values_that_are_none_of_a_knobs(knobs: dict[str, Any]) -> None:
    with pytest.raises(KnobValueError, match=next(iter(knobs))):
        MatteNode("green-screen", **knobs)


def test_wrong_kinds_of_arguments_are_errors_of_ours() -> None:
    with pytest.raises(UnknownModelError):
        MatteNode(None)  # type: ignore[arg-type]
    with pytest.raises(DeviceError):
        MatteNode("green-screen", device=None)  # type: ignore[arg-type]
    for threads in (-1, "2"):
        with pytest.raises(UsageError):
            MatteNode("green-screen", threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [MADE.plate.astype(np.float64), MADE.plate.tolist(), None, "p.exr"])
def test_plates_that_are_no_float32_arrays(bad: Any) -> None:
    with pytest.raises(MatteError, match=r"float32|RGB"):
        MatteNode("green-screen")(bad)


def test_integer_plates_are_srgb_as_in_files() -> None:
    """A photograph read by OpenCV or PIL: as a still and as a clip it gives the same matte."""
    codes = np.uint8(np.clip(MADE.plate, 0, 1) * 255)
    node = MatteNode("green-screen")
    still, shot = node(codes), node.connect(codes).at(1)
    assert still.colorspace == shot.colorspace
    assert np.array_equal(still.alpha, shot.alpha)
    assert np.array_equal(still.foreground, shot.foreground)
    named = node(codes, colorspace="scene_linear")
    assert named.colorspace != still.colorspace


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint16, np.float64])
def test_masks_of_zeros_and_ones_of_any_type(dtype: Any) -> None:
    """As 8-bit codes 0 and 1 are black: an integer mask would have emptied the matte in silence."""
    node, mask = MatteNode("green-screen", segmentation_use="garbage"), MADE.alpha > 0.5
    expected = node(MADE.plate, segmentation=mask.astype(np.float32))
    assert expected.alpha.max() == 1
    assert np.array_equal(node(MADE.plate, segmentation=mask.astype(dtype)).alpha, expected.alpha)
    forced = MatteNode("green-screen")(MADE.plate, trimap=mask.astype(dtype))
    assert np.array_equal(forced.alpha, mask.astype(np.float32))
