# SPDX-License-Identifier: Apache-2.0
"""Robust Video Matting: Lin, Yang, Saleemi, Sengupta, WACV 2022 (arXiv 2108.11515)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import (
    Answer,
    Architecture,
    Parity,
    Published,
    PublishedOnnx,
    Training,
    named_outputs,
)
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import IMAGENET, conv_norm_relu, double, imagenet, resize
from matte_nodes.models.networks.mobilenet import MobileNetV2, MobileNetV3Large
from matte_nodes.models.networks.resnet import ResNet
from matte_nodes.recognition import Recognition, Shapes, present

Backbone = Literal["mobilenetv3", "resnet50", "mobilenetv2"]

# channels of the encoder at 1/2, 1/4, 1/8 and after the context block; of the decoder, 1/8 to 1/1
_PLANS: dict[Backbone, tuple[tuple[int, int, int, int], int, tuple[int, int, int, int]]] = {
    "mobilenetv3": ((16, 24, 40, 128), 960, (80, 40, 32, 16)),
    "resnet50": ((64, 256, 512, 256), 2048, (128, 64, 32, 16)),
    # not of the paper: an encoder whose ImageNet weights have clear terms and come from the index
    "mobilenetv2": ((16, 24, 32, 128), 320, (80, 40, 32, 16)),
}


class RobustVideoMattingOutput(NamedTuple):
    """foreground: (N, 3, H, W) straight 0..1. alpha: (N, 1, H, W) 0..1. r1..r4: the recurrent
    states for the next frame, at 1/2, 1/4, 1/8 and 1/16 of the reduced picture."""

    foreground: Tensor
    alpha: Tensor
    r1: Tensor
    r2: Tensor
    r3: Tensor
    r4: Tensor

    @property
    def states(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The recurrent states for the next frame."""
        return self.r1, self.r2, self.r3, self.r4


class _GRU(nn.Module):
    """Convolutional gated recurrent unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        both = 2 * channels
        self.ih = nn.Sequential(nn.Conv2d(both, both, 3, padding=1), nn.Sigmoid())
        self.hh = nn.Sequential(nn.Conv2d(both, channels, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor, state: Tensor | None) -> Tensor:
        # a 1 x 1 state of zeros stands for "none yet", as the published ONNX files have it
        h = torch.zeros_like(x) if state is None else state.expand_as(x)
        reset, update = self.ih(torch.cat((x, h), 1)).split(self.channels, 1)
        candidate = self.hh(torch.cat((x, reset * h), 1))
        out: Tensor = (1 - update) * h + update * candidate
        return out


def _remember(gru: _GRU, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """The second half of the channels goes through time, the first passes by."""
    still, moving = x.chunk(2, 1)
    memory: Tensor = gru(moving, state)
    return torch.cat((still, memory), 1), memory


class _Context(nn.Module):
    """LR-ASPP: 1 x 1 features gated by the picture's mean."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.aspp1 = nn.Sequential(*conv_norm_relu(inputs, outputs, 1, bias=False))
        self.aspp2 = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.aspp1(x) * self.aspp2(x)
        return y


