# SPDX-License-Identifier: Apache-2.0
"""The networks have as many parameters and tensors as the published ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from matte_nodes.models.networks.adamatting import AdaMatting
from matte_nodes.models.networks.background_matting import BackgroundMatting
from matte_nodes.models.networks.background_matting_v2 import BackgroundMattingV2
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import GFM
from matte_nodes.models.networks.mmnet import MMNet
from matte_nodes.models.networks.modnet import MODNet
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting
from matte_nodes.models.networks.selfie import Selfie

PUBLISHED = [
    (lambda: DeepImageMatting(skip=True, conv6_kernel=3), 28_373_954, 50),
    (lambda: BackgroundMatting(), 17_908_420, 322),
    (lambda: MMNet(1.0), 190_652, None),
    (lambda: MMNet(0.75), 120_428, None),
    (lambda: MMNet(0.5), 64_260, None),
    (lambda: MMNet(1.4), 356_588, None),
    (lambda: GFM("r34", "TT"), 55_286_316, None),
    (lambda: GFM("r34_2b", "TT"), 125_878_956, None),
    (lambda: GFM("d121", "RIM"), 47_409_347, None),
    (lambda: MODNet(), 6_487_075, None),
    (lambda: BackgroundMattingV2(), 5_006_839, 382),
    (lambda: RobustVideoMatting(), 3_748_633, 380),
    (lambda: Selfie(), 106_401, None),
]


@pytest.mark.parametrize(("make", "parameters", "tensors"), PUBLISHED)
def test_as_many_as_published(
    make: Callable[[], nn.Module], parameters: int, tensors: int | None
) -> None:
    with torch.device("meta"):
        network = make()
    assert sum(tensor.numel() for tensor in network.parameters()) == parameters
    if tensors is not None:
        assert len(network.state_dict()) == tensors


def test_adamatting_has_the_encoder_of_a_resnet50_and_two_decoders() -> None:
    with torch.device("meta"):
        network = AdaMatting()
    encoder = sum(tensor.numel() for tensor in network.encoder.parameters())
    # ResNet-50 up to its third stage is 8,543,296 parameters; the fourth input adds 64 x 49
    assert encoder == 8_543_296 + 64 * 49
    assert sum(tensor.numel() for tensor in network.parameters()) == 68_175_057
