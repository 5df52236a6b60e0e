# SPDX-License-Identifier: Apache-2.0
"""Torch operations that `torch.jit.script` can take into a .cat file.

F.interpolate and padding by replication cannot be used there: scripted, the first names operators
that torch 2.1 does not have; the second has no half precision.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """Return x at another size: reduced by area, enlarged by linear interpolation."""
    if height == picture.shape[2] and width == picture.shape[3]:
        return picture
    if height < picture.shape[2] or width < picture.shape[3]:
        return F.adaptive_avg_pool2d(picture, (height, width))
    # The function under F.interpolate: scripted, the latter does not load in torch 2.1.
    up: Tensor = torch._C._nn.upsample_bilinear2d(picture, [height, width], False, None)
    return up


def grown(picture: Tensor, multiple: int) -> Tensor:
    """Sides that are multiples, by repeating the edges at the bottom and right.

    By index_select, as padding by replication has no half precision.
    """
    height, width = picture.shape[2], picture.shape[3]
    if height % multiple == 0 and width % multiple == 0:
        return picture
    rows = torch.arange(height + -height % multiple, device=picture.device).clamp(max=height - 1)
    columns = torch.arange(width + -width % multiple, device=picture.device).clamp(max=width - 1)
    return picture.index_select(2, rows).index_select(3, columns)
