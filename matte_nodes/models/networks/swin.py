# SPDX-License-Identifier: Apache-2.0
"""Swin Transformer, first version: Liu et al., ICCV 2021 (arXiv 2103.14030)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.models.networks.blocks import exporting

# Tokens whose hidden layer of the perceptron is held at a time (at 4 x 192 channels 200 MB).
_TOKENS = 1 << 16
_APART = -100.0  # added to the score of two tokens that are not neighbours in the picture


def relative_index(window: int) -> Tensor:
    """Return (window ** 2, window ** 2) rows of the bias table, one for each pair of tokens."""
    at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
    flat = at.flatten(1)
    apart = flat[:, :, None] - flat[:, None] + window - 1
    return apart[0] * (2 * window - 1) + apart[1]


def in_parts(work: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """`work` of (N, L, C) tokens, each alone, some at a time: the hidden layer stays bounded."""
    if exporting() or tokens.shape[1] <= _TOKENS:
        return work(tokens)
    return torch.cat([work(part) for part in torch.split(tokens, _TOKENS, 1)], 1)


class _Attention(nn.Module):
    """Attention inside each window, with a learned bias for each relative position."""

    index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", relative_index(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """windows: (B, L, C), L tokens in each. mask: (B, L, L), added to the scores, or None."""
        count, length, channels = windows.shape
        parts = self.qkv(windows).reshape(count, length, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = bias + mask[:, None].type_as(bias)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        y: Tensor = self.proj(seen.transpose(1, 2).reshape(count, length, channels))
        return y


class _Perceptron(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


def windows_of(x: Tensor, window: int) -> Tensor:
    """Return (N, H, W, C), sides multiples of `window`, as (N * windows, window ** 2, C)."""
    count, height, width, channels = x.shape
    tiles = x.reshape(count, height // window, window, width // window, window, channels)
    return tiles.transpose(2, 3).reshape(-1, window * window, channels)


def picture_of(windows: Tensor, window: int, size: tuple[int, int]) -> Tensor:
    """Return the inverse of `windows_of`; size: height and width."""
    rows, columns = size[0] // window, size[1] // window
    tiles = windows.reshape(-1, rows, columns, window, window, windows.shape[-1])
    return tiles.transpose(2, 3).reshape(-1, *size, windows.shape[-1])


class _Block(nn.Module):
    """Window attention and a perceptron; every second block's windows are shifted by a half."""

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = _Attention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Perceptron(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (N, H, W, C) from x of the same shape. mask: `_shift_mask` for shifted windows."""
        count, height, width, channels = x.shape
        window, shift = self.window, self.shift
        y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))
        size = (y.shape[1], y.shape[2])
        if shift:
            y = torch.roll(y, (-shift, -shift), (1, 2))
        parts = windows_of(y, window)
        y = picture_of(self._attended(parts, mask if shift else None), window, size)
        if shift:
            y = torch.roll(y, (shift, shift), (1, 2))
        x = x + y[:, :height, :width]
        tokens = x.reshape(count, -1, channels)
        tokens = tokens + in_parts(lambda part: self.mlp(self.norm2(part)), tokens)
        return tokens.reshape(count, height, width, channels)

    def _attended(self, parts: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of all windows, some at a time."""
        if mask is not None:
            mask = mask.repeat(len(parts) // len(mask), 1, 1)
        step = max(1, _TOKENS // parts.shape[1])
        if exporting() or len(parts) <= step:
            seen: Tensor = self.attn(parts, mask)
            return seen
        groups = torch.split(parts, step)
        masks = [None] * len(groups) if mask is None else torch.split(mask, step)
        return torch.cat([self.attn(p, m) for p, m in zip(groups, masks, strict=True)])


def _shift_mask(height: int, width: int, window: int, like: Tensor) -> Tensor:
    """Return (windows, L, L): keeps tokens apart that a shift brought together from opposite sides."""

    def bands(length: int) -> Tensor:
        # 0: unmoved; 1: the last window's first half; 2: its second half, rolled over the edge
        at = torch.arange(length, device=like.device)
        return (at >= length - window).long() + (at >= length - window // 2).long()

    height, width = height + -height % window, width + -width % window
    labels = bands(height)[:, None] * 3 + bands(width)
    parts = windows_of(labels[None, :, :, None], window)[..., 0]
    return (parts[:, None] != parts[:, :, None]).type_as(like) * _APART


class _Merge(nn.Module):
    """Each 2 x 2 tokens become one of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, ceil(H / 2), ceil(W / 2), 2 C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, down::2, right::2] for right in (0, 1) for down in (0, 1)]
        y: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return y


class _Stage(nn.Module):
    def __init__(self, channels: int, depth: int, heads: int, window: int, last: bool) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(
            _Block(channels, heads, window, (number % 2) * (window // 2)) for number in range(depth)
        )
        self.downsample = nn.Identity() if last else _Merge(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """This stage's map, and the one that the next stage starts from."""
        mask = _shift_mask(x.shape[1], x.shape[2], self.window, x)
        for block in self.blocks:
            x = block(x, mask)
        return x, self.downsample(x)


class _Patches(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, stride=4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, rgb: Tensor) -> Tensor:
        rgb = F.pad(rgb, (0, -rgb.shape[3] % 4, 0, -rgb.shape[2] % 4))
        y: Tensor = self.norm(self.proj(rgb).permute(0, 2, 3, 1))
        return y


class Swin(nn.Module):
    """The encoder without its classifier: maps at 1/4, 1/8, 1/16 and 1/32, each normalised.

    embed: channels of the first stage, doubled in each next one. depths: blocks of each stage.
    heads: of each stage. window: side of the attention windows, in tokens.
    """

    def __init__(
        self, embed: int, depths: Sequence[int], heads: Sequence[int], window: int
    ) -> None:
        super().__init__()
        self.patch_embed = _Patches(embed)
        last = len(depths) - 1
        self.layers = nn.ModuleList(
            _Stage(embed << n, depth, heads[n], window, n == last) for n, depth in enumerate(depths)
        )
        for number in range(len(depths)):
            self.add_module(f"norm{number}", nn.LayerNorm(embed << number))

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """rgb: (N, 3, H, W), ImageNet-normalised. Returns maps (N, C, h, w), finest first."""
        x = self.patch_embed(rgb)
        maps = []
        for number, stage in enumerate(self.layers):
            found, x = stage(x)
            normalised = self.get_submodule(f"norm{number}")(found)
            maps.append(normalised.permute(0, 3, 1, 2).contiguous())
        return maps
