# SPDX-License-Identifier: Apache-2.0
"""MODNet: Ke, Sun, Li, Yan, Lau, AAAI 2022 (arXiv 2011.11961)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Parity, Published, Size, Training, named_outputs
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import IMAGENET, double
from matte_nodes.models.networks.mobilenet import MobileNetV2
from matte_nodes.recognition import Recognition, Shapes, present

# encoder blocks after which the map is 1/2, 1/4, 1/8, 1/16 and 1/32
_TAPS = (1, 3, 6, 13, 18)


class MODNetTraining(NamedTuple):
    """semantic: (N, 1, H/16, W/16). detail, matte: (N, 1, H, W). All 0..1."""

    semantic: Tensor
    detail: Tensor
    matte: Tensor


class _HalfNorm(nn.Module):
    """Batch normalisation of the first half of the channels, instance normalisation of the rest."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.bnorm = nn.BatchNorm2d(self.split)
        self.inorm = nn.InstanceNorm2d(channels - self.split)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.bnorm(x[:, : self.split]), self.inorm(x[:, self.split :])), 1)


class _Unit(nn.Module):
    """Convolution and, unless it is a branch's last, normalisation and ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)]
        if not last:
            layers += [_HalfNorm(outputs), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Excite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 4, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gates: Tensor = self.fc(x.mean((2, 3)))
        return x * gates[:, :, None, None]


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = MobileNetV2(_TAPS, last=1280, nested=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.model(x)
        return maps


class _Semantic(nn.Module):
    """Low-resolution branch: where the person is."""

    def __init__(self) -> None:
        super().__init__()
        self.se_block = _Excite(1280)
        self.conv_lr16x = _Unit(1280, 96, 5)
        self.conv_lr8x = _Unit(96, 32, 5)
        self.conv_lr = _Unit(32, 1, 3, stride=2, last=True)

    def forward(self, deep: Tensor) -> Tensor:
        coarse = self.conv_lr16x(double(self.se_block(deep)))
        y: Tensor = self.conv_lr8x(double(coarse))
        return y


class _Detail(nn.Module):
    """High-resolution branch: the edge."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.tohr_enc2x = _Unit(16, channels, 1)
        self.conv_enc2x = _Unit(channels + 3, channels, 3, stride=2)
        self.tohr_enc4x = _Unit(24, channels, 1)
        self.conv_enc4x = _Unit(2 * channels, 2 * channels, 3)
        self.conv_hr4x = nn.Sequential(
            _Unit(3 * channels + 3, 2 * channels, 3),
            _Unit(2 * channels, 2 * channels, 3),
            _Unit(2 * channels, channels, 3),
        )
        self.conv_hr2x = nn.Sequential(
            _Unit(2 * channels, 2 * channels, 3),
            _Unit(2 * channels, channels, 3),
            _Unit(channels, channels, 3),
            _Unit(channels, channels, 3),
        )
        self.conv_hr = nn.Sequential(
            _Unit(channels + 3, channels, 3), _Unit(channels, 1, 1, last=True)
        )

    def forward(self, rgb: Tensor, half: Tensor, quarter: Tensor, semantic: Tensor) -> Tensor:
        """Return the map at 1/2."""
        rgb_half = F.interpolate(rgb, scale_factor=0.5, mode="bilinear")
        rgb_quarter = F.interpolate(rgb, scale_factor=0.25, mode="bilinear")
        beside = self.tohr_enc2x(half)
        y = self.conv_enc2x(torch.cat((rgb_half, beside), 1))
        y = self.conv_enc4x(torch.cat((y, self.tohr_enc4x(quarter)), 1))
        y = self.conv_hr4x(torch.cat((y, double(semantic), rgb_quarter), 1))
        out: Tensor = self.conv_hr2x(torch.cat((double(y), beside), 1))
        return out


