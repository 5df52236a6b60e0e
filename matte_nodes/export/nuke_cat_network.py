# SPDX-License-Identifier: Apache-2.0
"""Networks in the form that a .cat file holds: one tensor in, one out, any size, knobs inside.

The network is traced with its encoding and decoding, which keeps its operators to those of old
torch versions. What depends on the picture's size and on knobs is scripted round it. Knobs are
attributes: they survive scripting and would vanish in a trace.
"""

import torch
from torch import Tensor, nn

from matte_nodes.architecture import Architecture
from matte_nodes.models.networks.scriptable import grown, resized


class Core(nn.Module):
    """A network's alpha alone, for tracing: (1, 3, H, W) and (1, 1, H, W) to (1, 1, H, W)."""

    def __init__(self, network: nn.Module, architecture: Architecture) -> None:
        super().__init__()
        self.network, self.architecture = network, architecture
        # As a submodule, so that `half()` reaches what it holds.
        if isinstance(architecture.encode, nn.Module):
            self.encoder = architecture.encode

    def forward(self, plate: Tensor, trimap: Tensor) -> Tensor:
        """Return the decoded alpha. A network without a trimap does not see it."""
        pictures = (plate, trimap) if "trimap" in self.architecture.inputs else (plate,)
        return self.architecture(self.network, *pictures)["alpha"]


def seen(picture: Tensor, linear: bool, exposure: float) -> Tensor:
    """Return what the network sees: exposed, sRGB-encoded where the picture is linear, 0..1."""
    exposed: Tensor = (picture * (2.0**exposure)).clamp(0.0, 1.0)
    if linear:
        curve = (1.055 * exposed ** (1.0 / 2.4) - 0.055).clamp(max=1.0)
        exposed = torch.where(exposed <= 0.0031308, exposed * 12.92, curve)
    return exposed


class FromPictures(nn.Module):
    """(1, 3, H, W), or (1, 4, H, W) with a trimap, to (1, 1, H, W).

    core: takes plate and trimap. hint: whether there is a trimap; its 0 and 1 are kept. multiple:
    of the core's sides. size: height and width that the core always works at; 0: the shorter side
    is the knob reference_size, and where that is 0 too, the picture's own size times `share`.
    Knobs: linear (the picture is scene-linear), exposure (stops), reference_size, and where that is
    0 downrez (1: the picture's own size, 2: half of it).
    """

    def __init__(
        self, core: nn.Module, hint: bool, multiple: int, size: tuple[int, int],
        reference_size: int = 0, longest: int = 2048, share: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.core = core
        self.hint = hint
        self.multiple = multiple
        self.height, self.width = size
        self.longest = longest
        self.share = share
        self.linear: bool = True
        self.exposure: float = 0.0
        self.reference_size: int = reference_size
        self.downrez: int = 1

    def forward(self, x: Tensor) -> Tensor:
        """Return alpha, 0..1, as large as the picture."""
        height, width = x.shape[2], x.shape[3]
        plate = self.encoded(x[:, :3])
        given = x[:, 3:4] if self.hint else plate[:, :1]
        rows, columns = self.rows_and_columns(height, width)
        if rows != height or columns != width:
            plate, given = resized(plate, rows, columns), resized(given, rows, columns)
        trimap = torch.full_like(plate[:, :1], 0.5)
        if self.hint:
            trimap.masked_fill_(given <= 0.05, 0.0).masked_fill_(given >= 0.95, 1.0)
        alpha = self.core(grown(plate, self.multiple), grown(trimap, self.multiple))
        alpha = resized(alpha[:, :, :rows, :columns], height, width).clamp(0.0, 1.0)
        if self.hint:
            alpha.masked_fill_(x[:, 3:4] <= 0.05, 0.0).masked_fill_(x[:, 3:4] >= 0.95, 1.0)
        return alpha.contiguous()

    def encoded(self, picture: Tensor) -> Tensor:
        """Return what the network sees, made in bands of rows: whole, it takes four pictures more."""
        found = torch.empty_like(picture, memory_format=torch.contiguous_format)
        band = picture.shape[2] if picture.is_cuda else 64
        for top in range(0, picture.shape[2], band):
            part = seen(picture[:, :, top : top + band], self.linear, self.exposure)
            found[:, :, top : top + band] = part
        return found

    def rows_and_columns(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the core sees the picture, before it is grown to the multiple."""
        if self.height > 0:
            return self.height, self.width
        share = self.share / float(max(1, self.downrez))
        if self.reference_size > 0:
            share = float(self.reference_size) / float(min(height, width))
            share = min(share, float(self.longest) / float(max(height, width)))
        elif share == 1.0:
            return height, width
        rows = max(self.multiple, int(height * share) // self.multiple * self.multiple)
        columns = max(self.multiple, int(width * share) // self.multiple * self.multiple)
        return rows, columns
