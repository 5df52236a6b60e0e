# SPDX-License-Identifier: Apache-2.0
"""The cards of birefnet and vitmatte: sizes, the crop round a segmentation, normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_nodes import MatteNode, checkpoints, models
from matte_nodes.card import Inputs
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.birefnet import ARCHITECTURE, BiRefNet
from matte_nodes.models.networks.vitmatte import ViTMatte
from matte_nodes.testing.scene import scene


@pytest.fixture
def node() -> MatteNode:
    return MatteNode("birefnet", device="cpu", threads=1, untrained=True, width=0.125, size="256")


class _Seen:
    """Stands in for the network: keeps what it was given, answers logits of 3."""

    size = 1024

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, rgb: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(rgb.shape[-2:]))
        return torch.full((1, 1, *rgb.shape[-2:]), 3.0)


@pytest.fixture
def seen(node: MatteNode) -> _Seen:
    found = _Seen()
    model: Any = node.model
    model._network.network = found
    return found


def _alpha(node: MatteNode, size: str, plate: np.ndarray, **hints: Any) -> np.ndarray:
    prediction, _ = node.model.step(Inputs(plate, **hints), {}, {"size": size})
    return prediction.alpha


@pytest.mark.parametrize(
    ("trained", "asked", "plate", "expected"),
    [
        (1024, "auto", (60, 90), (1024, 1024)),
        (2048, "auto", (60, 90), (2048, 2048)),
        (1024, "512", (60, 90), (512, 512)),
        (0, "auto", (300, 500), (288, 512)),
        (1024, "plate", (300, 500), (288, 512)),
        (0, "auto", (60, 90), (256, 384)),
        (0, "auto", (1152, 4608), (576, 2304)),
        (0, "auto", (10, 4000), (256, 2304)),
    ],
)
def test_the_size_that_the_network_sees(
    trained: int, asked: str, plate: tuple[int, int], expected: tuple[int, int],
    node: MatteNode, seen: _Seen,
) -> None:  # fmt: skip
    seen.size = trained
    alpha = _alpha(node, asked, np.zeros((*plate, 3), np.float32))
    assert seen.shapes == [expected]
    assert alpha.shape == plate


def test_logits_become_alpha(node: MatteNode, seen: _Seen) -> None:
    alpha = _alpha(node, "256", np.zeros((64, 64, 3), np.float32))
    assert np.allclose(alpha, 1 / (1 + np.exp(-3)), atol=1e-5)


def test_with_a_segmentation_it_works_on_the_crop_and_pastes_back(
    node: MatteNode, seen: _Seen
) -> None:
    plate = np.zeros((400, 600, 3), np.float32)
    mask = np.zeros((400, 600), np.float32)
    mask[150:250, 300:400] = 1
    alpha = _alpha(node, "256", plate, segmentation=mask)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    # 100 pixels of subject, 40 on each side
    assert (rows[0], rows[-1]) == (110, 289)
    assert (columns[0], columns[-1]) == (260, 439)


def test_the_crop_is_what_the_network_alone_gives_there(node: MatteNode) -> None:
    made = scene(200, 300)
    mask = np.zeros((200, 300), np.float32)
    mask[80:120, 100:140] = 1
    whole = _alpha(node, "256", made.plate, segmentation=mask)
    part = _alpha(node, "256", np.ascontiguousarray(made.plate[40:160, 60:180]))
    assert np.abs(whole[40:160, 60:180] - part).max() < 1e-5
    assert not whole[:40].any()


def test_an_empty_segmentation_is_an_empty_matte(node: MatteNode, seen: _Seen) -> None:
    empty = np.zeros((64, 64), np.float32)
    assert not _alpha(node, "256", np.ones((64, 64, 3), np.float32), segmentation=empty).any()
    assert seen.shapes == []


def test_the_size_of_the_weights_survives_the_import(tmp_path: Path) -> None:
    source = tmp_path / "BiRefNet_HR-matting.pth"
    torch.save({f"module.{n}": t for n, t in BiRefNet.narrow(0.125).state_dict().items()}, source)
    out = tmp_path / "birefnet.safetensors"
    checkpoints.convert(source, out, [ARCHITECTURE])
    loaded, recognition = checkpoints.load(out, [ARCHITECTURE])
    assert loaded.size == 2048
    assert recognition.options["size"] == 2048
    # and by hand, where the file's name does not tell
    bare = tmp_path / "model.pth"
    bare.write_bytes(source.read_bytes())
    checkpoints.convert(bare, out, [ARCHITECTURE], size=0)
    assert checkpoints.load(out, [ARCHITECTURE])[0].size == 0
    with pytest.raises(WeightsError, match="one of 1024, 2048, 0"):
        checkpoints.convert(bare, out, [ARCHITECTURE], size=77)


def test_vitmatte_normalises_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vitmatte.pth"
    torch.manual_seed(1)
    torch.save(ViTMatte.narrow(0.125).state_dict(), path)
    made = scene(64, 96)

    def alpha(**knobs: Any) -> np.ndarray:
        node = MatteNode("vitmatte", device="cpu", threads=1, weights=path, **knobs)
        return node.model.step(Inputs(made.plate, trimap=made.trimap), {}, {})[0].alpha

    assert np.array_equal(alpha(), alpha(normalisation="imagenet"))
    assert not np.array_equal(alpha(), alpha(normalisation="half"))


def test_terms_are_stated_in_words() -> None:
    assert models.card("birefnet").commercial == "yes"
    assert "research" in models.card("birefnet").training_data
    assert models.card("vitmatte").commercial == "unclear"
    assert "non-commercial" in models.card("vitmatte").licence