class _Fusion(nn.Module):
    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.conv_lr4x = _Unit(channels, channels, 5)
        self.conv_f2x = _Unit(2 * channels, channels, 3)
        self.conv_f = nn.Sequential(
            _Unit(channels + 3, channels // 2, 3), _Unit(channels // 2, 1, 1, last=True)
        )

    def forward(self, rgb: Tensor, semantic: Tensor, detail: Tensor) -> Tensor:
        y = double(self.conv_lr4x(double(semantic)))
        y = self.conv_f2x(torch.cat((y, detail), 1))
        y = self.conv_f(torch.cat((double(y), rgb), 1))
        return torch.sigmoid(y)


class MODNet(nn.Module):
    """Portrait matting without a hint: semantic, detail and fusion branches on MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.lr_branch = _Semantic()
        self.hr_branch = _Detail()
        self.f_branch = _Fusion()

    def _maps(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half, quarter, _, _, deep = self.backbone(rgb)
        semantic = self.lr_branch(deep)
        detail = self.hr_branch(rgb, half, quarter, semantic)
        return semantic, detail, self.f_branch(rgb, semantic, detail)

    def forward(self, rgb: Tensor) -> Tensor:
        """rgb: (N, 3, H, W), -1..1 (`2 * x - 1`). Alpha (N, 1, H, W), 0..1."""
        return self._maps(rgb)[2]

    def supervised(self, rgb: Tensor) -> MODNetTraining:
        """Return the matte and what the other two branches are trained on; the same input."""
        semantic, detail, matte = self._maps(rgb)
        coarse = torch.sigmoid(self.lr_branch.conv_lr(semantic))
        edge = torch.sigmoid(self.hr_branch.conv_hr(torch.cat((double(detail), rgb), 1)))
        return MODNetTraining(coarse, edge, matte)


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The published layout, in which the encoder stands twice."""
    marks = ("f_branch.conv_lr4x.layers.0.weight", "hr_branch.tohr_enc2x.layers.0.weight")
    if not present(shapes, marks):
        return None
    return Recognition(
        options={},
        layout="MODNet",
        names={
            name: name.removeprefix("lr_branch.") if "backbone." in name else name
            for name in shapes
        },
        found="MODNet on MobileNetV2.",
        optional=lambda name: (
            name.endswith("num_batches_tracked")
            or name.startswith(("lr_branch.conv_lr.", "hr_branch.conv_hr."))
        ),
    )


def encode(plate: Tensor) -> Tensor:
    """Return a picture 0..1 as the network takes it: -1..1."""
    return plate * 2 - 1


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the three outputs that the network is trained on."""
    assert isinstance(network, MODNet)
    return named_outputs(network.supervised(*inputs.values()))


def fill_encoder(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill the encoder from torchvision's MobileNetV2, or its first units from a trained GFM.

    The two name the layers differently and hold them in one order. MODNet sees plates as -1..1, the
    encoder was trained on pictures less ImageNet's mean over its deviation: the first layer takes
    that difference up (exactly, but at the border, where padding is 0 in both). GFM's encoder has no
    last units; those of this network stay. Raises WeightsError when the tensors are of another network.
    """
    assert isinstance(network, MODNet)
    inside = network.backbone.model
    own = inside.state_dict()
    nested = MobileNetV2((18,), last=1280, nested=True).state_dict()
    start = "mobilenet."
    in_part = any(name.startswith(start) for name in tensors)
    given = {name.removeprefix(start): tensor for name, tensor in tensors.items()}
    pairs = [(n, given[other]) for n, other in zip(own, nested, strict=True) if other in given]
    fits = [(n, t.shape) for n, t in pairs] == [(n, t.shape) for n, t in own.items()][: len(pairs)]
    if not pairs or not fits or (len(pairs) < len(own) and not in_part):
        raise WeightsError("These tensors are of no MobileNetV2 that this encoder can begin as.")
    filled = {name: tensor.clone().to(own[name].dtype) for name, tensor in pairs}
    names = list(filled)
    weight, running_mean = names[0], next(n for n in names if n.endswith("running_mean"))
    mean, deviation = (torch.tensor(row).reshape(1, 3, 1, 1) for row in zip(*IMAGENET, strict=True))
    # (y + 1) / 2 is the picture: its normalised value is y / (2 s) + (1 / 2 - m) / s.
    shift = (filled[weight] * (0.5 - mean) / deviation).sum((1, 2, 3))
    filled[weight] = filled[weight] / (2 * deviation)
    filled[running_mean] = filled[running_mean] - shift
    inside.load_state_dict({**own, **filled})


def _branches(network: nn.Module, rgb: Tensor) -> MODNetTraining:
    assert isinstance(network, MODNet)
    return network.supervised(rgb)


ARCHITECTURE = Architecture(
    id="modnet",
    build=MODNet,
    detect=detect,
    encode=encode,
    size=Size(shorter=512, knob="reference_size"),
    training=Training(trial_width=1.0, branches=_branches, fill_encoder=fill_encoder),
    parity=Parity(_parity),
    small={"reference_size": 96},
    layouts=("MODNet",),
    published=(Published({}, 6_487_075),),
)
