# SPDX-License-Identifier: Apache-2.0
"""The cue channels that a trimap network of a paper may be given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from matte_nodes import models
from matte_nodes.errors import ModelError, UsageError
from matte_nodes.export.onnx import export_onnx
from matte_nodes.models.networks.adamatting import AdaMatting
from matte_nodes.models.networks.blocks import imagenet_and_trimap
from matte_nodes.models.networks.cue_channels import CHANNELS, plate_of, with_cues
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.train import recipe, systems


def _input(count: int = 2, side: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A red subject before a blue place, half of each in the unknown band; plate, trimap, input."""
    across = torch.linspace(0, 1, side).expand(count, 1, side, side)
    alpha = ((across - 0.4) / 0.2).clamp(0, 1)
    plate = torch.cat((alpha, torch.full_like(alpha, 0.2), 1 - alpha), 1)
    trimap = torch.where(across < 0.3, 0.0, torch.where(across > 0.7, 1.0, 0.5))
    return plate, trimap, imagenet_and_trimap(plate, trimap)


def test_the_network_s_own_input_comes_first_and_unchanged() -> None:
    _, _, x = _input()
    made = with_cues(x)
    assert made.shape == (2, 4 + CHANNELS, 64, 64)
    assert torch.equal(made[:, :4], x)


def test_the_plate_is_read_back_from_the_input() -> None:
    plate, _, x = _input()
    assert torch.allclose(plate_of(x), plate, atol=1e-6)


def test_a_projected_alpha_is_the_truth_where_two_plain_colours_mix() -> None:
    plate, _, x = _input()
    best = (with_cues(x)[:, 5:6] + 1) / 2
    assert float((best - plate[:, :1]).abs().max()) < 0.02


def test_each_picture_of_a_batch_has_channels_of_its_own() -> None:
    _, _, x = _input()
    other = x.flip(3)
    both = with_cues(torch.cat((x[:1], other[:1])))
    assert torch.allclose(both[1:], with_cues(other[:1]), atol=1e-6)


def test_the_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with_cues(_input(1)[2])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("build", [DeepImageMatting, AdaMatting])
def test_gradients_reach_the_first_layer_s_weights_for_the_cues(build: type) -> None:
    with torch.inference_mode(False), torch.enable_grad():
        network = build(width=0.125, cues=True)
        answer = network(_input()[2])
        (answer.alpha if build is DeepImageMatting else answer.estimate).sum().backward()
    first = network.conv1_1 if build is DeepImageMatting else network.encoder.conv1
    assert first.weight.grad[:, 4:].abs().sum() > 0


@pytest.mark.parametrize("name", ["deep-image-matting", "adamatting"])
def test_an_onnx_export_of_such_weights_is_refused_with_advice(name: str, tmp_path: Path) -> None:
    network = systems.inner(systems.find(name).make(0.0625, {"cues": True}))
    file = tmp_path / "cues.pth"
    torch.save(network.state_dict(), file)
    with pytest.raises(ModelError, match="They take cue channels"):
        export_onnx(models.card(name), tmp_path / "out.onnx", checkpoint=str(file))
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("name", ["deep-image-matting-cues", "adamatting-cues"])
def test_the_recipes_build_a_network_with_cue_channels(name: str) -> None:
    from matte_nodes.train.run import build

    found = recipe.find(name)
    network = systems.inner(build(found))
    assert network.cues


def test_a_recipe_whose_network_has_no_such_option_says_so() -> None:
    source = dict(recipe.find("adamatting-cues").source)
    with pytest.raises(UsageError, match="has no option 'pies'"):
        recipe.parse({**source, "options": {"pies": True}})
