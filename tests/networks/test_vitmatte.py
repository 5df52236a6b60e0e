# SPDX-License-Identifier: Apache-2.0
"""ViTMatte against the transformers library, in both layouts, at any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from matte_nodes import checkpoints
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks import vitmatte as module
from matte_nodes.models.networks.vitmatte import ARCHITECTURE, ViTMatte, detect

from .layouts import vitmatte_authors

Alive = Callable[[nn.Module], nn.Module]
Tensors = dict[str, Tensor]


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


OTHER: dict[str, Any] = {
    "hidden": 24, "heads": 3, "depth": 4, "whole": (1, 3), "window": 3, "side": 5, "positions": 26,
    "stream": (4, 6, 8), "fusion": (12, 10, 8, 6), "head": 3,
}  # fmt: skip


@pytest.mark.parametrize("layout", ["transformers", "authors"])
@pytest.mark.parametrize("options", [{}, {"hidden": 768, "heads": 12}, OTHER])
def test_options_and_names_are_told_by_tensors(layout: str, options: dict[str, Any]) -> None:
    with torch.device("meta"):
        own = ViTMatte(**options).state_dict()
    given = vitmatte_authors(own) if layout == "authors" else own
    found = detect(_shapes(given), "")
    assert found is not None
    usual: dict[str, Any] = {
        "hidden": 384, "heads": 6, "depth": 12, "whole": (2, 5, 8, 11), "window": 14, "side": 32,
        "positions": 197, "stream": (48, 96, 192), "fusion": (256, 128, 64, 32), "head": 16,
        "normalisation": "imagenet",
    }  # fmt: skip
    assert found.options == usual | options
    assert {found.names[name] for name in given} == set(own)
    assert found.layout == {"authors": "ViTMatte"}.get(layout, layout)


def test_networks_with_a_router_are_refused() -> None:
    with torch.device("meta"):
        shapes = _shapes(ViTMatte().state_dict())
    with pytest.raises(WeightsError, match="MEMatte"):
        detect({**shapes, "backbone.routers.0.weight": (1,)}, "")


@pytest.fixture
def narrow(alive: Alive) -> nn.Module:
    return alive(ViTMatte.narrow(0.125))


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (64, 96)])
def test_any_size(narrow: nn.Module, size: tuple[int, int]) -> None:
    alpha = narrow(torch.rand(2, 4, *size))
    assert alpha.shape == (2, 1, *size)
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_padding_is_zeros_and_is_cut(narrow: nn.Module) -> None:
    x = torch.rand(1, 4, 40, 50)
    padded = torch.zeros(1, 4, 64, 64)
    padded[:, :, :40, :50] = x
    assert (narrow(x) - narrow(padded)[:, :, :40, :50]).abs().max() < 1e-6


def test_bounded_memory_changes_nothing(narrow: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(1, 4, 96, 160)
    whole = narrow(x)
    monkeypatch.setattr(module, "_SCORES", 1)
    assert (narrow(x) - whole).abs().max() < 1e-5


def _theirs(transformers: Any) -> nn.Module:
    """The transformers library's own network, small, with random weights."""
    backbone = transformers.VitDetConfig(
        hidden_size=48, num_hidden_layers=4, num_attention_heads=3, image_size=160, patch_size=16,
        pretrain_image_size=112, window_size=3, window_block_indices=[0, 2],
        residual_block_indices=[1, 3], use_relative_position_embeddings=True, num_channels=4,
        out_features=["stage4"], layer_norm_eps=1e-6,
    )  # fmt: skip
    config = transformers.VitMatteConfig(
        backbone_config=backbone, hidden_size=48, convstream_hidden_sizes=[6, 12, 24],
        fusion_hidden_sizes=[32, 16, 8, 4],
    )  # fmt: skip
    network: nn.Module = transformers.VitMatteForImageMatting(config)
    return network.eval()


@pytest.mark.parametrize("size", [(160, 160), (96, 224), (64, 32)])
def test_equals_the_transformers_library(size: tuple[int, int], alive: Alive) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="the second oracle: pip install 'matte-nodes[test]'"
    )
    theirs = alive(_theirs(transformers))
    recognition = detect(_shapes(theirs.state_dict()), "")
    assert recognition is not None
    assert recognition.options["whole"] == (1, 3)
    ours = ViTMatte(**recognition.options).eval()
    checkpoints.fill(ours, recognition, theirs.state_dict())
    x = torch.randn(2, 4, *size)
    assert (ours(x) - theirs(pixel_values=x).alphas).abs().max() < 1e-5


def test_the_normalisation_is_an_option_that_no_tensor_tells(alive: Alive) -> None:
    network = alive(ViTMatte.narrow(0.125))
    half = ViTMatte.narrow(0.125, "half").eval()
    half.load_state_dict(network.state_dict())
    plate, trimap = torch.rand(1, 3, 64, 64), torch.full((1, 1, 64, 64), 0.5)
    expected = network(torch.cat((plate * 2 - 1, trimap), 1))
    assert (half(ARCHITECTURE.encode(plate, trimap)) - expected).abs().max() < 1e-5
    found = detect(_shapes(network.state_dict()), "")
    assert found is not None
    assert "normalisation = 'imagenet' is assumed" in found.summary
    assert found.decide({"normalisation": "half"}).options["normalisation"] == "half"
    assert ARCHITECTURE.asked({"normalisation": "auto"}) == {}
    assert ARCHITECTURE.asked({"normalisation": "half"}) == {"normalisation": "half"}
