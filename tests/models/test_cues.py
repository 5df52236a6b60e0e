# SPDX-License-Identifier: Apache-2.0
"""The shipped trimap network's planes and its pieces: exact at any size, and the whole network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from matte_nodes.models import cues
from matte_nodes.testing.scene import scene as natural


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A plate and a trimap of bands."""
    rng = np.random.default_rng(seed)
    plate = rng.random((height, width, 3), np.float32)
    rows, columns = np.mgrid[0:height, 0:width]
    away = np.hypot(rows - height * rng.random(), columns - width * rng.random())
    reach = max(height, width)
    trimap = np.where(away < 0.2 * reach, 1.0, np.where(away < 0.45 * reach, 0.5, 0.0))
    return plate, trimap.astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (33, 50), (97, 64)])
def test_planes_of_any_size(size: tuple[int, int]) -> None:
    plate, trimap = scene(*size)
    found = cues.planes(plate, trimap)
    assert found.shape == (*size, cues.PLANES)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.array_equal(found[..., :3], plate)
    assert np.array_equal(found[..., 15], trimap)


def test_known_colours_stay_and_are_carried() -> None:
    plate, trimap = scene(60, 80)
    known = trimap == 1
    found = cues.planes(plate, trimap)[..., 3:6]
    assert np.array_equal(found[known], plate[known])
    flat = np.where(known[..., None], np.float32([0.2, 0.5, 0.9]), plate).astype(np.float32)
    found = cues.planes(flat, trimap)[..., 3:6]
    assert np.abs(found - np.float32([0.2, 0.5, 0.9])).max() < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (33, 50), (151, 210)])
def test_opencvs_tools_and_torchs_make_the_same_planes(size: tuple[int, int]) -> None:
    from matte_nodes.models.networks.cue_planes import CuePlanes, TorchTools

    made = natural(*size)
    plate, trimap = made.plate.clip(0, 1).astype(np.float32), made.trimap
    with torch.inference_mode():
        found = CuePlanes(TorchTools())(torch.from_numpy(plate), torch.from_numpy(trimap))
    wanted = cues.planes(plate, trimap)
    difference = np.abs(found[0].numpy().transpose(1, 2, 0) - wanted)
    # The nearest of several pixels at one distance is another one here and there.
    assert difference.mean((0, 1)).max() < 2e-3
    assert np.quantile(difference, 0.99) < 0.02
    known = (trimap == 0) | (trimap == 1)
    assert np.array_equal(difference[known][:, :3], 0 * difference[known][:, :3])


def test_more_threads_make_the_same_planes() -> None:
    plate, trimap = scene(400, 500)
    assert np.array_equal(cues.planes(plate, trimap, 1), cues.planes(plate, trimap, 3))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_trimap_of_one_value_makes_planes(value: float) -> None:
    plate, trimap = scene(40, 60)
    found = cues.planes(plate, np.full_like(trimap, value))
    assert np.isfinite(found).all()
    assert (found[..., 15] == value).all()


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("size", [(32, 32), (64, 352), (288, 160), (160, 224)])
def test_in_pieces_as_the_whole_network(size: tuple[int, int], coarse: bool) -> None:
    from matte_nodes.models.cue_pieces import in_pieces
    from matte_nodes.models.networks.cue_matting import TrimapCues, folded

    torch.manual_seed(3)
    network = TrimapCues(0.25)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(network.net.answer.weight, std=0.5)
    network.eval()
    plate, trimap = scene(*size, seed=5)
    planes = torch.from_numpy(cues.planes(plate, trimap).transpose(2, 0, 1).copy())[None]
    given = torch.rand(1, 1, *size) if coarse else None
    with torch.inference_mode():
        whole = network(planes, given)
        pieces = in_pieces(network, planes, given)
        both = in_pieces(folded(network), planes, given)
    unknown = trimap == 0.5
    assert whole[0, 0].numpy()[unknown].std() > 0.01, "it says nothing"
    assert (whole - pieces).abs().max() < 1e-5
    assert (whole - both).abs().max() < 1e-4
