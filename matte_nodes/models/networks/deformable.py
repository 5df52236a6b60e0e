# SPDX-License-Identifier: Apache-2.0
"""Modulated deformable convolution: Zhu, Hu, Lin, Dai, CVPR 2019 (arXiv 1811.11168).

The kernel's taps are moved by an offset at each pixel and weighted by a modulator. It is written
with grid_sample, so that torch alone is needed; an exported file holds ONNX's own DeformConv.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONNX_OPSET = 19
"""The first opset with DeformConv: an export of a network with these layers needs it."""
# Floats in the columns of one strip (16 MiB). Measured on two cores at 64 -> 256 channels, 7 x 7,
# 256 x 256 pixels: 2.7 s, a grid_sample and a convolution for each tap of the kernel 15 s.
_COLUMNS = 1 << 22


def deformable_convolution(x: Tensor, offsets: Tensor, modulator: Tensor, weight: Tensor) -> Tensor:
    """Convolve with moved and weighted taps; stride 1, the size is kept, zeros are outside.

    x: (N, C, H, W). offsets: (N, 2 * K * K, H, W), pixels, for each tap in row order: down, then
    right. modulator: (N, K * K, H, W). weight: (O, C, K, K), K is odd. Returns (N, O, H, W).
    Positions are in 32 bits whatever the type of `x`: 16 bits cannot tell pixels beyond 2048.
    Memory beside the result is bounded: rows are worked in strips of `_COLUMNS`.
    """
    if torch.onnx.is_in_onnx_export():
        return _onnx_node(x, offsets, modulator, weight)
    height, width = x.shape[-2:]
    rows = max(1, _COLUMNS // (weight[0].numel() * width))
    # grid_sample cannot look beside a side of one pixel: it gets a second pixel of zeros
    # (padded first: a trace would take x.float() for x itself from here on)
    wide = F.pad(x, (0, int(width == 1), 0, int(height == 1))).float()
    strips = [
        _strip(wide, _Strip(top, min(rows, height - top), width), offsets, modulator, weight)
        for top in range(0, height, rows)
    ]
    return torch.cat(strips, 2) if len(strips) > 1 else strips[0]


class _Strip:
    """Rows of the result: where they start, how many they are, how wide."""

    def __init__(self, top: int, rows: int, width: int) -> None:
        self.top, self.rows, self.width = top, rows, width

    def of(self, planes: Tensor) -> Tensor:
        """These rows of (N, C, H, W)."""
        return planes[:, :, self.top : self.top + self.rows]


def _strip(x: Tensor, strip: _Strip, offsets: Tensor, modulator: Tensor, weight: Tensor) -> Tensor:
    """One strip of the result. x: the whole map in 32 bits, both sides two pixels or more."""
    outputs, channels, kernel, _ = weight.shape
    count, taps, size = x.shape[0], kernel * kernel, (strip.rows, strip.width)
    moved = strip.of(offsets).float().reshape(count, taps, 2, *size)
    reach = _counted(x, kernel) - kernel // 2
    row = _counted(x, strip.rows)[:, None] + strip.top
    column = _counted(x, strip.width)
    down = moved[:, :, 0] + reach.repeat_interleave(kernel)[:, None, None] + row
    right = moved[:, :, 1] + reach.repeat(kernel)[:, None, None] + column
    # the first and the last pixel's centres stand at -1 and 1
    height, width = x.shape[-2:]
    grid = torch.stack((right * (2 / (width - 1)) - 1, down * (2 / (height - 1)) - 1), -1)
    seen = F.grid_sample(x, grid.reshape(count, -1, strip.width, 2), align_corners=True)
    seen = seen.reshape(count, channels, taps, -1)
    # type_as and not to(dtype): a trace of it must work in half precision too
    seen = seen.type_as(weight) * strip.of(modulator).reshape(count, 1, taps, -1)
    columns = seen.reshape(count, channels * taps, -1)
    return torch.matmul(weight.reshape(outputs, -1), columns).reshape(count, outputs, *size)


def _counted(like: Tensor, length: int) -> Tensor:
    """0, 1, 2, ... in 32 bits, on the device of `like`."""
    return torch.arange(length, dtype=torch.float32, device=like.device)


def _onnx_node(x: Tensor, offsets: Tensor, modulator: Tensor, weight: Tensor) -> Tensor:
    """Return the same as one node of an ONNX file."""
    kernel = weight.shape[-1]
    bias = torch.zeros(weight.shape[0], dtype=x.dtype)
    answer: Tensor = torch.onnx.ops.symbolic(
        "DeformConv",
        (x, weight, offsets, bias, modulator),
        {"kernel_shape": [kernel, kernel], "pads": [kernel // 2] * 4},
        dtype=x.dtype,
        shape=(x.shape[0], weight.shape[0], x.shape[2], x.shape[3]),
        version=ONNX_OPSET,
    )
    return answer


class DeformableConv(nn.Module):
    """A deformable convolution whose offsets and modulator are convolutions of the same map."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        padding = kernel // 2
        self.offset_conv = nn.Conv2d(inputs, 2 * kernel * kernel, kernel, padding=padding)
        self.modulator_conv = nn.Conv2d(inputs, kernel * kernel, kernel, padding=padding)
        self.regular_conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        for convolution in (self.offset_conv, self.modulator_conv):
            # untrained, it is a plain convolution
            nn.init.zeros_(convolution.weight)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W). Returns (N, O, H, W)."""
        modulator = 2 * torch.sigmoid(self.modulator_conv(x))
        return deformable_convolution(x, self.offset_conv(x), modulator, self.regular_conv.weight)
