# SPDX-License-Identifier: Apache-2.0
"""Real-time high-resolution background matting: Lin, Ryabtsev, Sengupta, Curless, Seitz,
Kemelmacher-Shlizerman, CVPR 2021 (arXiv 2012.07810)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Parity, Published
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import conv_norm_relu, resize
from matte_nodes.models.networks.mobilenet import MobileNetV2
from matte_nodes.models.networks.resnet import ResNet
from matte_nodes.recognition import Recognition, Shapes, present

Backbone = Literal["mobilenetv2", "resnet50", "resnet101"]
RefineMode = Literal["full", "sampling", "thresholding"]

# channels of the encoder's maps at 1/2, 1/4, 1/8 and (last) 1/16 of the reduced picture
_MAPS: dict[Backbone, tuple[int, int, int, int]] = {
    "mobilenetv2": (16, 24, 32, 320),
    "resnet50": (64, 256, 512, 2048),
    "resnet101": (64, 256, 512, 2048),
}
_HIDDEN = 32


class BackgroundMattingV2Output(NamedTuple):
    """alpha: (N, 1, H, W) 0..1. foreground: (N, 3, H, W) straight 0..1. error: (N, 1, h, w) 0..1,
    where the reduced answer was expected to be wrong; refined: (N, 1, H/4, W/4), 1 where the
    picture was worked on at full size."""

    alpha: Tensor
    foreground: Tensor
    error: Tensor
    refined: Tensor


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling (arXiv 1706.05587) at rates 3, 6 and 9."""

    def __init__(self, inputs: int, outputs: int = 256) -> None:
        super().__init__()
        pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), *conv_norm_relu(inputs, outputs, 1, bias=False)
        )
        self.convs = nn.ModuleList(
            [
                nn.Sequential(*conv_norm_relu(inputs, outputs, 1, bias=False)),
                *(
                    nn.Sequential(*conv_norm_relu(inputs, outputs, 3, rate, bias=False))
                    for rate in (3, 6, 9)
                ),
                pool,
            ]
        )
        self.project = nn.Sequential(*conv_norm_relu(5 * outputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.convs]
        parts[-1] = parts[-1].expand_as(parts[0])
        y: Tensor = self.project(torch.cat(parts, 1))
        return y


class _Decoder(nn.Module):
    """1/16 to 1/1 of the reduced picture."""

    def __init__(self, skips: Sequence[int]) -> None:
        super().__init__()
        widths = (256, 128, 64, 48)
        for index in range(3):
            conv = nn.Conv2d(widths[index] + skips[index], widths[index + 1], 3, 1, 1, bias=False)
            self.add_module(f"conv{index + 1}", conv)
            self.add_module(f"bn{index + 1}", nn.BatchNorm2d(widths[index + 1]))
        self.conv4 = nn.Conv2d(widths[3] + skips[3], 5 + _HIDDEN, 3, padding=1)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        for index in range(4):
            x = torch.cat((resize(x, skips[index]), skips[index]), 1)
            x = self.get_submodule(f"conv{index + 1}")(x)
            if index < 3:
                x = torch.relu(self.get_submodule(f"bn{index + 1}")(x))
        return x


class _Refiner(nn.Module):
    """Answers 4 x 4 patches from 8 x 8 of the picture at 1/2 and at 1/1; or the whole picture."""

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.kernel = kernel
        self.conv1 = nn.Conv2d(_HIDDEN + 4 + 6, 24, kernel, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 16, kernel, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16 + 6, 12, kernel, bias=False)
        self.bn3 = nn.BatchNorm2d(12)
        self.conv4 = nn.Conv2d(12, 4, kernel)

    @property
    def border(self) -> int:
        """Pixels that two unpadded convolutions eat, on each side."""
        return self.kernel // 2 * 2

    def coarse(self, x: Tensor) -> Tensor:
        """(N, 42, h, w) at 1/2 to (N, 16, h - 2 border, w - 2 border)."""
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))

    def fine(self, x: Tensor) -> Tensor:
        """Return (N, 22, h, w) at 1/1 to alpha and foreground residual, (N, 4, h - 2 border, ...)."""
        y: Tensor = self.conv4(torch.relu(self.bn3(self.conv3(x))))
        return y

    def whole(self, half: Tensor, full: Tensor) -> Tensor:
        """Return every pixel. half: (N, 42, H/2, W/2). full: (N, 6, H, W)."""
        border, margin = self.border, self.border // 2
        height, width = full.shape[-2:]
        y = self.coarse(F.pad(half, (border + margin,) * 4))
        y = F.interpolate(y, size=(height + 2 * border, width + 2 * border), mode="nearest")
        return self.fine(torch.cat((y, F.pad(full, (border,) * 4)), 1))

    def patches(self, half: Tensor, full: Tensor, where: tuple[Tensor, ...]) -> Tensor:
        """Return (P, 4, 4, 4): the patches at `where` (picture, row, column of a grid of 4 x 4)."""
        border, margin = self.border, self.border // 2
        y = self.coarse(crop_patches(half, where, 2, border + margin))
        y = F.interpolate(y, scale_factor=2.0, mode="nearest")
        return self.fine(torch.cat((y, crop_patches(full, where, 4, border)), 1))


