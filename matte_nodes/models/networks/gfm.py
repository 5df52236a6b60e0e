# SPDX-License-Identifier: Apache-2.0
"""GFM, glance and focus matting: Li, Zhang, Maybank, Tao, IJCV 2022 (arXiv 2010.16188)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from matte_nodes.architecture import Answer as TrainingAnswer
from matte_nodes.architecture import Architecture, Parity, Published, Size, Training, named_outputs
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import base_channels, conv_norm_relu, imagenet, resize
from matte_nodes.models.networks.densenet import DenseNet121
from matte_nodes.models.networks.mobilenet import MobileNetV2
from matte_nodes.models.networks.resnet import BasicBlock, ResNet
from matte_nodes.recognition import Recognition, Shapes, number, present, vote

Backbone = Literal["r34", "r34_2b", "d121", "r101", "mobilenetv2"]
Rosta = Literal["TT", "FT", "BT", "RIM"]
Part = Literal["TT", "FT", "BT"]
_PARTS: tuple[Part, ...] = ("TT", "FT", "BT")

# (two inner widths and output) of each decoder, deepest first, in units of the stem's channels.
# The decoder at full size comes apart: its output is the answer.
_PLANS: dict[Backbone, tuple[tuple[int, int, int], ...]] = {
    "r34": ((8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
    "d121": ((8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
    # not of the paper: an encoder with ImageNet weights that come from the package index
    "mobilenetv2": ((8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
    "r101": ((32, 16, 16), (16, 8, 8), (8, 4, 4), (4, 2, 1)),
    "r34_2b": ((8, 8, 8), (8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 2, 1), (1, 1, 1)),
}


def plan(backbone: Backbone, base: int) -> dict[str, tuple[int, int, int]]:
    """Two inner widths and the output of each decoder above full size, by module name."""
    rows = _PLANS[backbone]
    return {
        f"decoder{len(rows) - step}_{letter}": (base * first, base * second, base * last)
        for step, (first, second, last) in enumerate(rows)
        for letter in "gf"
    }


class Representation(NamedTuple):
    """One representation. glance: (N, 3 or 2, H, W) class scores 0..1 (TT: background, unknown,
    foreground). focus, fusion: (N, 1, H, W) alpha 0..1, inside the transition and whole."""

    glance: Tensor
    focus: Tensor
    fusion: Tensor


class GFMOutput(NamedTuple):
    """`fusion` is the matte, (N, 1, H, W), of the one representation, or of RIM's integration of
    the three in `answers` (RIM's is not bounded)."""

    answers: dict[Part, Representation]
    fusion: Tensor


def collaborate(part: Part, glance: Tensor, focus: Tensor) -> Tensor:
    """Return the paper's collaborative matting: the whole matte from what the two decoders answer.

    glance: (N, C, H, W) class scores; focus: (N, 1, H, W) alpha of the transition. Any two sizes
    that are alike, so that a glance from a smaller picture can be used (resize it first).
    """
    index = glance.argmax(1, keepdim=True)
    if part == "TT":
        return focus * (index == 1) + (index == 2).to(focus.dtype)
    chosen = index.to(focus.dtype)
    if part == "BT":
        return torch.relu(chosen - focus)
    return torch.clamp(chosen + focus, max=1.0)


def _decoder(
    inputs: int, inner: tuple[int, int], outputs: int, last_relu: bool = True, up: bool = True
) -> nn.Sequential:
    """Three 3 x 3 convolutions and, if asked for, twice the size."""
    last = conv_norm_relu(inner[1], outputs)
    layers = [*conv_norm_relu(inputs, inner[0]), *conv_norm_relu(inner[0], inner[1])]
    layers += last if last_relu else last[:1]
    if up:
        layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return nn.Sequential(*layers)


class _Pyramid(nn.Module):
    """Pooled context at 1, 3 and 5 bins a side, beside the map itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(channels, channels, 1, bias=False))
            for bins in (1, 3, 5)
        )
        self.bottleneck = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        priors = [resize(stage(x), x, align_corners=True) for stage in self.stages]
        return torch.relu(self.bottleneck(torch.cat((*priors, x), 1)))


class _Excite(nn.Module):
    """Squeeze and excitation (arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gates: Tensor = self.fc(x.mean((2, 3)))
        return x * gates[:, :, None, None]


class GFM(nn.Module):
    """A shared encoder, a glance decoder that sorts the picture, a focus decoder for its detail.

    backbone: r34, r34_2b (full-size stem and two more stages), d121, r101; mobilenetv2 is ours, up
    to its 16th block, at one width. rosta: which representation of the semantics and the transition (TT, FT, BT), or RIM for all three.
    width: channel multiplier, 1.0 is the paper. widths: inner widths and output of decoders that
    differ from `plan`, by module name (read from a checkpoint).
    """

    def __init__(
        self,
        backbone: Backbone = "r34",
        rosta: Rosta = "TT",
        width: float = 1.0,
        widths: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.backbone: Backbone = backbone
        self.rosta: Rosta = rosta
        self.base = base_channels(width)
        maps = self._build_encoder()
        rows: dict[str, tuple[int, ...]] = {**plan(backbone, self.base), **(widths or {})}
        self.depth = len(_PLANS[backbone])
        deep = maps[-1]
        self.psp_module = _Pyramid(deep)
        self.bridge_block = nn.Sequential(
            *(layer for _ in range(3) for layer in conv_norm_relu(deep, deep, dilation=2))
        )
        glance_in, focus_in = 2 * deep, 2 * deep
        for level in range(self.depth, 0, -1):
            # the full-size path of r34_2b has no size left to gain at its last decoder
            up = not (backbone == "r34_2b" and level == 1)
            glance, focus = rows[f"decoder{level}_g"], rows[f"decoder{level}_f"]
            for letter, inputs, row in (("g", glance_in, glance), ("f", focus_in, focus)):
                block = _decoder(inputs, (row[0], row[1]), row[2], up=up)
                self.add_module(f"decoder{level}_{letter}", block)
            # as wide as what it is put beside
            scale = 2 ** min(self.depth - level + 1, 5)
            layers = conv_norm_relu(deep, glance[2])
            layers.append(nn.Upsample(scale_factor=scale, mode="bilinear"))
            self.add_module(f"psp{level}", nn.Sequential(*layers))
            glance_in, focus_in = 2 * glance[2], focus[2] + maps[level - 1]
        if backbone == "r34_2b":
            glance_in, focus_in = glance_in // 2, focus_in - maps[0]
        self._build_heads(glance_in, focus_in)

    def _build_encoder(self) -> list[int]:
        """Build the backbone and return the channels of its maps, from the shallowest on."""
        base = self.base
        if self.backbone == "d121":
            self.densenet = DenseNet121(base)
            deep = 8 * base
            self.encoder4 = nn.ModuleDict(
                {"1": nn.Conv2d(16 * base, deep, 3, padding=1), "2": nn.BatchNorm2d(deep)}
            )
            return [base, 2 * base, 4 * base, 8 * base, deep]
        if self.backbone == "mobilenetv2":
            self.mobilenet = MobileNetV2(taps=(1, 3, 6, 13, 16), blocks=16)
            return [16, 24, 32, 96, 160]
        depth: Literal["r34", "r101"] = "r101" if self.backbone == "r101" else "r34"
        self.resnet = ResNet(depth, base=base, classes=1000)
        maps = list(self.resnet.widths)
        if self.backbone == "r34_2b":
            self.encoder0 = nn.Sequential(*conv_norm_relu(3, base))
            for name in ("encoder5", "encoder6"):
                blocks = (BasicBlock(maps[-1], maps[-1]) for _ in range(3))
                self.add_module(name, nn.Sequential(nn.MaxPool2d(2, 2, ceil_mode=True), *blocks))
                maps.append(maps[-1])
        return maps

    def _build_heads(self, glance_in: int, focus_in: int) -> None:
        parts: tuple[Part, ...] = _PARTS if self.rosta == "RIM" else (self.rosta,)
        for part in parts:
            classes = 3 if part == "TT" else 2
            for letter, inputs, outputs in (("g", glance_in, classes), ("f", focus_in, 1)):
                name = self._head(part, letter)
                if self.backbone == "r34_2b":
                    head = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))
                else:
                    inner = (self.base, self.base)
                    head = _decoder(inputs, inner, outputs, last_relu=False)
                self.add_module(name, head)
        if self.rosta == "RIM":
            self.rim = nn.Sequential(nn.Conv2d(3, 16, 1), _Excite(16, 4), nn.Conv2d(16, 1, 1))

    def _head(self, part: Part, letter: str) -> str:
        suffix = f"_{part.lower()}" if self.rosta == "RIM" else ""
        return f"decoder0_{letter}{suffix}"

    def _encode(self, x: Tensor) -> list[Tensor]:
        """Maps from the shallowest to the deepest, one a decoder level and the deepest."""
        if self.backbone == "d121":
            maps = [self.densenet.stem(x)]
            for number in (1, 2, 3):
                maps.append(self.densenet.stage(number, maps[-1]))
            deep = self.densenet.stage(4, maps[-1])
            deep = torch.relu(self.encoder4["2"](self.encoder4["1"](deep)))
            return [*maps, F.max_pool2d(deep, 2, 2, ceil_mode=True)]
        if self.backbone == "mobilenetv2":
            return self.mobilenet(imagenet(x / 255))  # type: ignore[no-any-return]
        if self.backbone != "r34_2b":
            return self.resnet(x)  # type: ignore[no-any-return]
        maps = [self.encoder0(x)]
        for number in (1, 2, 3, 4):
            maps.append(self.resnet.get_submodule(f"layer{number}")(maps[-1]))
        for name in ("encoder5", "encoder6"):
            maps.append(self.get_submodule(name)(maps[-1]))
        return maps

    def _call(self, name: str, *parts: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(name)(torch.cat(parts, 1))
        return y

    def forward(self, rgb: Tensor) -> GFMOutput:
        """rgb: (N, 3, H, W), display-encoded, 0..255 in use (the published networks' range)."""
        maps = self._encode(rgb)
        deep = maps[-1]
        context = self.psp_module(deep)
        # the glance decoder reads its context first: the pyramid's map, then what came from below
        beside, glance, focus = context, deep, self.bridge_block(deep)
        for level in range(self.depth, 0, -1):
            glance = self._call(f"decoder{level}_g", beside, glance)
            focus = self._call(f"decoder{level}_f", focus, maps[level])
            if level > 1 or self.backbone != "r34_2b":
                beside = self.get_submodule(f"psp{level}")(context)
        answers: dict[Part, Representation] = {}
        for part in _PARTS if self.rosta == "RIM" else (self.rosta,):
            if self.backbone == "r34_2b":
                sorted_, detail = (
                    self._call(self._head(part, "g"), glance),
                    self._call(self._head(part, "f"), focus),
                )
            else:
                sorted_ = self._call(self._head(part, "g"), beside, glance)
                detail = self._call(self._head(part, "f"), focus, maps[0])
            sorted_, detail = torch.sigmoid(sorted_), torch.sigmoid(detail)
            answers[part] = Representation(sorted_, detail, collaborate(part, sorted_, detail))
        if self.rosta != "RIM":
            return GFMOutput(answers, answers[self.rosta].fusion)
        whole: Tensor = self.rim(torch.cat([answers[part].fusion for part in _PARTS], 1))
        return GFMOutput(answers, whole)


_MARKS = ("psp_module.bottleneck.weight", "bridge_block.0.weight", "decoder4_g.0.weight")
# the same tensor under the name of the stage that uses it, as GFM's files have it
_TWINS: dict[str, tuple[tuple[str, str], ...]] = {
    "resnet": (
        (r"encoder0\.0\.", "resnet.conv1."),
        (r"encoder0\.1\.", "resnet.bn1."),
        (r"encoder1\.1\.", "resnet.layer1."),
        (r"encoder([234])\.", r"resnet.layer\1."),
    ),
    "r34_2b": ((r"encoder([1-4])\.", r"resnet.layer\1."),),
    "d121": (
        (r"encoder0\.0\.", "densenet.features.conv0."),
        (r"encoder0\.1\.", "densenet.features.norm0."),
        (r"encoder([1-4])\.0\.", r"densenet.features.denseblock\1."),
        (r"encoder([1-3])\.1\.", r"densenet.features.transition\1."),
    ),
}
_UNUSED = ("resnet.fc.", "densenet.classifier.", "densenet.features.norm5.")


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        renamed, count = re.subn("^" + pattern, replacement, name)
        if count:
            return renamed
    return name


def _widths(shapes: Shapes, plan: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, ...]]:
    """Decoders and context layers whose width is not the plan's."""
    found: dict[str, tuple[int, ...]] = {}
    for name, row in plan.items():
        parts = [shapes.get(f"{name}.{index}.weight") for index in (0, 3, 6)]
        if all(parts):
            said = tuple(part[0] for part in parts if part)
            if said != row:
                found[name] = said
    return found


def _rosta(shapes: Shapes, backbone: str, hint: str) -> tuple[Rosta, ...]:
    """Return the representation; both where the tensors cannot tell, the likelier first."""
    if any(re.match(r"decoder0_[gf]_(tt|ft|bt)\.", name) for name in shapes):
        return ("RIM",)
    leaf = "0" if backbone == "r34_2b" else "6"
    if shapes.get(f"decoder0_g.{leaf}.weight", (3,))[0] == 3:
        return ("TT",)
    return ("BT", "FT") if re.search(r"(?<![a-z])bt(?![a-z])", hint) else ("FT", "BT")


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """All published variants; the second set of names for the encoder is checked, then dropped."""
    if any(name.startswith("tfi_") for name in shapes):
        raise WeightsError("These are weights of P3M-Net, which the library does not have.")
    if not present(shapes, _MARKS):
        return None
    if any(name.startswith("densenet.") for name in shapes) or (
        "encoder1.0.denselayer1.conv1.weight" in shapes
    ):
        backbone: Backbone = "d121"
    elif "mobilenet.features.0.0.weight" in shapes:
        backbone = "mobilenetv2"
    elif any(name.startswith(("psp6.", "decoder6_")) for name in shapes):
        backbone = "r34_2b"
    else:
        deep = "layer1.0.conv3.weight"
        wide = f"resnet.{deep}" in shapes or f"encoder1.1.{deep[7:]}" in shapes
        backbone = "r101" if wide else "r34"
    factors = {
        f"{name}.{index}.weight": row[place]
        for name, row in plan(backbone, 1).items()
        for place, index in enumerate((0, 3, 6))
    }
    base = vote(shapes, factors) or 64
    rules = _TWINS[backbone if backbone in _TWINS else "resnet"]
    rostas = _rosta(shapes, backbone, hint)
    options: dict[str, Any] = {"backbone": backbone, "rosta": rostas[0], "width": base / 64}
    widths = _widths(shapes, plan(backbone, base))
    if widths:
        options["widths"] = widths
    return Recognition(
        options=options,
        layout="GFM",
        names={name: _rename(name, rules) for name in shapes},
        found=f"GFM with a {backbone} encoder, {rostas[0]}, width {number(base / 64)}.",
        optional=lambda name: name.endswith("num_batches_tracked") or name.startswith(_UNUSED),
        open={"rosta": rostas} if len(rostas) > 1 else {},
    )


def fill_encoder(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill a MobileNetV2 encoder from torchvision's, which sees the same normalised pictures.

    Raises WeightsError when the tensors are of another network.
    """
    assert isinstance(network, GFM)
    own = network.mobilenet.state_dict() if network.backbone == "mobilenetv2" else {}
    if not own or any(
        name not in tensors or tensors[name].shape != own[name].shape for name in own
    ):
        raise WeightsError("These tensors are of no MobileNetV2 that this encoder can begin as.")
    network.mobilenet.load_state_dict({name: tensors[name] for name in own})


def encode(plate: Tensor) -> Tensor:
    """Return the published networks take 0..255 without normalisation."""
    return plate * 255


def decode(answer: GFMOutput) -> dict[str, Tensor]:
    """Return the whole matte."""
    return {"alpha": answer.fusion}


def _answer(answer: GFMOutput, decoded: Mapping[str, Tensor]) -> TrainingAnswer:
    (part,) = answer.answers.values()
    shares = part.glance.clamp_min(1e-6)
    scores = (shares / shares.sum(1, keepdim=True)).log()
    return TrainingAnswer(decoded["alpha"], coarse=part.focus, scores=scores)


def _parity(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
) -> dict[str, Tensor]:
    answer = network(*inputs.values())
    if len(answer.answers) == 1:
        (only,) = answer.answers.values()
        return named_outputs(only)
    found = {
        f"out_{number}_{place}": value
        for number, part in enumerate(answer.answers.values())
        for place, value in enumerate(part)
    }
    return {**found, f"out_{len(answer.answers)}": answer.fusion}


# Glance scores closer than this decide a pixel's class by rounding.
_ALIKE = 1e-4


def undecided(output: str, outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Return pixels (N, 1, H, W) of a GFM fusion whose class is a matter of rounding.

    output: `fusion`, `out_N_2`, or RIM's integration, on which all three classes act. None for an
    output that picks no class.
    """
    if output == "fusion":
        glances = ["glance"]
    elif output.startswith("out_") and output.endswith("_2"):
        glances = [output[:-1] + "0"]
    elif output.startswith("out_") and output.count("_") == 1:
        glances = [name for name in outputs if name.startswith("out_") and name.endswith("_0")]
    else:
        return None
    found: NDArray[np.bool_] | None = None
    for name in glances:
        if name in outputs:
            best = np.sort(outputs[name], axis=1)[:, -2:]
            close = best[:, 1:] - best[:, :1] < _ALIKE
            found = close if found is None else found | close
    return found


def _asked(knobs: Mapping[str, Any]) -> dict[str, Any]:
    # The tensors tell all but FT from BT.
    return {"rosta": knobs["rosta"]} if knobs["rosta"] in ("FT", "BT") else {}


ARCHITECTURE = Architecture(
    id="gfm",
    build=GFM,
    detect=detect,
    encode=encode,
    decode=decode,
    options={"width": 1.0, "backbone": "r34", "rosta": "TT"},
    asked=_asked,
    size=Size(share=0.5),
    # Its pyramid pools to 3 and 5 bins, which ONNX has only for a size that is known.
    export_size=(512, 512),
    training=Training(
        _answer,
        {"glance": 1.0, "focus": 1.0, "focus_laplacian": 1.0, "l1": 1.0, "laplacian": 1.0},
        channels_last=True,
        fill_encoder=fill_encoder,
    ),
    parity=Parity(_parity, undecided=undecided),
    small={"width": 0.125},
    variants=(
        {"backbone": "r34", "rosta": "TT", "width": 0.0625},
        {"backbone": "r34", "rosta": "BT", "width": 0.125},
        {"backbone": "r34", "rosta": "FT", "width": 0.0625},
        {"backbone": "r34_2b", "rosta": "TT", "width": 0.0625},
        {"backbone": "d121", "rosta": "RIM", "width": 0.0625},
        {"backbone": "r101", "rosta": "TT", "width": 0.0625},
        {"backbone": "mobilenetv2", "rosta": "TT", "width": 0.0625},
    ),
    layouts=("GFM",),
    published=(
        Published({"backbone": "r34", "rosta": "TT"}, 55_286_316),
        Published({"backbone": "r34_2b", "rosta": "TT"}, 125_878_956),
        Published({"backbone": "d121", "rosta": "RIM"}, 47_409_347),
    ),
)
