# SPDX-License-Identifier: Apache-2.0
"""Extra channels that a trimap network of a paper may be given: likely colours, distances, alphas.

A small network that is trained for an hour cannot learn to look for colours far away. These
channels tell it what a trimap already tells. They are made of the network's own input, so the
network still takes plate and trimap alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from matte_nodes.models.networks.blocks import IMAGENET
from matte_nodes.models.networks.cue_matting import seen
from matte_nodes.models.networks.cue_planes import CuePlanes, TorchTools
from matte_nodes.models.networks.cue_tools import quick
from matte_nodes.runtime import use_threads

CHANNELS = 18
"""Two projected alphas, two closenesses, the error of the best pair, how far apart its colours are,
and the plate's differences to four likely colours (three channels each)."""


def with_cues(x: Tensor) -> Tensor:
    """Return (N, 4 + CHANNELS, H, W): the input of a trimap network, and its cue channels behind it.

    x: (N, 4, H, W), as `blocks.imagenet_and_trimap` returns it.
    """
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        plate = plate_of(x)
        trimap = torch.round(x[:, 3:4].float() * 2) / 2
        made = torch.cat(
            [_planes(picture, hint) for picture, hint in zip(plate, trimap, strict=True)]
        )
        return torch.cat((x, channels(made).to(x.dtype)), 1)


def plate_of(x: Tensor) -> Tensor:
    """Return the plate (N, 3, H, W), display-encoded 0..1, from the input of a trimap network."""
    planes = [x[:, n : n + 1].float() * width + mean for n, (mean, width) in enumerate(IMAGENET)]
    return torch.cat(planes, 1).clamp(0, 1)


def _planes(plate: Tensor, trimap: Tensor) -> Tensor:
    """Return (1, 19, H, W): OpenCV's planes on the processor, torch's on a card."""
    picture, hint = plate.permute(1, 2, 0).contiguous(), trimap[0].contiguous()
    if plate.is_cuda:
        found: Tensor = CuePlanes(TorchTools())(picture, hint)
        return found
    threads = torch.get_num_threads()
    use_threads(1)
    made: Tensor = quick(threads)(picture, hint)
    use_threads(threads)
    return made


def channels(planes: Tensor) -> Tensor:
    """Return (N, CHANNELS, H, W) of the planes (N, 19, H, W): part of `cue_matting.seen`."""
    features, _ = seen(planes)
    # Before: the plate and the trimap, which the network has; between: no coarse alpha is given.
    return torch.cat((features[:, 5:7] * 2 - 1, features[:, 9:]), 1)


def unexportable(network: Any) -> str:
    """Return why a network with cue channels cannot be exported; "" for one without them."""
    if not network.cues:
        return ""
    return (
        "They take cue channels, which code makes that depends on the picture. Export "
        "trimap-cues to a .cat file, or import weights that take plate and trimap alone."
    )