def crop_patches(x: Tensor, where: tuple[Tensor, ...], size: int, border: int) -> Tensor:
    """Return (P, C, size + 2 border, size + 2 border) from (N, C, H, W), zeros outside the picture.

    where: picture, row and column of each patch in a grid of `size` x `size`.
    """
    picture, row, column = where
    padded = F.pad(x, (border,) * 4)
    span = torch.arange(size + 2 * border, device=x.device)
    rows = (row * size)[:, None, None] + span[None, :, None]
    columns = (column * size)[:, None, None] + span[None, None, :]
    cut = padded[picture[:, None, None], :, rows, columns]
    return cut.permute(0, 3, 1, 2)


def _paste(x: Tensor, where: tuple[Tensor, ...], patches: Tensor) -> Tensor:
    """`x` (N, C, H, W) with 4 x 4 patches (P, C, 4, 4) at their places of the grid."""
    count, channels, height, width = x.shape
    grid = x.reshape(count, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 1, 3, 5)
    grid = grid.index_put(where, patches)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, height, width)


class BackgroundMattingV2(nn.Module):
    """Plate and clean plate to alpha and foreground: a reduced answer, refined where it errs.

    refine_kernel: 3, or 1 for the lighter published refiner.
    """

    def __init__(self, backbone: Backbone = "mobilenetv2", refine_kernel: int = 3) -> None:
        super().__init__()
        maps = _MAPS[backbone]
        self.backbone: nn.Module
        if backbone == "mobilenetv2":
            self.backbone = MobileNetV2((1, 3, 6, 17), inputs=6, dilate_last=True)
        else:
            depth: Literal["r50", "r101"] = "r50" if backbone == "resnet50" else "r101"
            self.backbone = ResNet(depth, inputs=6, dilate_last=True)
        self.aspp = _Pyramid(maps[3])
        self.decoder = _Decoder((maps[2], maps[1], maps[0], 6))
        self.refiner = _Refiner(refine_kernel)

    def _select(
        self, error: Tensor, mode: RefineMode, sample_pixels: int, threshold: float
    ) -> Tensor:
        """Return which 4 x 4 patches are refined: (N, 1, H/4, W/4), 1 or 0."""
        if mode == "thresholding":
            return (error > threshold).to(error.dtype)
        flat = error.flatten(1)
        count = min(sample_pixels // 16, flat.shape[1])
        chosen = torch.zeros_like(flat).scatter(1, flat.topk(count, 1).indices, 1.0)
        # where no error is expected at all nothing is refined, however many may be
        return (chosen * (flat > 0)).reshape(error.shape)

    def forward(
        self,
        src: Tensor,
        bgr: Tensor,
        backbone_scale: float = 0.25,
        refine_mode: RefineMode = "sampling",
        refine_sample_pixels: int = 80_000,
        refine_threshold: float = 0.1,
    ) -> BackgroundMattingV2Output:
        """src: the plate, bgr: the clean plate, both (N, 3, H, W), display-encoded, 0..1.

        backbone_scale: part of the size the encoder works at (1/4 for HD, 1/8 for 4K).
        refine_mode: "full" refines every pixel, "sampling" the `refine_sample_pixels` pixels with
        the largest expected error, "thresholding" those whose expected error is above
        `refine_threshold`.
        """
        full = torch.cat((src, bgr), 1)
        small = F.interpolate(
            full, scale_factor=backbone_scale, mode="bilinear", recompute_scale_factor=True
        )
        maps = self.backbone(small)
        answer = self.decoder(self.aspp(maps[-1]), (maps[2], maps[1], maps[0], small))
        alpha, residual, error, hidden = answer.split((1, 3, 1, _HIDDEN), 1)
        alpha, error = torch.clamp(alpha, 0, 1), torch.clamp(error, 0, 1)
        coarse = torch.cat((torch.relu(hidden), alpha, residual), 1)
        height, width = src.shape[-2:]
        half_size, quarter_size = (height // 2, width // 2), (height // 4, width // 4)

        def bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
            return F.interpolate(x, size=size, mode="bilinear")

        if refine_mode == "full":
            half = torch.cat((bilinear(coarse, half_size), bilinear(full, half_size)), 1)
            refined = error.new_ones((error.shape[0], 1, *quarter_size))
            out = self.refiner.whole(half, full)
        else:
            expected = bilinear(error, quarter_size)
            refined = self._select(expected, refine_mode, refine_sample_pixels, refine_threshold)
            where = refined.squeeze(1).nonzero(as_tuple=True)
            half = torch.cat((bilinear(coarse, half_size), bilinear(full, half_size)), 1)
            out = bilinear(torch.cat((alpha, residual), 1), (height, width))
            out = _paste(out, where, self.refiner.patches(half, full, where))
        foreground = torch.clamp(out[:, 1:] + src, 0, 1)
        return BackgroundMattingV2Output(torch.clamp(out[:, :1], 0, 1), foreground, error, refined)


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """MobileNetV2, ResNet-50 or ResNet-101, with the refiner of 3 x 3 or 1 x 1."""
    marks = ("aspp.convs.0.0.weight", "aspp.project.0.weight", "decoder.conv4.weight")
    if not present(shapes, marks) or not any(n.startswith("backbone.") for n in shapes):
        return None
    if not any(name.startswith("refiner.") for name in shapes):
        raise WeightsError(
            "These are weights of Background Matting v2 without its refiner (MattingBase, the "
            "first stage of training). Use the weights of the whole network (MattingRefine)."
        )
    if any(name.startswith("backbone.features.") for name in shapes):
        backbone = "mobilenetv2"
    else:
        backbone = "resnet101" if "backbone.layer3.22.conv1.weight" in shapes else "resnet50"
    kernel = shapes.get("refiner.conv1.weight", (0, 0, 3, 3))[-1]
    return Recognition(
        options={"backbone": backbone, "refine_kernel": kernel},
        layout="BackgroundMattingV2",
        names={name: name for name in shapes},
        found=f"Background Matting v2 with a {backbone} encoder, refiner of {kernel} x {kernel}.",
    )


def decode(answer: BackgroundMattingV2Output) -> dict[str, Tensor]:
    """Return alpha and foreground."""
    return {"alpha": answer.alpha, "foreground": answer.foreground}


def _call(knobs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "backbone_scale": float(knobs["backbone_scale"]),
        "refine_mode": str(knobs["refine_mode"]),
        "refine_sample_pixels": int(knobs["refine_pixels"]),
    }


ARCHITECTURE = Architecture(
    id="background-matting-v2",
    build=BackgroundMattingV2,
    detect=detect,
    inputs=("plate", "background"),
    decode=decode,
    options={"backbone": "mobilenetv2"},
    call=_call,
    multiple=16,
    # Every patch is refined: a file with a chosen number of patches works at one size only.
    export_knobs={"refine_mode": "full"},
    parity=Parity(
        options={
            "backbone_scale": float,
            "refine_mode": str,
            "refine_sample_pixels": int,
            "refine_threshold": float,
        }
    ),
    small={"refine_pixels": 4096},
    variants=({}, {"backbone": "resnet50", "refine_kernel": 1}),
    layouts=("BackgroundMattingV2",),
    published=(Published({}, 5_006_839, 382),),
)
