# SPDX-License-Identifier: Apache-2.0
"""A small network that weighs what hints already tell: the shipped variants are of this kind.

An encoder-decoder on half-size features and a refinement at full size, as Deep Image Matting
(Xu et al. 2017) has them, at a fraction of its width. It sees extra channels (projected alphas,
differences to likely colours), and its answer is a mixture of those alphas and of one of its own.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_nodes.architecture import Architecture, Published, Training
from matte_nodes.models.networks.blocks import base_channels
from matte_nodes.models.networks.cue_planes import (
    PLANES,
    CuePlanes,
    CuePlanesInParts,
    Cues,
    TorchTools,
)
from matte_nodes.models.networks.scriptable import resized
from matte_nodes.recognition import Detector, Recognition, Shapes, number, present

Network = TypeVar("Network", bound=nn.Module)
PLATE_CUES = 7  # plate, clean plate, segmentation
SEEN = 5  # features that the refinement sees once more
REACH = 2  # halved pixels: one of `up0`, one of the two convolutions of `refine`
MARGIN = 2 * REACH  # full pixels that `CueMatting.fine` reads beside those it answers


class CueMatting(nn.Module):
    """Features at full size and candidate alphas to one alpha.

    features: channels given. candidates: how many alphas are offered. width: channel multiplier.
    """

    def __init__(self, features: int, candidates: int, width: float = 1.0) -> None:
        super().__init__()
        self.features, self.candidates = features, candidates
        c0, c1, c2, c3, c4 = (base_channels(width, full=b) for b in WIDTHS)
        self.stem = nn.Sequential(_unit(4 * features, c0, 1), _unit(c0, c0))
        self.down1 = nn.Sequential(_unit(c0, c1, stride=2), _unit(c1, c1))
        self.down2 = nn.Sequential(_unit(c1, c2, stride=2), _unit(c2, c2), _unit(c2, c2))
        self.down3 = nn.Sequential(_unit(c2, c3, stride=2), _unit(c3, c3), _unit(c3, c3))
        self.down4 = nn.Sequential(_unit(c3, c4, stride=2), _unit(c4, c4), _unit(c4, c4))
        self.up3 = _unit(c4 + c3, c3)
        self.up2 = _unit(c3 + c2, c2)
        self.up1 = _unit(c2 + c1, c1)
        self.up0 = _unit(c1 + c0, 32)
        seen = 8 + SEEN + candidates
        self.refine = nn.Sequential(_unit(seen, 12), _unit(12, 12))
        self.answer = nn.Conv2d(12, candidates + 2, 1)
        nn.init.zeros_(self.answer.weight)
        assert self.answer.bias is not None
        nn.init.zeros_(self.answer.bias)
        # At first the network's own alpha has hardly a say.
        self.answer.bias.data[candidates] = -2

    def forward(self, features: Tensor, offers: Tensor) -> Tensor:
        """Return alpha (N, 1, H, W), 0..1.

        features: (N, features, H, W), the plate in -1..1 and two hint planes first. offers:
        (N, candidates, H, W), 0..1. H and W are multiples of 32.
        """
        return self.fine(self.deep(self.halved(features)), features[:, :SEEN], offers)

    def halved(self, features: Tensor) -> Tensor:
        """First features, half the size; each pixel is made of its own four alone.

        A 1 x 1 unit over the four pixels of each 2 x 2 (pixel_unshuffle), as one strided
        convolution: the same sums in a third of the time. Joined planar and turned by hand, since
        a joint of mixed layouts takes ten times as long.
        """
        convolution, norm, rectified = self.stem[0].children()
        assert isinstance(convolution, nn.Conv2d)
        weight = convolution.weight.reshape(convolution.out_channels, -1, 2, 2)
        found: Tensor = rectified(
            norm(functional.conv2d(_last(features), weight, convolution.bias, 2))
        )
        return found

    def deep(self, halved: Tensor) -> Tensor:
        """Encoder and decoder, half the size; what the last unit but two is given."""
        half = self.stem[1](halved)
        quarter = self.down1(half)
        eighth = self.up2(_join(*self.deepest(quarter)))
        return _join(self.up1(_join(eighth, quarter)), half)

    def stemmed(self, features: Tensor) -> Tensor:
        """Return the stem's features, half the size."""
        found: Tensor = self.stem[1](CueMatting.halved(self, features))
        return found

    def deepest(self, quarter: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `up2` joins: a sixteenth of the size, and an eighth."""
        d2 = self.down2(quarter)
        d3 = self.down3(d2)
        return self.up3(_join(self.down4(d3), d3)), d2

    def fine(self, deep: Tensor, seen: Tensor, offers: Tensor) -> Tensor:
        """Return alpha at full size; a pixel depends on REACH halved pixels round it and no others.

        seen: the first SEEN features.
        """
        x = functional.pixel_shuffle(self.up0(deep).contiguous(), 2)
        told = self.answer(self.refine(_last(torch.cat((x, seen, offers), 1)))).float()
        shares = torch.softmax(told[:, :-1], 1)
        choices = torch.cat((offers.float(), torch.sigmoid(told[:, -1:])), 1)
        return (shares * choices).sum(1, keepdim=True)


WIDTHS = (24, 48, 80, 128, 160)


class TrimapCues(nn.Module):
    """The planes of `models.cues` to alpha.

    A coarse alpha (closed form's) helps where there is one.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.net = CueMatting(features=25, candidates=3, width=width)

    def forward(self, planes: Tensor, coarse: Tensor | None = None) -> Tensor:
        """Return alpha (N, 1, H, W), the trimap's 0 and 1 kept.

        planes: (N, 19, H, W), 0..1. coarse: (N, 1, H, W), 0..1; below 0 in a picture without one.
        """
        features, offers = self.seen(planes, coarse)
        return self.kept(self.net(features, offers), planes)

    def seen(self, planes: Tensor, coarse: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features and candidate alphas, pixel by pixel."""
        return seen(planes, coarse)

    def kept(self, answer: Tensor, planes: Tensor) -> Tensor:
        """Return the alpha with the trimap's 0 and 1 put back."""
        return kept(answer, planes)


def seen(planes: Tensor, coarse: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Features and candidate alphas of the planes, pixel by pixel."""
    plate, near_front, near_back, front, back = torch.split(planes[:, :15], 3, 1)
    trimap, rest = planes[:, 15:16], planes[:, 16:19]
    is_front, is_back = (trimap > 0.75).to(planes), (trimap < 0.25).to(planes)
    unknown = 1 - is_front - is_back
    near = projected(plate, near_front, near_back) * unknown + is_front
    best = projected(plate, front, back) * unknown + is_front
    given = torch.full_like(trimap, -1) if coarse is None else coarse
    there = (given >= 0).to(planes)
    third = torch.where(given >= 0, given, best) * unknown + is_front
    offers = torch.cat((near, best, third), 1)
    apart = (front - back).square().sum(1, keepdim=True).sqrt()
    features = torch.cat(
        (plate * 2 - 1, is_front, is_back, offers, there, rest, apart,
         plate - near_front, plate - near_back, plate - front, plate - back), 1,
    )  # fmt: skip
    return features, offers


def kept(answer: Tensor, planes: Tensor) -> Tensor:
    """Return the alpha with the trimap's 0 and 1 put back."""
    trimap = planes[:, 15:16]
    is_front, is_back = (trimap > 0.75).to(planes), (trimap < 0.25).to(planes)
    found: Tensor = answer * (1 - is_front - is_back) + is_front
    return found


class PlateCues(nn.Module):
    """Plate, clean plate and a rough segmentation to alpha."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.net = CueMatting(features=14, candidates=2, width=width)

    def forward(self, planes: Tensor) -> Tensor:
        """Return alpha (N, 1, H, W).

        planes: (N, 7, H, W): plate, clean plate, 0..1; segmentation 0..1,
        -1 everywhere when there is none."""
        plate, clean, rough = planes[:, :3], planes[:, 3:6], planes[:, 6:7]
        difference = plate - clean
        key, calm, around = difference_keys(difference)
        features = torch.cat(
            (plate * 2 - 1, key, calm, difference * 4, clean * 2 - 1,
             (rough >= 0).to(planes), rough.clamp_min(0), around * 4), 1,
        )  # fmt: skip
        answer: Tensor = self.net(features, torch.cat((key, calm), 1))
        return answer


def difference_keys(difference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a soft key of a difference to a clean plate, one of its mean, and that mean.

    difference: (N, 3, H, W), display-encoded. All (N, 1, H, W); the mean is of 9 x 9 pixels.
    """
    size = difference.abs().amax(1, keepdim=True)
    around = functional.avg_pool2d(size, 9, 1, 4)
    key = ((size - 0.03) / 0.15).clamp(0, 1)
    calm = ((around - 0.03) / 0.12).clamp(0, 1)
    return key, calm, around


def projected(plate: Tensor, front: Tensor, back: Tensor) -> Tensor:
    """Return the alpha whose mixture of two colours is nearest to the plate's, (N, 1, H, W) 0..1."""
    apart = front - back
    along = ((plate - back) * apart).sum(1, keepdim=True)
    return (along / (apart.square().sum(1, keepdim=True) + 1e-3)).clamp(0, 1)


def _unit(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _last(picture: Tensor) -> Tensor:
    return picture.contiguous(memory_format=torch.channels_last)


def _join(small: Tensor, large: Tensor) -> Tensor:
    grown = functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.cat((grown, large), 1)


def folded(network: Network) -> Network:
    """Return the same network with each normalisation folded into the convolution before it, in
    place.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for unit in list(network.modules()):
        if not isinstance(unit, nn.Sequential) or len(unit) < 2:
            continue
        convolution, norm = unit[0], unit[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            unit[0] = fuse_conv_bn_eval(convolution, norm)
            unit[1] = nn.Identity()
    return network


class Piece(nn.Module):
    """One part of a CueMatting with its own weights alone, for tracing."""

    def __init__(self, net: CueMatting, names: tuple[str, ...]) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, getattr(net, name))


class Stem(Piece):
    """`CueMatting.halved` and the unit after it; a row is made of the halved row on each side."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the stem's features, half the size."""
        found: Tensor = CueMatting.stemmed(self, features)  # type: ignore[arg-type]
        return found


class Deepest(Piece):
    """`CueMatting.deepest`."""

    def forward(self, quarter: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the next unit joins."""
        return CueMatting.deepest(self, quarter)  # type: ignore[arg-type]


class Fine(Piece):
    """`CueMatting.fine`."""

    def forward(self, deep: Tensor, given: Tensor, offers: Tensor) -> Tensor:
        """Return alpha at full size."""
        return CueMatting.fine(self, deep, given, offers)  # type: ignore[arg-type]


MULTIPLE = 32  # of the sides that the network works at
DEEP = ("down2", "down3", "down4", "up3")
FINE = ("up0", "refine", "answer")


class CuesInPieces(nn.Module):
    """Plate (1, 3, H, W) and trimap (1, 1, H, W) to alpha, for `torch.jit.script`: the numbers of
    `CuesInside` (to 3e-5: a band is added in another order) in less than half of the memory.

    Planes and full-size tensors are made for a band of rows alone, and the last part only where
    the trimap is unknown. The convolutions are traced; what is before them follows the precision,
    since a trace keeps the precision that it was made in wherever a tensor is made or converted.
    """

    def __init__(self, net: CueMatting) -> None:
        super().__init__()
        jit: Any = torch.jit
        net = folded(copy.deepcopy(net))
        features = torch.rand(1, net.features, 128, 160)
        offers, given = torch.rand(1, net.candidates, 128, 160), features[:, :SEEN].contiguous()
        stem, deepest = Stem(net, ("stem",)), Deepest(net, DEEP)
        half = stem(features)
        quarter = net.down1(half)
        joint = _join(*deepest(quarter))
        last = _join(net.up2(joint), quarter)
        joined = _join(net.up1(last), half)
        self.stem = jit.trace(stem, features, check_trace=False)
        self.down1 = jit.trace(net.down1, half, check_trace=False)
        self.deepest = jit.trace(deepest, quarter, check_trace=False)
        self.up2 = jit.trace(net.up2, joint, check_trace=False)
        self.up1 = jit.trace(net.up1, last, check_trace=False)
        self.fine = jit.trace(Fine(net, FINE), (joined, given, offers), check_trace=False)
        self.counts = (half.shape[1], quarter.shape[1])
        self.planes = CuePlanesInParts(TorchTools())
        self.band = 64
        self.tile = 384
        self.margin = MARGIN
        self.multiple = MULTIPLE
        self.seen = SEEN

    def forward(self, plate: Tensor, trimap: Tensor) -> Tensor:
        """Return alpha (1, 1, H, W); the planes are made in full precision.

        plate: 0..1; the network works in its precision. trimap: 0, 0.5 and 1.
        """
        dtype = plate.dtype
        cues: Cues = self.planes(plate[0].float(), trimap[0, 0].float())
        height, width = plate.shape[2], plate.shape[3]
        half, quarter = self.rooms(height, width, plate)
        self.put_half(half, cues)
        self.put_quarter(quarter, half)
        alpha = (trimap > 0.75).to(dtype)
        unknown = torch.logical_and(trimap >= 0.25, trimap <= 0.75)[0, 0]
        tile = width if plate.is_cuda else self.tile // 2
        for top in range(0, height, 2 * self.band):
            for left in range(0, width, tile):
                part = unknown[top : top + 2 * self.band, left : left + tile]
                rows, columns = part.any(1).nonzero(), part.any(0).nonzero()
                if rows.shape[0] > 0:
                    first, last = top + int(rows.min()), top + int(rows.max()) + 1
                    start, end = left + int(columns.min()), left + int(columns.max()) + 1
                    self.finish(cues, quarter, half, alpha, [first, last, start, end])
        return alpha

    def rooms(self, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return empty features at half and a quarter of the size, in one piece of memory.

        H and W are grown to the multiple. The channels of a pixel lie side by side.
        """
        height, width = height + -height % self.multiple, width + -width % self.multiple
        halves, quarters = self.counts
        sizes = [halves * height * width // 4, quarters * height * width // 16]
        flat = torch.empty(sum(sizes), dtype=like.dtype, device=like.device)
        half, quarter = flat.split_with_sizes(sizes)
        half = half.reshape(1, height // 2, width // 2, halves)
        quarter = quarter.reshape(1, height // 4, width // 4, quarters)
        return half.permute(0, 3, 1, 2), quarter.permute(0, 3, 1, 2)

    def put_half(self, half: Tensor, cues: Cues) -> None:
        """Write the stem's features into `half`, by tiles; a row is made of the halved row on each side."""
        height, width = 2 * half.shape[2], 2 * half.shape[3]
        tile = width if half.is_cuda else self.tile
        for top in range(0, height, self.band):
            upper, bottom = max(0, top - 2), min(height, top + self.band)
            for left in range(0, width, tile):
                start, right = max(0, left - 2), min(width, left + tile)
                box = [upper, min(height, bottom + 2), start, min(width, right + 2)]
                features, _ = seen(self.planes.part(cues, box).to(half.dtype))
                part = self.stem(features)
                half[:, :, top // 2 : bottom // 2, left // 2 : right // 2] = part[
                    :, :, (top - upper) // 2 : (bottom - upper) // 2,
                    (left - start) // 2 : (right - start) // 2,
                ]  # fmt: skip

    def put_quarter(self, quarter: Tensor, half: Tensor) -> None:
        """Write the answer of the unit at a quarter of the size into `quarter`, by bands of rows."""
        rows, band = quarter.shape[2], self.band // 2
        for top in range(0, rows, band):
            upper, bottom = max(0, top - 2), min(rows, top + band)
            part = self.down1(half[:, :, 2 * upper : 2 * bottom + 2])
            quarter[:, :, top:bottom] = part[:, :, top - upper : bottom - upper]
        small, eighth = self.deepest(quarter)
        self.put_joined(eighth, small, False)
        self.put_joined(quarter, eighth, True)

    def put_joined(self, found: Tensor, small: Tensor, last: bool) -> None:
        """Put a unit's answer in the place of the larger of what it joins, by bands of rows.

        A band is put there after the next one, which needs its last row, was given its own.
        last: `up1`, else `up2`.
        """
        rows, columns, band = found.shape[2], found.shape[3], self.band // 4
        made = found[:, :, :0]
        for top in range(0, rows, band):
            upper, bottom = max(0, top - 1), min(rows, top + band)
            joined = self.joined(small, found, [upper, min(rows, bottom + 1), 0, columns])
            found[:, :, top - made.shape[2] : top] = made
            part = self.up1(joined) if last else self.up2(joined)
            made = part[:, :, top - upper : bottom - upper]
        found[:, :, rows - made.shape[2] :] = made

    def finish(
        self, cues: Cues, quarter: Tensor, half: Tensor, alpha: Tensor, box: list[int]
    ) -> None:
        """Put the last part's answer into a box of the alpha: top, bottom, left, right.

        Some more halved pixels on each side, as far as there are any, are cut off again.
        """
        top, bottom, left, right = box[0], box[1], box[2], box[3]
        upper, lower = widened(top, bottom, 2 * half.shape[2], self.margin)
        start, end = widened(left, right, 2 * half.shape[3], self.margin)
        part = self.planes.part(cues, [upper, lower, start, end]).to(alpha.dtype)
        features, offers = seen(part)
        halves = self.joined(quarter, half, [upper // 2, lower // 2, start // 2, end // 2])
        answer = kept(self.fine(halves, features[:, : self.seen], offers).to(part.dtype), part)
        alpha[:, :, top:bottom, left:right] = answer[
            :, :, top - upper : bottom - upper, left - start : right - start
        ]

    def joined(self, small: Tensor, large: Tensor, box: list[int]) -> Tensor:
        """Return a box of two joined pictures: whole, the last one takes 150 MB at 1080p.

        One more pixel of the small one on each side gives the enlarged picture the same numbers.
        """
        top, bottom, left, right = box[0], box[1], box[2], box[3]
        upper, start = max(0, top // 2 - 1), max(0, left // 2 - 1)
        part = small[:, :, upper : bottom // 2 + 2, start : right // 2 + 2]
        grown = resized(part, 2 * part.shape[2], 2 * part.shape[3])
        grown = grown[
            :, :, top - 2 * upper : bottom - 2 * upper, left - 2 * start : right - 2 * start
        ]
        return torch.cat((grown, large[:, :, top:bottom, left:right]), 1)


def widened(first: int, last: int, length: int, margin: int) -> tuple[int, int]:
    """Return a stretch of full pixels with a margin, from and to even places."""
    return max(0, first // 2 * 2 - margin), min(length, (last + 1) // 2 * 2 + margin)


class CuesInside(nn.Module):
    """Plate (1, 3, H, W), 0..1, and trimap (1, 1, H, W), 0, 0.5 and 1, to alpha of any size."""

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core
        self.planes = CuePlanes(TorchTools(MULTIPLE))

    def forward(self, plate: Tensor, trimap: Tensor) -> Tensor:
        """The planes are made in full precision; the network works in the plate's."""
        height, width = plate.shape[2], plate.shape[3]
        given = self.planes(plate[0].permute(1, 2, 0).float(), trimap[0, 0].float())
        alpha: Tensor = self.core(given.to(plate.dtype))
        return alpha[:, :, :height, :width].to(plate.dtype)


def scripted(network: nn.Module) -> nn.Module:
    """Return a trimap network with its planes made inside, for `torch.jit.script`."""
    return CuesInPieces(network.net)  # type: ignore[arg-type]


def width_of(shapes: Shapes) -> float:
    """Return the width of a cue network: the simplest width under which every unit has its channels."""
    firsts = ("stem.0", "down1.0", "down2.0", "down3.0", "down4.0")
    channels = [shapes.get(f"net.{name}.0.weight", (0,))[0] for name in firsts]

    def rank(step: int) -> tuple[int, int, int]:
        fits = sum(
            base_channels(step / 200, full=full) == found
            for full, found in zip(WIDTHS, channels, strict=True)
        )
        plain = next(n for n, part in enumerate((200, 100, 50, 25, 10, 1)) if not step % part)
        return -fits, plain, abs(step - 200)

    return min(range(5, 401), key=rank) / 200


def _detector(features: int, title: str) -> Detector:
    def detect(shapes: Shapes, hint: str) -> Recognition | None:
        marks = ("net.stem.0.0.weight", "net.up0.0.weight", "net.answer.weight", "net.answer.bias")
        if not present(shapes, marks) or "colours" in shapes:
            return None
        if shapes.get("net.stem.0.0.weight", (0, 0))[1] != 4 * features:
            return None
        width = width_of(shapes)
        return Recognition(
            options={"width": width},
            layout="matte-nodes",
            names={name: name for name in shapes},
            found=f"{title}, width {number(width)}.",
        )

    return detect


def encode(plate: Tensor, trimap: Tensor) -> Tensor:
    """Return (N, 19, H, W): the planes, made by torch alone."""
    maker = CuePlanes(TorchTools())
    pairs = zip(plate.permute(0, 2, 3, 1), trimap[:, 0], strict=True)
    return torch.cat([maker(picture, hint) for picture, hint in pairs])


def _trimap_planes(network: nn.Module, planes: Tensor) -> Tensor:
    """Return alpha of training samples: the planes, then a coarse alpha."""
    found: Tensor = network(planes[:, :PLANES], planes[:, PLANES:]).float()
    return found


def _plate_planes(network: nn.Module, planes: Tensor) -> Tensor:
    found: Tensor = network(planes).float()
    return found


def plate_and_clean(plate: Tensor, background: Tensor, segmentation: Tensor) -> Tensor:
    """Return (N, 7, H, W): the planes of the clean-plate network.

    segmentation: -1 where there is none.
    """
    return torch.cat((plate, background, segmentation), 1)


TRIMAP_ARCHITECTURE = Architecture(
    id="trimap-cues",
    build=TrimapCues,
    detect=_detector(25, "The trimap cue network"),
    inputs=("plate", "trimap"),
    encode=encode,
    options={"width": 1.0},
    script=scripted,
    training=Training(task="trimap", planes=_trimap_planes, channels_last=True),
    small={},
    variants=({"width": 0.125}, {"width": 0.25}),
    published=(Published({}, 1_784_417),),
)
CLEAN_PLATE_ARCHITECTURE = Architecture(
    id="clean-plate-cues",
    old_ids=("plate-cues",),
    build=PlateCues,
    detect=_detector(14, "The clean-plate cue network"),
    inputs=("plate", "background", "segmentation"),
    encode=plate_and_clean,
    options={"width": 1.0},
    training=Training(task="plate", planes=_plate_planes, channels_last=True),
    variants=({"width": 0.125}, {"width": 0.25}),
    published=(Published({}, 1_783_240),),
)
