# SPDX-License-Identifier: Apache-2.0
"""The four-channel input that trimap networks share: ImageNet-normalised picture, trimap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs

if TYPE_CHECKING:
    from torch import Tensor

    from matte_nodes.models.torch_network import TorchNetwork

UNKNOWN = np.float32(128 / 255)


def picture_and_trimap(network: TorchNetwork, inputs: Inputs) -> Tensor:
    """(1, 4, H, W): normalised RGB, and the trimap as the published code feeds it (0, 128/255, 1)."""
    import torch

    from matte_nodes.models.networks.blocks import imagenet

    assert inputs.trimap is not None  # declared in `needs`; the node has seen to it
    known = (inputs.trimap == 0) | (inputs.trimap == 1)
    trimap = np.where(known, inputs.trimap, UNKNOWN).astype(np.float32)
    return torch.cat((imagenet(network.tensor(inputs.plate)), network.tensor(trimap)), 1)
