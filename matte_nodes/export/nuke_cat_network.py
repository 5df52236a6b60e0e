# SPDX-License-Identifier: Apache-2.0
"""Networks in the form that a .cat file holds: one tensor in, one out, any size, knobs inside.

The network itself is traced, which keeps its operators to those of old torch versions (a scripted
F.interpolate names operators that torch 2.1 does not have); what depends on the picture's size and
on knobs is scripted round it, without F.interpolate. Knobs are attributes: they survive scripting
and would vanish in a trace.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Core(nn.Module):
    """A network's alpha alone, for tracing: (1, C, H, W) to (1, 1, H, W)."""

    def __init__(self, network: nn.Module, pick: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network, self.pick = network, pick

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer, its alpha picked out."""
        return self.pick(self.network(x))


def seen(picture: Tensor, linear: bool, exposure: float) -> Tensor:
    """What the network sees: exposed, sRGB-encoded where the picture is linear, 0..1."""
    exposed: Tensor = picture * (2.0**exposure)
    if linear:
        exposed = exposed.clamp(0.0, 1.0)
        low = exposed * 12.92
        high = 1.055 * exposed.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
        exposed = torch.where(exposed <= 0.0031308, low, high)
    return exposed.clamp(0.0, 1.0)


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """By area down, by linear interpolation up."""
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
    rows = torch.arange(height + -height % multiple, device=picture.device).clamp(max=height - 1)
    columns = torch.arange(width + -width % multiple, device=picture.device).clamp(max=width - 1)
    return picture.index_select(2, rows).index_select(3, columns)


class FromTrimap(nn.Module):
    """(1, 4, H, W), RGB and trimap, to (1, 1, H, W); the trimap's 0 and 1 are forced.

    Knobs: linear (the picture is scene-linear), exposure (stops).
    """

    def __init__(self, core: nn.Module, multiple: int) -> None:
        super().__init__()
        self.core = core
        self.multiple = multiple
        self.linear: bool = True
        self.exposure: float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Alpha, 0..1, as large as the picture."""
        height, width = x.shape[2], x.shape[3]
        rgb = seen(x[:, :3], self.linear, self.exposure)
        trimap = x[:, 3:4]
        black, white = trimap <= 0.05, trimap >= 0.95
        code = torch.where(black, torch.zeros_like(trimap), torch.full_like(trimap, 128.0 / 255.0))
        code = torch.where(white, torch.ones_like(trimap), code)
        red = (rgb[:, 0:1] - 0.485) / 0.229
        green = (rgb[:, 1:2] - 0.456) / 0.224
        blue = (rgb[:, 2:3] - 0.406) / 0.225
        whole = torch.cat([red, green, blue, code], 1)
        alpha = self.core(grown(whole, self.multiple))[:, :, :height, :width].clamp(0.0, 1.0)
        alpha = torch.where(black, torch.zeros_like(alpha), alpha)
        return torch.where(white, torch.ones_like(alpha), alpha).contiguous()


class FromPlate(nn.Module):
    """(1, 3, H, W) to (1, 1, H, W), the network at a size of its own.

    height, width: that size where it is fixed; 0: the shorter side is the knob reference_size and
    sides are multiples of `multiple`. The network wants picture x scale + offset. Knobs: linear,
    exposure, and reference_size where there is one.
    """

    def __init__(
        self, core: nn.Module, multiple: int, scale: float, offset: float, size: tuple[int, int],
        reference_size: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.core = core
        self.multiple = multiple
        self.scale, self.offset = scale, offset
        self.height, self.width = size
        self.linear: bool = True
        self.exposure: float = 0.0
        self.reference_size: int = reference_size

    def forward(self, x: Tensor) -> Tensor:
        """Alpha, 0..1, as large as the picture."""
        rows, columns = self.height, self.width
        if rows == 0:
            share = float(self.reference_size) / float(min(x.shape[2], x.shape[3]))
            share = min(share, 2048.0 / float(max(x.shape[2], x.shape[3])))
            rows = max(self.multiple, int(x.shape[2] * share) // self.multiple * self.multiple)
            columns = max(self.multiple, int(x.shape[3] * share) // self.multiple * self.multiple)
        small = resized(seen(x[:, :3], self.linear, self.exposure), rows, columns)
        alpha = self.core(small * self.scale + self.offset)
        return resized(alpha, x.shape[2], x.shape[3]).clamp(0.0, 1.0).contiguous()
