# SPDX-License-Identifier: Apache-2.0
"""Every declared network builds at small widths and takes the sizes its multiple allows."""

from __future__ import annotations

import pytest
import torch

from matte_nodes.architecture import Architecture, Options
from matte_nodes.models.networks.modnet import MODNet

from .layouts import VARIANTS, inputs, own


@pytest.mark.parametrize(("architecture", "options"), VARIANTS)
def test_alpha_has_the_size_of_the_picture(architecture: Architecture, options: Options) -> None:
    network = architecture.build(**options).eval()
    unit = architecture.multiple
    size = (max(unit, 32), max(unit, 32) + unit)
    tensors = (torch.cat((t, t)) for t in inputs(architecture, *size))
    found = architecture.decode(network(*tensors))
    answered = found["alpha"].shape[-2:]
    if architecture.size.square and answered != size:
        size = (answered[0], answered[0])  # a square of its own, whatever comes in
    assert found["alpha"].shape == (2, 1, *size)
    for name, tensor in found.items():
        assert torch.isfinite(tensor).all(), name
        assert tensor.shape[-2:] == size, name


@pytest.mark.parametrize("width", [0.125, 0.25, 0.5])
def test_width_scales_the_parameters(width: float) -> None:
    wide = [architecture for architecture in own() if "width" in architecture.options]
    assert len(wide) >= 5
    for architecture in wide:
        with torch.device("meta"):
            small = sum(p.numel() for p in architecture.build(width=width).parameters())
            full = sum(p.numel() for p in architecture.build().parameters())
        # MMNet keeps eight channels or more.
        assert width**2 * 0.8 < small / full < max(width**2 * 1.6, 0.2), architecture.id


def test_modnet_is_trained_on_three_answers() -> None:
    network = MODNet().eval()
    rgb = torch.rand(1, 3, 64, 64)
    out = network.supervised(rgb)
    assert out.semantic.shape == (1, 1, 4, 4)
    assert out.detail.shape == out.matte.shape == (1, 1, 64, 64)
    assert torch.equal(out.matte, network(rgb))
