# SPDX-License-Identifier: Apache-2.0
"""Small pieces that several networks share: channel widths, resizing, pooling that remembers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
"""Mean and standard deviation of red, green and blue in ImageNet, 0..1."""


def exporting() -> bool:
    """Whether an export reads the network: loops over parts of the picture must not be in it."""
    return torch.onnx.is_in_onnx_export() or torch._C._get_tracing_state() is not None


def base_channels(width: float, full: int = 64, step: int = 4) -> int:
    """Channels of the first layer at a width: `full * width`, to a multiple of `step`.

    Every other layer has a whole multiple of it, so that a width can be read back from any
    checkpoint without rounding.
    """
    return max(step, round(full * width / step) * step)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's "SAME": pixels before and after, the odd one after."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def imagenet(rgb: Tensor) -> Tensor:
    """Return (N, 3, H, W) display-encoded 0..1, by ImageNet's mean and deviation of each channel.

    The constants are numbers and not tensors, so that a trace of it works in any precision.
    """
    planes = [(rgb[:, n : n + 1] - mean) / width for n, (mean, width) in enumerate(IMAGENET)]
    return torch.cat(planes, 1)


def imagenet_and_trimap(plate: Tensor, trimap: Tensor) -> Tensor:
    """Return (N, 4, H, W): the normalised plate, and the trimap as published trimap networks take it.

    plate: (N, 3, H, W), display-encoded 0..1. trimap: (N, 1, H, W), 0, 0.5 (unknown) and 1. The
    unknown part becomes 128/255.
    """
    unknown = (trimap > 0) & (trimap < 1)
    codes = torch.where(unknown, torch.full_like(trimap, 128 / 255), trimap)
    return torch.cat((imagenet(plate), codes), 1)


def double(x: Tensor, align_corners: bool = False) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W), bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=align_corners)


def resize(x: Tensor, like: Tensor, align_corners: bool = False) -> Tensor:
    """`x` at the height and width of `like`, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=align_corners)


def pool_indexed(x: Tensor) -> tuple[Tensor, Tensor]:
    """2 x 2 max pooling and where each maximum stood (for `unpool`)."""
    pooled, indices = F.max_pool2d(x, 2, 2, return_indices=True)
    return pooled, indices


def unpool(x: Tensor, indices: Tensor, like: Tensor) -> Tensor:
    """Put each value back where its maximum stood; zero elsewhere. Size of `like`."""
    # While it is traced sizes are tensors, which the checks of F.max_unpool2d refuse.
    if torch._C._get_tracing_state() is not None:
        traced: Tensor = torch._C._nn.max_unpool2d(x, indices, like.shape[-2:])
        return traced
    return F.max_unpool2d(x, indices, (2, 2), (2, 2), output_size=like.shape[-2:])


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int = 3, dilation: int = 1, bias: bool = True
) -> list[nn.Module]:
    """Convolution of unchanged size, batch normalisation, ReLU, as a list for `nn.Sequential`."""
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=bias),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
