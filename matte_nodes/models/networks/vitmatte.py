# SPDX-License-Identifier: Apache-2.0
"""ViTMatte: Yao, Wang, Yang, Wang, Information Fusion 2024 (arXiv 2305.15272).

A plain vision transformer as in ViTDet (Li, Mao, Girshick, He, ECCV 2022), and a small stream of
convolutions for the detail. Tensors have the names of the transformers library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Parity, Published
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import (
    IMAGENET,
    base_channels,
    double,
    exporting,
    imagenet,
)
from matte_nodes.models.networks.swin import picture_of, windows_of
from matte_nodes.recognition import Recognition, Shapes, number, numbered, present, vote

Normalisation = Literal["imagenet", "half"]

_EPS = 1e-6
_PATCH = 16
# Scores of attention held at a time (128 MiB). All of a 1920 x 1088 picture, which has 8160
# patches, would take 1.5 GiB in each of the four global blocks.
_SCORES = 1 << 25


def _relative(table: Tensor, length: int) -> Tensor:
    """Return (length, length, C): the embedding of each pair of places on one axis."""
    at = torch.arange(length, device=table.device)
    found: Tensor = table[at[:, None] - at + (length - 1)]
    return found


class _Attention(nn.Module):
    """Attention with the relative position of each pair added to its score, by row and column."""

    def __init__(self, channels: int, heads: int, side: int, whole: bool) -> None:
        super().__init__()
        self.heads, self.whole = heads, whole
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        for name in ("rel_pos_h", "rel_pos_w"):
            table = torch.zeros(2 * side - 1, channels // heads)
            self.register_parameter(name, nn.Parameter(table))

    def _tables(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        found = []
        for name, length in (("rel_pos_h", height), ("rel_pos_w", width)):
            table: Tensor = self.get_parameter(name)
            if self.whole:  # a window always has the size of its table
                line = table.T[:, :, None]
                line = F.interpolate(
                    line.reshape(1, *line.shape), size=(2 * length - 1, 1), mode="bilinear"
                )
                table = line[0, :, :, 0].T
            found.append(_relative(table, length))
        return found[0], found[1]

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, H, W, C), a picture or windows."""
        count, height, width, channels = x.shape
        tables = self._tables(height, width)
        parts = self.qkv(x).reshape(count, height, width, 3, self.heads, -1)
        query, key, value = parts.permute(3, 0, 4, 1, 2, 5).unbind(0)
        if not exporting():
            rows = max(1, _SCORES // (count * self.heads * height * width * width))
            seen = torch.cat(
                [
                    _attended(query[:, :, top : top + rows], key, value, tables, top)
                    for top in range(0, height, rows)
                ],
                2,
            )
        elif self.whole:  # a graph has no loop over rows of an unknown number
            heads = [part.chunk(self.heads, 1) for part in (query, key, value)]
            seen = torch.cat(
                [_attended(q, k, v, tables, 0) for q, k, v in zip(*heads, strict=True)], 1
            )
        else:
            seen = _attended(query, key, value, tables, 0)
        y: Tensor = self.proj(seen.permute(0, 2, 3, 1, 4).reshape(count, height, width, channels))
        return y


def _attended(
    query: Tensor, key: Tensor, value: Tensor, tables: tuple[Tensor, Tensor], top: int
) -> Tensor:
    """query: (N, heads, h, W, C), rows `top` to `top + h`. key, value: (N, heads, H, W, C)."""
    count, heads, rows, width, channels = query.shape
    down = torch.einsum("nahwc,hkc->nahwk", query, tables[0][top : top + rows])
    right = torch.einsum("nahwc,wkc->nahwk", query, tables[1])
    # contiguous: the sum, the largest tensor here, then needs no copy to be seen as (queries, keys)
    bias = down.contiguous()[..., :, None] + right.contiguous()[..., None, :]
    seen = F.scaled_dot_product_attention(
        query.reshape(count, heads, -1, channels),
        key.reshape(count, heads, -1, channels),
        value.reshape(count, heads, -1, channels),
        attn_mask=bias.reshape(count, heads, rows * width, -1),
    )
    return seen.reshape(count, heads, rows, width, channels)


class _Perceptron(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation of (N, C, H, W) over the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)


class _Residual(nn.Module):
    """Bottleneck of convolutions after a block with global attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.norm1 = _ChannelNorm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.norm2 = _ChannelNorm(inner)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm3 = _ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.gelu(self.norm1(self.conv1(x)))
        y = F.gelu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return x + y


class _Layer(nn.Module):
    """One transformer block. window: 0 for attention over the whole picture."""

    def __init__(self, channels: int, heads: int, window: int, side: int, residual: bool) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(channels, eps=_EPS)
        self.attention = _Attention(channels, heads, window or side, not window)
        self.norm2 = nn.LayerNorm(channels, eps=_EPS)
        self.mlp = _Perceptron(channels)
        self.residual = _Residual(channels) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, H, W, C)."""
        x = x + self._seen(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        if self.residual is None:
            return x
        y: Tensor = self.residual(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y

    def _seen(self, x: Tensor) -> Tensor:
        window = self.window
        if not window:
            whole: Tensor = self.attention(x)
            return whole
        _, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
        parts = windows_of(x, window).reshape(-1, window, window, channels)
        parts = self.attention(parts).reshape(-1, window * window, channels)
        return picture_of(parts, window, (x.shape[1], x.shape[2]))[:, :height, :width]


class _Embeddings(nn.Module):
    """Patches of 16 pixels, and the place of each in the picture."""

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.zeros(1, positions, channels))
        self.projection = nn.Conv2d(4, channels, _PATCH, stride=_PATCH)
        self.side = math.isqrt(positions)
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.projection(x)
        side = self.side
        # where there is one more, the first is of a class token
        places = self.position_embeddings[:, -side * side :]
        grid = places.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=patches.shape[-2:], mode="bicubic")
        y: Tensor = (patches + grid).permute(0, 2, 3, 1)
        return y


class _Encoder(nn.Module):
    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(layers)


class _Backbone(nn.Module):
    def __init__(self, embeddings: nn.Module, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.encoder = _Encoder(layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embeddings(x)
        for layer in self.encoder.layer:
            x = layer(x)
        return x.permute(0, 3, 1, 2)


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.batch_norm(self.conv(x)))
        return y


class _Stream(nn.Module):
    """Detail at 1/2, 1/4 and 1/8."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        inputs = (4, *channels)
        self.convs = nn.ModuleList(
            _Conv(inputs[n], outputs, 2) for n, outputs in enumerate(channels)
        )


class _Fusion(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _Conv(inputs, outputs)

    def forward(self, x: Tensor, detail: Tensor) -> Tensor:
        y: Tensor = self.conv(torch.cat((detail, double(x)), 1))
        return y


class _Head(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.matting_convs = nn.Sequential(
            nn.Conv2d(channels, inner, 3, padding=1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.matting_convs(x)
        return y


class _Decoder(nn.Module):
    """Detail capture: the encoder's map is enlarged step by step, each time beside the detail."""

    def __init__(
        self, channels: int, stream: Sequence[int], fusion: Sequence[int], head: int
    ) -> None:
        super().__init__()
        beside = (*reversed(stream), 4)
        inputs = (channels, *fusion)
        self.convstream = _Stream(stream)
        self.fusion_blocks = nn.ModuleList(
            _Fusion(inputs[n] + beside[n], outputs) for n, outputs in enumerate(fusion)
        )
        self.matting_head = _Head(fusion[-1], head)

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        details = [x]
        for conv in self.convstream.convs:
            details.append(conv(details[-1]))
        for fusion, detail in zip(self.fusion_blocks, reversed(details), strict=True):
            features = fusion(features, detail)
        y: Tensor = torch.sigmoid(self.matting_head(features))
        return y


class ViTMatte(nn.Module):
    """Alpha from a picture and its trimap.

    hidden: channels of the transformer (384 is S, 768 is B). heads, depth: of it. whole: numbers
    of the blocks that attend over the whole picture, each followed by convolutions; the others
    attend in windows of `window` patches. side: patches on a side of the training picture.
    positions: rows of the position table. stream, fusion, head: channels of the detail stream,
    of the fusion blocks and of the last layer. normalisation: of the plate: "imagenet" is
    ImageNet's mean and deviation (the authors' code), "half" is 0.5 and 0.5 (the transformers
    library's preprocessor); it changes no tensor.
    """

    multiple = 32

    def __init__(
        self,
        hidden: int = 384,
        heads: int = 6,
        depth: int = 12,
        whole: Sequence[int] = (2, 5, 8, 11),
        window: int = 14,
        side: int = 32,
        positions: int = 197,
        stream: Sequence[int] = (48, 96, 192),
        fusion: Sequence[int] = (256, 128, 64, 32),
        head: int = 16,
        normalisation: Normalisation = "imagenet",
    ) -> None:
        super().__init__()
        self.normalisation = normalisation
        layers = [
            _Layer(hidden, heads, 0 if n in whole else window, side, n in whole)
            for n in range(depth)
        ]
        self.backbone = _Backbone(_Embeddings(hidden, positions), layers)
        self.decoder = _Decoder(hidden, stream, fusion, head)

    @classmethod
    def narrow(cls, width: float, normalisation: Normalisation = "imagenet") -> ViTMatte:
        """ViTMatte-S with `width` times the channels; heads and blocks are kept."""
        base = base_channels(width, 48)
        last = base_channels(width, 32)
        return cls(
            base_channels(width, 384, 24),
            stream=(base, 2 * base, 4 * base),
            fusion=(8 * last, 4 * last, 2 * last, last),
            head=last // 2,
            normalisation=normalisation,
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 4, H, W), any size: ImageNet-normalised RGB and the trimap. Alpha (N, 1, H, W).

        The picture is padded with zeros at the bottom and right to multiples of 32, as the authors
        do, and the result is cut.
        """
        if self.normalisation == "half":
            x = torch.cat((_halves(x[:, :3]), x[:, 3:]), 1)
        if exporting():  # a file takes multiples of 32 alone
            exported: Tensor = self.decoder(self.backbone(x), x)
            return exported
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple))
        alpha: Tensor = self.decoder(self.backbone(x), x)
        return alpha[:, :, :height, :width]


def _halves(rgb: Tensor) -> Tensor:
    """ImageNet-normalised RGB as one normalised by 0.5 and 0.5."""
    planes = [
        rgb[:, n : n + 1] * (2 * width) + (2 * mean - 1) for n, (mean, width) in enumerate(IMAGENET)
    ]
    return torch.cat(planes, 1)


_MARKS = (
    "backbone.embeddings.projection.weight",
    "decoder.convstream.convs.0.conv.weight",
    "decoder.fusion_blocks.0.conv.conv.weight",
    "decoder.matting_head.matting_convs.0.weight",
)
# The authors' names (detectron2's), and those of the transformers library, which are ours.
_NAMES = (
    (r"^backbone\.pos_embed$", "backbone.embeddings.position_embeddings"),
    (r"^backbone\.patch_embed\.proj\.", "backbone.embeddings.projection."),
    (r"^backbone\.blocks\.(\d+)\.", r"backbone.encoder.layer.\1."),
    (r"^(backbone\.encoder\.layer\.\d+)\.attn\.", r"\1.attention."),
    (r"^decoder\.fusion_blks\.", "decoder.fusion_blocks."),
    (r"^(decoder\.(?:convstream|fusion_blocks)\..*)\.bn\.", r"\1.batch_norm."),
)


def _our_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _options(shapes: Shapes) -> dict[str, Any]:
    """Arguments of the network. shapes: under our names."""
    layer = "backbone.encoder.layer"
    hidden = vote(
        shapes,
        {
            "backbone.embeddings.projection.weight": 1,
            f"{layer}.0.norm1.weight": 1,
            f"{layer}.0.mlp.fc1.weight": 4,
            f"{layer}.1.attention.qkv.weight": 3,
        },
    )
    whole = tuple(sorted(numbered(shapes, r"backbone\.encoder\.layer\.(\d+)\.residual\.")))
    depth = len(numbered(shapes, r"backbone\.encoder\.layer\.(\d+)\."))

    def table(blocks: Iterable[int], usual: int) -> tuple[int, ...]:
        names = (f"{layer}.{block}.attention.rel_pos_h" for block in blocks)
        return next((shapes[name] for name in names if name in shapes), (2 * usual - 1, 64))

    def channels(name: str, usual: int) -> int:
        return shapes.get(name, (usual,))[0]

    in_windows = table([block for block in range(depth) if block not in whole], 14)
    return {
        "hidden": hidden,
        "heads": hidden // in_windows[-1],
        "depth": depth,
        "whole": whole,
        "window": (in_windows[0] + 1) // 2,
        "side": (table(whole, 32)[0] + 1) // 2,
        "positions": shapes.get("backbone.embeddings.position_embeddings", (1, 197))[1],
        "stream": tuple(
            channels(f"decoder.convstream.convs.{n}.conv.weight", 48 << n)
            for n in sorted(numbered(shapes, r"decoder\.convstream\.convs\.(\d+)\."))
        ),
        "fusion": tuple(
            channels(f"decoder.fusion_blocks.{n}.conv.conv.weight", 256 >> n)
            for n in sorted(numbered(shapes, r"decoder\.fusion_blocks\.(\d+)\."))
        ),
        "head": channels("decoder.matting_head.matting_convs.0.weight", 16),
        "normalisation": "imagenet",
    }


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """ViTMatte-S and -B: the safetensors of the transformers library, the authors' checkpoints."""
    names = {name: _our_name(name) for name in shapes}
    ours = {names[name]: shape for name, shape in shapes.items()}
    if not present(ours, _MARKS):
        return None
    if any("router" in name for name in shapes):
        raise WeightsError("These are weights of MEMatte, which the library does not have.")
    options = _options(ours)
    kind = {384: "ViTMatte-S", 768: "ViTMatte-B"}.get(options["hidden"])
    authors = any(name.startswith("backbone.blocks.") for name in shapes)
    layout = "ViTMatte" if authors else "transformers"
    return Recognition(
        options=options,
        layout=layout,
        names=names,
        found=f"{kind or 'ViTMatte, width ' + number(options['hidden'] / 384)} in the layout of "
        f"{'its authors (detectron2)' if authors else 'the transformers library'}.",
        open={"normalisation": ("imagenet", "half")},
    )


def encode(plate: Tensor, trimap: Tensor) -> Tensor:
    """Return (N, 4, H, W): the plate by ImageNet's mean and deviation, the trimap as it is: 0, 0.5,
    1.
    """
    return torch.cat((imagenet(plate), trimap), 1)


def build(width: float = 1.0, **options: Any) -> ViTMatte:
    """Return a network with these options.

    Without any that changes tensors, ViTMatte-S at a width.
    """
    if set(options) <= {"normalisation"}:
        return ViTMatte.narrow(width, **options)
    return ViTMatte(**options)


def _asked(knobs: Mapping[str, Any]) -> dict[str, Any]:
    chosen = knobs["normalisation"]
    return {} if chosen == "auto" else {"normalisation": chosen}


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return a fixture gives RGB that is normalised already, and the trimap."""
    return {"alpha": network(torch.cat(tuple(inputs.values()), 1))}


ARCHITECTURE = Architecture(
    id="vitmatte",
    build=build,
    detect=detect,
    inputs=("plate", "trimap"),
    encode=encode,
    options={"width": 1.0, "normalisation": "imagenet"},
    from_knobs=lambda knobs: {"width": knobs["width"], **_asked(knobs)},
    asked=_asked,
    # Measured: with an open size torch.export takes minutes for three of twelve blocks, and its
    # file then fails at another size.
    onnx_size=(1024, 1024),
    parity=Parity(_parity),
    small={"width": 0.125},
    variants=(
        {"width": 0.125},
        {
            "hidden": 24, "heads": 3, "depth": 4, "whole": (1, 3), "window": 3, "side": 5,
            "positions": 26, "stream": (4, 6, 8), "fusion": (12, 10, 8, 6), "head": 3,
        },
    ),
    layouts=("transformers", "ViTMatte"),
    published=(
        Published({}, 25_814_753, 258),
        Published({"hidden": 768, "heads": 12}, 96_686_561),
    ),
)  # fmt: skip
