# SPDX-License-Identifier: Apache-2.0
"""Every network builds at small widths and takes the sizes its declared multiple allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from matte_nodes.models.networks.adamatting import AdaMatting
from matte_nodes.models.networks.background_matting import BackgroundMatting
from matte_nodes.models.networks.background_matting_v2 import BackgroundMattingV2
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import GFM
from matte_nodes.models.networks.mmnet import MMNet
from matte_nodes.models.networks.modnet import MODNet
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting
from matte_nodes.models.networks.selfie import Selfie

Make = Callable[[], nn.Module]

NETWORKS: dict[str, tuple[Make, tuple[int, ...], Callable[[Any], Tensor]]] = {
    "dim": (lambda: DeepImageMatting(0.125, skip=True), (4,), lambda out: out.alpha),
    "mmnet": (lambda: MMNet(0.25), (3,), lambda out: out.alpha),
    "bm": (lambda: BackgroundMatting(0.125), (3, 3, 1, 4), lambda out: out.alpha),
    "adamatting": (lambda: AdaMatting(0.125), (4,), lambda out: out.alpha),
    "gfm-r34": (lambda: GFM("r34", "FT", 0.0625), (3,), lambda out: out.fusion),
    "gfm-r34-2b": (lambda: GFM("r34_2b", "BT", 0.0625), (3,), lambda out: out.fusion),
    "gfm-d121": (lambda: GFM("d121", "RIM", 0.0625), (3,), lambda out: out.fusion),
    "gfm-r101": (lambda: GFM("r101", "TT", 0.0625), (3,), lambda out: out.fusion),
    "modnet": (MODNet, (3,), lambda out: out),
    "bm2": (BackgroundMattingV2, (3, 3), lambda out: out.alpha),
    "rvm": (RobustVideoMatting, (3,), lambda out: out.alpha),
    "rvm-resnet50": (lambda: RobustVideoMatting("resnet50"), (3,), lambda out: out.alpha),
    "selfie": (Selfie, (3,), lambda out: out),
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_alpha_has_the_size_of_the_picture(name: str) -> None:
    make, channels, alpha = NETWORKS[name]
    network = make().eval()
    unit = int(network.multiple)  # type: ignore[arg-type]
    size = (max(unit, 32), max(unit, 32) + unit)
    out = alpha(network(*(torch.rand(2, count, *size) for count in channels)))
    assert out.shape == (2, 1, *size)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("width", [0.125, 0.25, 0.5])
def test_width_scales_the_parameters(width: float) -> None:
    for make in (DeepImageMatting, BackgroundMatting, AdaMatting, lambda w: GFM(width=w)):
        with torch.device("meta"):
            small = sum(p.numel() for p in make(width).parameters())
            full = sum(p.numel() for p in make(1.0).parameters())
        assert width**2 * 0.8 < small / full < width**2 * 1.6


def test_modnet_is_trained_on_three_answers() -> None:
    network = MODNet().eval()
    rgb = torch.rand(1, 3, 64, 64)
    out = network.supervised(rgb)
    assert out.semantic.shape == (1, 1, 4, 4)
    assert out.detail.shape == out.matte.shape == (1, 1, 64, 64)
    assert torch.equal(out.matte, network(rgb))
