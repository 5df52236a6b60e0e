# SPDX-License-Identifier: Apache-2.0
"""The networks have as many parameters and tensors as the published ones."""

from __future__ import annotations

import pytest
import torch

from matte_nodes.architecture import Architecture, Published
from matte_nodes.models.networks.adamatting import AdaMatting

from .layouts import own

PUBLISHED = [
    pytest.param(architecture, published, id=f"{architecture.id}-{number}")
    for architecture in own()
    for number, published in enumerate(architecture.published)
]


def test_every_network_states_a_published_size() -> None:
    assert [architecture.id for architecture in own() if not architecture.published] == []


@pytest.mark.parametrize(("architecture", "published"), PUBLISHED)
def test_as_many_as_published(architecture: Architecture, published: Published) -> None:
    with torch.device("meta"):
        network = architecture.build(**published.options)
    assert sum(tensor.numel() for tensor in network.parameters()) == published.parameters
    if published.tensors is not None:
        assert len(network.state_dict()) == published.tensors


def test_adamatting_has_the_encoder_of_a_resnet50() -> None:
    with torch.device("meta"):
        network = AdaMatting()
    encoder = sum(tensor.numel() for tensor in network.encoder.parameters())
    # ResNet-50 up to its third stage is 8,543,296 parameters; the fourth input adds 64 x 49
    assert encoder == 8_543_296 + 64 * 49
