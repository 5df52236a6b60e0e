# SPDX-License-Identifier: Apache-2.0
"""BiRefNet: Zheng, Gao, Fan, Liu, Laaksonen, Ouyang, Sebe, CAAI AIR 2024 (arXiv 2401.03407)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Parity, Published, Size
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import base_channels, exporting, imagenet, resize
from matte_nodes.models.networks.deformable import ONNX_OPSET, DeformableConv
from matte_nodes.models.networks.swin import Swin
from matte_nodes.recognition import Recognition, Shapes, numbered, present, vote

# floats of the full-size map of the last inward reference that are held at a time (64 MiB)
_STRIP = 1 << 24


class _Branch(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv(inputs, outputs, kernel)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.bn(self.atrous_conv(x)))
        return y


class _Pyramid(nn.Module):
    """Deformable convolutions of 1, 1, 3 and 7 pixels and the picture's mean, joined by 1 x 1."""

    def __init__(self, channels: int, branch: int) -> None:
        super().__init__()
        self.aspp1 = _Branch(channels, branch, 1)
        self.aspp_deforms = nn.ModuleList(_Branch(channels, branch, kernel) for kernel in (1, 3, 7))
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, branch, 1, bias=False),
            nn.BatchNorm2d(branch),
            nn.ReLU(inplace=True),
        )
        self.conv1 = nn.Conv2d(5 * branch, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        # The 1 x 1 convolution of all branches together is a sum over the branches: one of them
        # is held at a time, a fifth of the memory.
        weights = self.conv1.weight.chunk(5, 1)
        y = F.conv2d(self.aspp1(x), weights[0])
        for branch, weight in zip(self.aspp_deforms, weights[1:4], strict=True):
            y = y + F.conv2d(branch(x), weight)
        y = y + F.conv2d(self.global_avg_pool(x), weights[4])
        joined: Tensor = self.dropout(F.relu(self.bn1(y)))
        return joined


class _DecoderBlock(nn.Module):
    """Convolution to few channels, the deformable pyramid, convolution to many."""

    def __init__(self, inputs: int, outputs: int, inner: int, branch: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, inner, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(inner)
        self.dec_att = _Pyramid(inner, branch)
        self.conv_out = nn.Conv2d(inner, outputs, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dec_att(F.relu(self.bn_in(self.conv_in(x))))
        y: Tensor = self.bn_out(self.conv_out(inner))
        return y


class _Reference(nn.Module):
    """Inward reference: pieces of the picture at its own resolution, through two convolutions."""

    def __init__(self, inputs: int, outputs: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 3, padding=1)
        self.conv_out = nn.Conv2d(inner, outputs, 3, padding=1)

    def forward(self, pieces: Tensor) -> Tensor:
        y: Tensor = self.conv_out(self.conv1(pieces))
        return y

    def weighed(self, picture: Tensor, weight: Tensor) -> Tensor:
        """Return the sum of the result's channels times `weight` (1, C, 1, 1); (N, 1, H, W).

        Both convolutions and the sum are linear, so the sum is taken of the weights, and the
        picture is worked in strips of rows: at full size the inner map has 64 channels.
        """
        last = (self.conv_out.weight * weight[0, :, :, None]).sum(0, keepdim=True)
        assert self.conv_out.bias is not None
        bias = (self.conv_out.bias * weight[0, :, 0, 0]).sum()[None]
        height, width = picture.shape[-2:]
        rows = max(1, _STRIP // (self.conv1.out_channels * width))
        if exporting() or rows >= height:
            return F.conv2d(self.conv1(picture), last, bias, padding=1)
        return torch.cat(
            [self._strip(picture, top, rows, last, bias) for top in range(0, height, rows)], 2
        )

    def _strip(self, picture: Tensor, top: int, rows: int, last: Tensor, bias: Tensor) -> Tensor:
        """Return rows `top` to `top + rows` of `weighed`. last, bias: of its second convolution."""
        height = picture.shape[2]
        bottom = min(top + rows, height)
        # one more row of the inner map on both sides, none beyond the picture: there are zeros
        first, end = max(0, top - 1), min(height, bottom + 1)
        seen = picture[:, :, max(0, first - 1) : min(height, end + 1)]
        seen = F.pad(seen, (0, 0, int(first == 0), int(end == height)))
        inner = F.conv2d(seen, self.conv1.weight, self.conv1.bias, padding=(0, 1))
        inner = F.pad(inner, (0, 0, int(top == 0), int(bottom == height)))
        return F.conv2d(inner, last, bias, padding=(0, 1))


class _Lateral(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def pieces_of(picture: Tensor, like: Tensor) -> Tensor:
    """Return (N, C, H, W) cut into pieces of the size (h, w) of `like`, stacked as channels.

    The picture's sides are multiples of (h, w). Channel c * H / h * W / w + i * W / w + j of the
    result is channel c of the piece in row i, column j.
    """
    count, channels = picture.shape[:2]
    height, width = like.shape[-2:]
    down, right = picture.shape[2] // height, picture.shape[3] // width
    cut = picture.reshape(count, channels, down, height, right, width)
    return cut.transpose(3, 4).reshape(count, channels * down * right, height, width)


class _Decoder(nn.Module):
    """Bilateral reference: the picture's pieces inward, attention to its gradients outward.

    maps: channels of the encoder's maps, coarsest first. `conv_ms_spvn_*` and `gdt_convs_pred_*`
    are heads that only training uses; they are here so that a file is kept whole.
    """

    def __init__(self, maps: Sequence[int], inner: int, branch: int) -> None:
        super().__init__()
        gradient = max(1, inner // 4)
        beside = [channels // 8 for channels in maps]
        outputs = (*maps[1:], maps[3] // 2)
        for level, scale, given in zip(
            (5, 4, 3, 2, 1), (32, 16, 8, 4, 1), (0, 0, 1, 2, 3), strict=True
        ):
            reference = _Reference(3 * scale * scale, beside[given], inner)
            self.add_module(f"ipt_blk{level}", reference)
        for place, level in enumerate((4, 3, 2, 1)):
            inputs = maps[place] + beside[max(0, place - 1)]
            self.add_module(
                f"decoder_block{level}", _DecoderBlock(inputs, outputs[place], inner, branch)
            )
        for place, level in enumerate((4, 3, 2)):
            channels = outputs[place]
            self.add_module(f"lateral_block{level}", _Lateral(channels))
            self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(channels, 1, 1))
            self.add_module(
                f"gdt_convs_{level}",
                nn.Sequential(
                    nn.Conv2d(channels, gradient, 3, padding=1),
                    nn.BatchNorm2d(gradient),
                    nn.ReLU(inplace=True),
                ),
            )
            for head in ("pred", "attn"):
                one = nn.Sequential(nn.Conv2d(gradient, 1, 1))
                self.add_module(f"gdt_convs_{head}_{level}", one)
        self.conv_out1 = nn.Sequential(nn.Conv2d(outputs[3] + beside[3], 1, 1))

    def forward(self, rgb: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """rgb: the network's input. maps: the encoder's, finest first. Logits (N, 1, H, W)."""
        part = self.get_submodule
        x = maps[3]
        for level in (4, 3, 2):
            reference = part(f"ipt_blk{level + 1}")(pieces_of(rgb, x))
            x = part(f"decoder_block{level}")(torch.cat((x, reference), 1))
            attention = part(f"gdt_convs_attn_{level}")(part(f"gdt_convs_{level}")(x))
            beside = maps[level - 2]
            x = resize(x * torch.sigmoid(attention), beside, align_corners=True)
            x = x + part(f"lateral_block{level}")(beside)
        reference = part("ipt_blk2")(pieces_of(rgb, x))
        x = part("decoder_block1")(torch.cat((x, reference), 1))
        # The last 1 x 1 convolution goes before the enlargement (both are linear): one channel is
        # enlarged to full size, not 120.
        last = self.conv_out1.get_submodule("0")
        assert isinstance(last, nn.Conv2d)
        split = [x.shape[1], last.in_channels - x.shape[1]]
        own, other = torch.split(last.weight, split, 1)
        coarse = resize(F.conv2d(x, own, last.bias), rgb, align_corners=True)
        reference1 = part("ipt_blk1")
        assert isinstance(reference1, _Reference)
        return coarse + reference1.weighed(rgb, other)


class BiRefNet(nn.Module):
    """Bilateral reference network: whatever the picture is of, without a hint.

    embed, depths, heads, window: the Swin encoder's (the defaults are Swin-T). inner: channels
    inside the decoder's blocks. branch: channels of each deformable convolution. size: side of
    the square the weights were trained at, 0 for weights trained at any size; it changes no
    tensor, the model's card reads it.
    """

    multiple = 32

    def __init__(
        self,
        embed: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        inner: int = 64,
        branch: int = 256,
        size: int = 1024,
    ) -> None:
        super().__init__()
        self.size = size
        self.bb = Swin(embed, depths, heads, window)
        # each map stands beside the same of the picture at half size
        maps = [2 * embed << number for number in (3, 2, 1, 0)]
        self.squeeze_module = nn.Sequential(_DecoderBlock(sum(maps), maps[0], inner, branch))
        self.decoder = _Decoder(maps, inner, branch)

    @classmethod
    def narrow(cls, width: float, size: int = 1024) -> BiRefNet:
        """Swin-T with `width` times the channels; heads and blocks are kept."""
        embed = base_channels(width, 96, 12)
        return cls(embed, inner=base_channels(width), branch=base_channels(width, 256), size=size)

    def _encoded(self, rgb: Tensor) -> list[Tensor]:
        half = F.interpolate(
            rgb,
            size=(rgb.shape[2] // 2, rgb.shape[3] // 2),
            mode="bilinear",
            align_corners=True,
        )
        return [
            torch.cat((own, resize(small, own, align_corners=True)), 1)
            for own, small in zip(self.bb(rgb), self.bb(half), strict=True)
        ]

    def forward(self, rgb: Tensor) -> Tensor:
        """rgb: (N, 3, H, W), ImageNet-normalised, sides multiples of 32. Logits (N, 1, H, W)."""
        maps = self._encoded(rgb)
        context = [resize(found, maps[3], align_corners=True) for found in maps[:3]]
        maps[3] = self.squeeze_module(torch.cat((*context, maps[3]), 1))
        logits: Tensor = self.decoder(rgb, maps)
        return logits


_MARKS = (
    "squeeze_module.0.conv_in.weight",
    "decoder.ipt_blk5.conv1.weight",
    "decoder.decoder_block1.conv_in.weight",
    "decoder.lateral_block2.conv.weight",
)
_EMBED = {
    "bb.patch_embed.proj.weight": 1,
    "bb.norm0.weight": 1,
    "bb.norm1.weight": 2,
    "bb.norm2.weight": 4,
    "bb.norm3.weight": 8,
}
_BLOCKS = ("squeeze_module.0", *(f"decoder.decoder_block{level}" for level in (1, 2, 3, 4)))
# Heads that only training uses.
_TRAINING = ("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_")
_ENCODERS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "Swin-T",
    (96, (2, 2, 18, 2)): "Swin-S",
    (128, (2, 2, 18, 2)): "Swin-B",
    (192, (2, 2, 18, 2)): "Swin-L",
}


def _sizes(hint: str) -> tuple[int, ...]:
    """Sides the weights may have been trained at, the likeliest by the file's name first."""
    words = set(re.split(r"[^a-z0-9]+", hint))
    if "dynamic" in words:
        return 0, 1024, 2048
    return (2048, 1024, 0) if words & {"hr", "2048", "2k"} else (1024, 2048, 0)


def _options(shapes: Shapes, depths: tuple[int, ...]) -> dict[str, Any]:
    """Arguments of the network, but its size."""
    tables = [
        shapes.get(f"bb.layers.{n}.blocks.0.attn.relative_position_bias_table", (169, 3 << n))
        for n in range(len(depths))
    ]
    return {
        "embed": vote(shapes, _EMBED) or 96,
        "depths": depths,
        "heads": tuple(table[-1] for table in tables),
        "window": (math.isqrt(tables[0][0]) + 1) // 2,
        "inner": vote(shapes, {f"{block}.conv_in.weight": 1 for block in _BLOCKS}) or 64,
        "branch": vote(shapes, {f"{block}.dec_att.aspp1.bn.weight": 1 for block in _BLOCKS}) or 256,
    }


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The published layout with any Swin encoder: general, matting, HR, dynamic, lite, portrait."""
    if not present(shapes, _MARKS):
        return None
    stages = numbered(shapes, r"bb\.layers\.(\d+)\.blocks\.0\.")
    if stages != {0, 1, 2, 3}:
        raise WeightsError(
            "These are weights of BiRefNet with an encoder that the library does not have. It has "
            "the Swin encoders: swin_v1_t (the files called lite), swin_v1_s, swin_v1_b and "
            "swin_v1_l."
        )
    depths = tuple(
        len(numbered(shapes, rf"bb\.layers\.{stage}\.blocks\.(\d+)\.")) for stage in range(4)
    )
    options, sizes = _options(shapes, depths), _sizes(hint)
    embed = options["embed"]
    encoder = _ENCODERS.get((embed, depths), f"Swin ({embed} channels, {sum(depths)} blocks)")
    terms = " The file has the name of BRIA's RMBG-2.0: its terms are non-commercial."
    return Recognition(
        options={**options, "size": sizes[0]},
        layout="BiRefNet",
        names={name: name for name in shapes},
        found=f"BiRefNet with a {encoder} encoder.{terms if 'rmbg' in hint else ''}",
        # They follow from the window: the network makes its own.
        dropped=frozenset(
            name for name in shapes if name.endswith((".relative_position_index", ".attn_mask"))
        ),
        optional=lambda name: name.endswith("num_batches_tracked") or name.startswith(_TRAINING),
        open={"size": sizes},
    )


def decode(logits: Tensor) -> dict[str, Tensor]:
    """Return alpha 0..1 from logits."""
    return {"alpha": torch.sigmoid(logits.float())}


def build(width: float = 1.0, **options: Any) -> BiRefNet:
    """Return a network with these options; without any that changes tensors, Swin-T at a width."""
    if set(options) <= {"size"}:
        return BiRefNet.narrow(width, **options)
    return BiRefNet(**options)


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return a fixture gives RGB that is normalised already, and holds logits."""
    return {"logits": network(*inputs.values())}


def _file_size(network: Any, knobs: Mapping[str, Any]) -> tuple[int, int]:
    """Return what an exported file works at: the side that is asked for, or that of the weights."""
    asked = str(knobs.get("size", "auto"))
    side = int(asked) if asked.isdecimal() else network.size or 1024
    return side, side


SWIN_L: Mapping[str, Any] = {
    "embed": 192, "depths": (2, 2, 18, 2), "heads": (6, 12, 24, 48), "window": 12,
}  # fmt: skip
"""Options of the large published networks."""

ARCHITECTURE = Architecture(
    id="birefnet",
    build=build,
    detect=detect,
    encode=imagenet,
    decode=decode,
    options={"width": 1.0, "size": 1024},
    from_knobs=lambda knobs: {"width": knobs["width"]},
    size=Size(square=1024),
    export_size=(1024, 1024),
    export_opset=ONNX_OPSET,
    onnx_size_of=_file_size,
    parity=Parity(_parity),
    small={"width": 0.125, "size": "256"},
    variants=(
        {"width": 0.125},
        {
            "embed": 16, "depths": (2, 1, 3, 1), "heads": (1, 2, 2, 4), "window": 4, "inner": 8,
            "branch": 12,
        },
    ),
    layouts=("BiRefNet",),
    published=(Published({}, 44_313_720), Published(SWIN_L, 220_176_498)),
)  # fmt: skip
