# SPDX-License-Identifier: Apache-2.0
"""What people hand to a node by mistake, or by another habit than ours."""

from __future__ import annotations

from pathlib import Path
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


@pytest.mark.parametrize("same", [MADE.plate.astype(np.float64), MADE.plate.tolist()])
def test_plates_of_doubles_are_taken(same: Any) -> None:
    node = MatteNode("green-screen")
    assert np.array_equal(node(same).alpha, node(MADE.plate).alpha)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (None, "is None"),
        ("p.exr", r"node\.connect"),
        (Path("p.exr"), r"node\.connect"),
        (b"p", r"node\.connect"),
        (object(), "no picture"),
        ((MADE.plate * 255).astype(np.int64), "float32"),
        (MADE.plate > 0.5, "bool"),
        (MADE.plate.transpose(2, 0, 1), "channels first"),
        (MADE.plate[None], "one picture"),
        (np.dstack([MADE.plate, MADE.plate[..., :1]]), r"\[\.\.\., :3\]"),
        (MADE.plate[..., 0], "grey"),
    ],
)
def test_plates_that_are_none_say_what_to_do(bad: Any, why: str) -> None:
    with pytest.raises(MatteError, match=why):
        MatteNode("green-screen")(bad)
    if bad is not None:
        for name in ("trimap", "background", "segmentation"):
            if name == "background" or not hasattr(bad, "shape"):
                with pytest.raises(MatteError):
                    MatteNode("green-screen")(MADE.plate, **{name: bad})


def test_pictures_of_pil() -> None:
    images = pytest.importorskip("PIL.Image")
    codes = (MADE.plate * 255).round().astype(np.uint8)
    node = MatteNode("green-screen")
    expected = node(codes).alpha
    image = images.fromarray(codes)
    assert np.array_equal(node(image).alpha, expected)
    assert np.array_equal(node.connect([image]).at(1).alpha, expected)
    assert np.array_equal(node.connect(image).at(1).alpha, expected)
    with node.stream() as live:
        assert np.array_equal(live.step(image).alpha, expected)
    few = image.quantize(16)
    assert np.array_equal(node(few).alpha, node(few.convert("RGB")).alpha)
    labels = images.fromarray((expected > 0.5).astype(np.uint8)).convert("P")
    assert node(codes, segmentation=labels).alpha.max() == expected.max()
    with pytest.raises(MatteError, match=r"\[\.\.\., :3\]"):
        node(image.convert("RGBA"))


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    codes = (MADE.plate * 255).round().astype(np.uint8)
    node = MatteNode("green-screen")
    expected = node(codes).alpha
    tensor = torch.from_numpy(codes)
    assert np.array_equal(node(tensor).alpha, expected)
    assert np.array_equal(node.connect(tensor[None]).at(1).alpha, expected)
    floats = torch.from_numpy(MADE.plate).requires_grad_()
    assert np.array_equal(node(floats).alpha, node(MADE.plate).alpha)
    with pytest.raises(MatteError, match="permute"):
        node(tensor.permute(2, 0, 1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_stream_of_codes_is_srgb_like_a_still(kind: type) -> None:
    codes = (MADE.plate * np.iinfo(kind).max).round().astype(kind)
    node, mask = MatteNode("green-screen"), np.full(MADE.plate.shape[:2], 255, np.uint8)
    with node.stream() as live:
        assert np.array_equal(live.step(codes).alpha, node(codes).alpha)
        assert np.array_equal(live.step(MADE.plate).alpha, node(MADE.plate).alpha)
        bounded = live.step(codes, segmentation=mask).alpha
        assert np.array_equal(bounded, node(codes, segmentation=mask).alpha)
    with node.stream(colorspace="scene_linear") as live:
        assert not np.array_equal(live.step(codes).alpha, node(codes).alpha)


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
