# SPDX-License-Identifier: Apache-2.0
"""RepViT-M1: Wang, Chen, Lin, Han, Ding, CVPR 2024 (arXiv 2307.09283): four maps of a picture.

It is the encoder of EdgeTAM. Tensors have the names of the timm library, which the published
weights use. timm itself needs a torchvision that fits the installed torch, so it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

CHANNELS = (48, 96, 192, 384)
BLOCKS = (2, 2, 14, 2)


class _Normed(nn.Sequential):
    """A convolution without bias, then normalisation."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.add_module(
            "c", nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        )
        self.add_module("bn", nn.BatchNorm2d(out))


class _Squeeze(nn.Module):
    """Channels weighted by their means (Hu, Shen, Sun 2018); a quarter of them in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        between = max(8, (channels // 4 + 4) // 8 * 8)
        self.fc1, self.fc2 = nn.Conv2d(channels, between, 1), nn.Conv2d(between, channels, 1)
        self.act, self.gate = nn.ReLU(), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        weighted: Tensor = x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))
        return weighted


class _Mixer(nn.Module):
    """What mixes places: a 3 x 3 and a 1 x 1 filter of each channel, and the channel itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _Normed(channels, channels, 3, groups=channels)
        self.conv1 = _Normed(channels, channels, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        mixed: Tensor = self.conv(x) + self.conv1(x) + x
        return mixed


class _Channels(nn.Module):
    """What mixes channels: two 1 x 1 convolutions, twice as wide in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _Normed(channels, 2 * channels), _Normed(2 * channels, channels)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        mixed: Tensor = self.conv2(self.act(self.conv1(x)))
        return mixed


class _Block(nn.Module):
    def __init__(self, channels: int, squeeze: bool) -> None:
        super().__init__()
        self.token_mixer = _Mixer(channels)
        self.se = _Squeeze(channels) if squeeze else nn.Identity()
        self.channel_mixer = _Channels(channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        x = self.se(self.token_mixer(x))
        mixed: Tensor = x + self.channel_mixer(x)
        return mixed


class _Smaller(nn.Module):
    """Half the size, other channels."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.pre_block = _Block(channels, squeeze=False)
        self.spatial_downsample = _Normed(channels, channels, 3, 2, groups=channels)
        self.channel_downsample = _Normed(channels, out)
        self.ffn = _Channels(out)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        smaller: Tensor = x + self.ffn(x)
        return smaller


class _Stage(nn.Module):
    def __init__(self, channels: int, out: int, count: int) -> None:
        super().__init__()
        self.downsample = nn.Identity() if channels == out else _Smaller(channels, out)
        self.blocks = nn.Sequential(*(_Block(out, squeeze=n % 2 == 0) for n in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        found: Tensor = self.blocks(self.downsample(x))
        return found


class _Stem(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _Normed(3, channels // 2, 3, 2)
        self.act1 = nn.GELU()
        self.conv2 = _Normed(channels // 2, channels, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W)."""
        found: Tensor = self.conv2(self.act1(self.conv1(x)))
        return found


class RepViT(nn.Module):
    """The encoder. channels: of the four stages, each twice those before. blocks: in each stage."""

    def __init__(self, channels: Sequence[int] = CHANNELS, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.stem = _Stem(channels[0])
        before = (channels[0], *channels)
        for number, count in enumerate(blocks):
            self.add_module(f"stages_{number}", _Stage(before[number], channels[number], count))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: (N, 3, H, W), normalised. Returns maps at 1/4, 1/8, 1/16 and 1/32 of its size."""
        x, found = self.stem(x), []
        for name, stage in self.named_children():
            if name != "stem":
                x = stage(x)
                found.append(x)
        return found
