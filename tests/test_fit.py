# SPDX-License-Identifier: Apache-2.0
"""Any size: padding, fixed sizes, tiles equal to the whole within a stated error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matte_nodes import Inputs, MatteNode, ModelCard, Prediction
from matte_nodes.errors import DeviceError, ModelError
from matte_nodes.node import tiling as fit
from matte_nodes.testing.scene import scene


class Sizes:
    """Alpha is the plate's red; remembers the sizes it was given."""

    def __init__(self, fail_over: int = 10**9) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.fail_over = fail_over

    def step(
        self, inputs: Inputs, memory: Mapping[str, Any], knobs: Mapping[str, Any]
    ) -> tuple[Prediction, dict[str, Any]]:
        self.seen.append(inputs.plate.shape[:2])
        if inputs.plate.shape[0] * inputs.plate.shape[1] > self.fail_over:
            raise MemoryError
        return Prediction(np.ascontiguousarray(inputs.plate[..., 0])), {}


class Fails(Sizes):
    """A model whose step raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def step(
        self, inputs: Inputs, memory: Mapping[str, Any], knobs: Mapping[str, Any]
    ) -> tuple[Prediction, dict[str, Any]]:
        raise self.error


def card(model: Sizes, **more: Any) -> ModelCard:
    return ModelCard("sizes", "Sizes", "Sizes.", lambda context: model, **more)


def test_padding_to_a_multiple_is_cut_off_again() -> None:
    model = Sizes()
    plate = np.random.default_rng(1).random((33, 47, 3), np.float32)
    alpha = MatteNode(card(model, multiple=32))(plate, colorspace="sRGB").alpha
    assert model.seen == [(64, 64)]
    assert np.allclose(alpha, plate[..., 0], atol=1e-3)


def test_fixed_size_is_stretched_and_back() -> None:
    model = Sizes()
    plate = np.full((50, 70, 3), 0.25, np.float32)
    alpha = MatteNode(card(model, fixed_size=(16, 16)))(plate, colorspace="sRGB").alpha
    assert model.seen == [(16, 16)]
    assert alpha.shape == (50, 70)
    assert np.allclose(alpha, 0.25, atol=1e-3)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(16, 128), st.integers(0, 15))
def test_tiles_cover_every_pixel(height: int, width: int, side: int, overlap: int) -> None:
    covered = np.zeros((height, width), int)
    weights = np.zeros((height, width), np.float32)
    for tile in fit.tiles((height, width), side, overlap):
        covered[tile.window] += 1
        weights[tile.window] += fit._ramp(tile, (height, width), overlap)
        assert tile.bottom - tile.top <= side
        assert tile.right - tile.left <= side
    assert covered.min() >= 1
    assert weights.min() > 0


def test_tile_equals_whole_for_a_pixelwise_model() -> None:
    plate = scene(300, 420).plate
    whole = MatteNode("green-screen", tile=-1)(plate)
    tiled = MatteNode("green-screen", tile=128)(plate)
    assert np.array_equal(whole.alpha, tiled.alpha)


def test_tile_equals_whole_for_closed_form() -> None:
    """Stated error: mean 0.015 over the band (0.002 here, up to 0.014 on real hair at 256)."""
    made = scene(300, 420)
    whole = MatteNode("closed-form", tile=-1)(made.plate, trimap=made.trimap).alpha
    tiled = MatteNode("closed-form", tile=256)(made.plate, trimap=made.trimap).alpha
    band = (made.trimap > 0) & (made.trimap < 1)
    assert np.abs(whole - tiled)[band].mean() < 0.015
    assert not np.array_equal(whole, tiled)  # it was really cut


def test_tile_equals_whole_for_a_network_and_its_extras() -> None:
    """Stated error: mean 0.005 over the band; classes of extras are never mixed."""
    made = scene(360, 480)
    small = {"untrained": True, "width": 0.0625}
    whole = MatteNode("adamatting", tile=-1, **small)(made.plate, trimap=made.trimap)
    tiled = MatteNode("adamatting", tile=256, **small)(made.plate, trimap=made.trimap)
    band = (made.trimap > 0) & (made.trimap < 1)
    assert np.abs(whole.alpha - tiled.alpha)[band].mean() < 0.005
    adapted, expected = tiled.extras["adapted_trimap"], whole.extras["adapted_trimap"]
    assert set(np.unique(adapted)) <= {0, 0.5, 1}
    assert (adapted == expected).mean() > 0.99


def test_a_foreground_and_extras_are_joined_from_tiles() -> None:
    class Copies(Sizes):
        def step(
            self, inputs: Inputs, memory: Mapping[str, Any], knobs: Mapping[str, Any]
        ) -> tuple[Prediction, dict[str, Any]]:
            alpha = super().step(inputs, memory, knobs)[0].alpha
            return Prediction(alpha, inputs.plate, {"plane": alpha, "colour": inputs.plate}), {}

    plate = np.random.default_rng(2).random((300, 420, 3), np.float32)
    declared = {"predicts_foreground": True, "extras": ("plane", "colour"), "tile_overlap": 32}
    node = MatteNode(card(Copies(), tileable=True, tile_side=128, **declared))
    prediction, _ = node.step(Inputs(plate), {})
    assert prediction.foreground is not None
    assert np.allclose(prediction.foreground, plate, atol=1e-6)
    assert np.array_equal(prediction.extras["plane"], plate[..., 0])
    assert np.array_equal(prediction.extras["colour"], plate)


def test_only_the_unknown_band_is_computed() -> None:
    model = Sizes()
    trimap = np.zeros((400, 400), np.float32)
    trimap[:, 300:] = 1
    trimap[180:190, 295:305] = 0.5
    node = MatteNode(card(model, needs=frozenset({"trimap"}), tileable=True, tile_side=128))
    node(np.zeros((400, 400, 3), np.float32), trimap=trimap)
    assert 1 <= len(model.seen) <= 4


def test_out_of_memory_makes_smaller_tiles() -> None:
    model = Sizes(fail_over=300 * 300)
    node = MatteNode(card(model, tileable=True, tile_side=512))
    alpha = node(np.full((700, 700, 3), 0.5, np.float32), colorspace="sRGB").alpha
    assert np.allclose(alpha, 0.5)
    assert max(model.seen) == (512, 512)
    assert model.seen[-1] == (256, 256)


def test_out_of_memory_on_the_whole_plate_makes_tiles() -> None:
    model = Sizes(fail_over=300 * 300)
    node = MatteNode(card(model, tileable=True))
    alpha = node(np.full((500, 400, 3), 0.5, np.float32), colorspace="sRGB").alpha
    assert np.allclose(alpha, 0.5)
    assert model.seen[0] == (500, 400)
    assert model.seen[-1] == (256, 256)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_memory_that_runs_out_where_tiles_do_not_help(error: Exception) -> None:
    node = MatteNode(card(Fails(error)))
    with pytest.raises(DeviceError, match="runs out of memory at 40 x 30"):
        node(np.zeros((30, 40, 3), np.float32))


def test_a_model_that_fails_is_an_error_of_ours() -> None:
    node = MatteNode(card(Fails(IndexError("list index out of range\nand more"))))
    with pytest.raises(
        ModelError, match=r"'sizes' failed at 40 x 30 \(IndexError: list .* range\)"
    ):
        node(np.zeros((30, 40, 3), np.float32))


def test_no_memory_at_all_is_an_error_that_says_so() -> None:
    node = MatteNode(card(Sizes(fail_over=10), tileable=True, tile_side=512))
    with pytest.raises(DeviceError, match="even by tiles of 256"):
        node(np.zeros((700, 700, 3), np.float32))