class _Bottom(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gru = _GRU(channels // 2)


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(*conv_norm_relu(inputs, outputs, bias=False))
        self.gru = _GRU(outputs // 2)


class _Top(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *conv_norm_relu(inputs, outputs, bias=False),
            *conv_norm_relu(outputs, outputs, bias=False),
        )


class _Decoder(nn.Module):
    """Recurrent decoder, 1/16 to 1/1."""

    def __init__(self, maps: tuple[int, int, int, int], out: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.avgpool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
        self.decode4 = _Bottom(maps[3])
        self.decode3 = _Up(maps[3] + maps[2] + 3, out[0])
        self.decode2 = _Up(out[0] + maps[1] + 3, out[1])
        self.decode1 = _Up(out[1] + maps[0] + 3, out[2])
        self.decode0 = _Top(out[2] + 3, out[3])

    def forward(
        self, rgb: Tensor, maps: Sequence[Tensor], states: Sequence[Tensor | None]
    ) -> tuple[Tensor, list[Tensor]]:
        pictures = [rgb]
        for _ in range(3):
            pictures.append(self.avgpool(pictures[-1]))
        x, memory = _remember(self.decode4.gru, maps[3], states[3])
        memories = [memory]
        for level, block in ((3, self.decode3), (2, self.decode2), (1, self.decode1)):
            picture = pictures[level]
            # odd sizes: the larger upsampled map is cut, never squeezed
            x = double(x)[:, :, : picture.shape[2], : picture.shape[3]]
            x = block.conv(torch.cat((x, maps[level - 1], picture), 1))
            x, memory = _remember(block.gru, x, states[level - 1])
            memories.append(memory)
        x = double(x)[:, :, : rgb.shape[2], : rgb.shape[3]]
        return self.decode0.conv(torch.cat((x, rgb), 1)), memories[::-1]


class _Project(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class _GuidedFilter(nn.Module):
    """Deep guided filter (arXiv 1803.05619): a small answer carried to the full picture.

    The answer is taken to be, in every window, linear in the picture; small 1 x 1 convolutions
    learn the slope from the windows' covariance, variance and the decoder's hidden features.
    """

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.box_filter = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        nn.init.constant_(self.box_filter.weight, 1 / 9)
        self.conv = nn.Sequential(
            *conv_norm_relu(8 + hidden, hidden, 1, bias=False),
            *conv_norm_relu(hidden, hidden, 1, bias=False),
            nn.Conv2d(hidden, 4, 1),
        )

    def forward(self, full: Tensor, small: Tensor, answer: Tensor, hidden: Tensor) -> Tensor:
        """full: (N, 3, H, W). small: (N, 3, h, w). answer: (N, 4, h, w). Answers (N, 4, H, W)."""
        full4 = torch.cat((full, full.mean(1, keepdim=True)), 1)
        small4 = torch.cat((small, small.mean(1, keepdim=True)), 1)
        mean_x, mean_y = self.box_filter(small4), self.box_filter(answer)
        covariance = self.box_filter(small4 * answer) - mean_x * mean_y
        variance = self.box_filter(small4 * small4) - mean_x * mean_x
        slope = self.conv(torch.cat((covariance, variance, hidden), 1))
        offset = mean_y - slope * mean_x
        return resize(slope, full) * full4 + resize(offset, full)


class RobustVideoMatting(nn.Module):
    """Video matting of people without a hint; the memory comes in and goes out as tensors."""

    def __init__(self, backbone: Backbone = "mobilenetv3") -> None:
        super().__init__()
        maps, deep, out = _PLANS[backbone]
        self.backbone: nn.Module
        if backbone == "mobilenetv3":
            self.backbone = MobileNetV3Large(taps=(1, 3, 6, 16))
        elif backbone == "mobilenetv2":
            self.backbone = MobileNetV2(taps=(1, 3, 6, 17), dilate_last=True)
        else:
            self.backbone = ResNet("r50", dilate_last=True)
        self.aspp = _Context(deep, maps[3])
        self.decoder = _Decoder(maps, out)
        self.project_mat = _Project(out[3], 4)
        self.project_seg = _Project(out[3], 1)
        self.refiner = _GuidedFilter(out[3])
        self.state_channels = (out[2] // 2, out[1] // 2, out[0] // 2, maps[3] // 2)
        """Channels of r1..r4."""

    def _features(
        self, small: Tensor, states: Sequence[Tensor | None]
    ) -> tuple[Tensor, list[Tensor]]:
        maps = self.backbone(imagenet(small))
        # the residual network answers one map more, at 1/16 before the last stage
        half, quarter, eighth, deep = maps[0], maps[1], maps[2], maps[-1]
        hidden, memories = self.decoder(small, (half, quarter, eighth, self.aspp(deep)), states)
        return hidden, memories

    def forward(
        self,
        src: Tensor,
        r1: Tensor | None = None,
        r2: Tensor | None = None,
        r3: Tensor | None = None,
        r4: Tensor | None = None,
        downsample_ratio: float = 1.0,
        refine: bool | None = None,
    ) -> RobustVideoMattingOutput:
        """src: (N, 3, H, W), display-encoded, 0..1, any size. r1..r4: states of the frame before
        (None, or (1, C, 1, 1) zeros, at the first). downsample_ratio: 0 < ratio <= 1; the network
        works at that part of the size (choose it so that the smaller side is 256 to 512) and the
        refiner carries its answer back to the full picture. refine: None for "when reduced"; True
        for always, as the published ONNX files do."""
        small = src
        if downsample_ratio != 1:
            small = F.interpolate(
                src,
                scale_factor=downsample_ratio,
                mode="bilinear",
                recompute_scale_factor=False,
            )
        hidden, memories = self._features(small, (r1, r2, r3, r4))
        answer = self.project_mat(hidden)
        if refine or (refine is None and downsample_ratio != 1):
            answer = self.refiner(src, small, answer, hidden)
        residual, alpha = answer.split((3, 1), 1)
        foreground = torch.clamp(residual + src, 0, 1)
        return RobustVideoMattingOutput(foreground, torch.clamp(alpha, 0, 1), *memories)

    def segment(
        self,
        src: Tensor,
        r1: Tensor | None = None,
        r2: Tensor | None = None,
        r3: Tensor | None = None,
        r4: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, 1, H, W) of the segmentation head, which is trained beside the matte."""
        hidden, _ = self._features(src, (r1, r2, r3, r4))
        logits: Tensor = self.project_seg(hidden)
        return logits


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """MobileNetV3, ResNet-50 or our own MobileNetV2; PyTorch files, and what ONNX files hold."""
    marks = ("decoder.decode4.gru.ih.0.weight", "project_mat.conv.weight")
    if not present(shapes, marks):
        return None
    if not any(name.startswith("refiner.conv.") for name in shapes):
        raise WeightsError(
            "These are weights of Robust Video Matting with the fast guided filter, which has no "
            "learned refiner. Use the published weights (deep guided filter)."
        )
    # ONNX files name only some of the convolutions: theirs is the published MobileNetV3.
    light = any(name.startswith("backbone.features.") for name in shapes)
    ours = shapes.get("backbone.features.0.0.weight", (0,))[0] == 32
    backbone = "mobilenetv2" if ours else "mobilenetv3" if light else "resnet50"
    note = "" if "project_seg.conv.weight" in shapes else " The segmentation head is not in it."
    return Recognition(
        options={"backbone": backbone},
        layout="RobustVideoMatting",
        names={name: name for name in shapes},
        found=f"Robust Video Matting with a {backbone} encoder.{note}",
        optional=lambda name: (
            name.endswith("num_batches_tracked") or name.startswith("project_seg.")
        ),
    )


def decode(answer: RobustVideoMattingOutput) -> dict[str, Tensor]:
    """Return alpha and foreground; the states are the model's memory."""
    return {"alpha": answer.alpha, "foreground": answer.foreground}


def _clip(network: nn.Module, clip: Tensor) -> Answer:
    """Frame after frame of clips (T, N, 3, H, W), each with the states of the one before.

    The network works at half the size, so that its refiner learns as well.
    """
    states: tuple[Tensor, ...] = ()
    alphas, foregrounds = [], []
    for frame in clip:
        answer = network(frame, *states, downsample_ratio=0.5)
        states = answer.states
        alphas.append(answer.alpha)
        foregrounds.append(answer.foreground)
    return Answer(torch.cat(alphas), foreground=torch.cat(foregrounds))


def half_grey(network: nn.Module) -> None:
    """Let a new network answer alpha 0.5: the clamp to 0..1 passes no gradient beyond its ends."""
    assert isinstance(network, RobustVideoMatting)
    bias = network.project_mat.conv.bias
    assert bias is not None
    nn.init.constant_(bias[3:], 0.5)


def fill_encoder(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill a MobileNetV2 encoder from torchvision's, or from the one of a trained MODNet.

    MODNet sees plates as -1..1, this encoder sees them less ImageNet's mean over its deviation: the
    first layer takes the difference up (exactly, but at the border). Raises WeightsError when the
    tensors are of another network.
    """
    assert isinstance(network, RobustVideoMatting)
    own = network.backbone.state_dict()
    start = "backbone.model."
    modnet = any(name.startswith(start) for name in tensors)
    given = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
    # The two name the units differently and hold them in one order.
    plan = MobileNetV2((17,), nested=not modnet).state_dict() if modnet else own
    theirs = [(given if modnet else tensors).get(name) for name in plan]
    if [None if t is None else t.shape for t in theirs] != [t.shape for t in own.values()]:
        raise WeightsError("These tensors are of no MobileNetV2 that this encoder can begin as.")
    filled = {
        n: t.clone().to(own[n].dtype) for n, t in zip(own, theirs, strict=True) if t is not None
    }
    if modnet:
        weight, running_mean = "features.0.0.weight", "features.0.1.running_mean"
        mean, deviation = (
            torch.tensor(row).reshape(1, 3, 1, 1) for row in zip(*IMAGENET, strict=True)
        )
        # 2 (x s + m) - 1 is what MODNet sees of the normalised value x.
        shift = (filled[weight] * (2 * mean - 1)).sum((1, 2, 3))
        filled[weight] = filled[weight] * 2 * deviation
        filled[running_mean] = filled[running_mean] - shift
    network.backbone.load_state_dict(filled)


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The inputs are frames in their order; the outputs carry the frame's number."""
    found: dict[str, Tensor] = {}
    states: tuple[Tensor, ...] = ()
    for number, frame in enumerate(inputs.values()):
        answer = network(frame, *states, **options)
        states = answer.states
        found |= {f"{name}{number}": value for name, value in named_outputs(answer).items()}
    return found


ARCHITECTURE = Architecture(
    id="rvm",
    build=RobustVideoMatting,
    detect=detect,
    decode=decode,
    options={"backbone": "mobilenetv3"},
    multiple=1,
    published_onnx=PublishedOnnx(
        inputs={"plate": "src"},
        outputs={"alpha": "pha", "foreground": "fgr"},
        states={f"r{n}": (f"r{n}i", f"r{n}o") for n in (1, 2, 3, 4)},
        constants={"downsample_ratio": [0.25]},
    ),
    training=Training(
        task="clips",
        clip=_clip,
        first_weights=half_grey,
        fill_encoder=fill_encoder,
        options={"backbone": "mobilenetv2"},
        losses={"l1": 1.0, "laplacian": 1.0, "coherence": 5.0, "foreground": 1.0},
    ),
    parity=Parity(_parity, options={"downsample_ratio": float}),
    variants=({}, {"backbone": "resnet50"}, {"backbone": "mobilenetv2"}),
    layouts=("RobustVideoMatting",),
    published=(Published({}, 3_748_633, 380),),
)
