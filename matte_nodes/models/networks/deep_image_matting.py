# SPDX-License-Identifier: Apache-2.0
"""Deep Image Matting: Xu, Price, Cohen, Huang, CVPR 2017 (arXiv 1703.03872)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from matte_nodes.architecture import Answer, Architecture, Published, Training
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import (
    base_channels,
    imagenet_and_trimap,
    pool_indexed,
    unpool,
)
from matte_nodes.models.networks.cue_channels import CHANNELS, unexportable, with_cues
from matte_nodes.recognition import Recognition, Shapes, number, present, vote

# Convolutions of each VGG-16 stage, and its channels in units of the first stage's.
_STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


class DeepImageMattingOutput(NamedTuple):
    """Alphas (N, 1, H, W), 0..1: of the encoder-decoder, and refined (None without stage 3)."""

    alpha_stage1: Tensor
    alpha_refined: Tensor | None

    @property
    def alpha(self) -> Tensor:
        """The best one: refined where the network refines."""
        return self.alpha_stage1 if self.alpha_refined is None else self.alpha_refined


class DeepImageMatting(nn.Module):
    """VGG-16 encoder over colour and trimap, unpooling decoder, refinement stage.

    width: channel multiplier, 1.0 is the paper. skip: each encoder map is added to the unpooled
    map of its size (a published variant; the paper has none). conv6_kernel: 1 or 3 (published
    checkpoints have either). refine: the second network of the paper (stages 2 and 3). cues: both
    networks also see the channels of `cue_channels`, which no paper has.
    """

    def __init__(
        self,
        width: float = 1.0,
        skip: bool = False,
        conv6_kernel: int = 1,
        refine: bool = True,
        cues: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.refine = refine
        self.cues = cues
        base = base_channels(width, step=1)
        told = CHANNELS if cues else 0
        channels = 4 + told
        for stage, (count, factor) in enumerate(_STAGES, 1):
            for index in range(1, count + 1):
                conv = nn.Conv2d(channels, factor * base, 3, padding=1)
                self.add_module(f"conv{stage}_{index}", conv)
                channels = factor * base
        self.conv6_1 = nn.Conv2d(channels, channels, conv6_kernel, padding=conv6_kernel // 2)
        self.deconv6_1 = nn.Conv2d(channels, channels, 1)
        for stage, factor in ((5, 8), (4, 4), (3, 2), (2, 1), (1, 1)):
            conv = nn.Conv2d(channels, factor * base, 5, padding=2)
            self.add_module(f"deconv{stage}_1", conv)
            channels = factor * base
        self.deconv1 = nn.Conv2d(channels, 1, 5, padding=2)
        if refine:
            self.refine_conv1 = nn.Conv2d(4 + told, base, 3, padding=1)
            self.refine_conv2 = nn.Conv2d(base, base, 3, padding=1)
            self.refine_conv3 = nn.Conv2d(base, base, 3, padding=1)
            self.refine_pred = nn.Conv2d(base, 1, 3, padding=1)

    def _relu(self, name: str, x: Tensor) -> Tensor:
        return torch.relu(self.get_submodule(name)(x))

    def forward(self, x: Tensor) -> DeepImageMattingOutput:
        """x: (N, 4, H, W): RGB, ImageNet-normalised, and the trimap with 0, 128/255 and 1."""
        if self.cues:
            x = with_cues(x)
        maps: list[Tensor] = []
        indices: list[Tensor] = []
        y = x
        for stage, (count, _) in enumerate(_STAGES, 1):
            for index in range(1, count + 1):
                y = self._relu(f"conv{stage}_{index}", y)
            maps.append(y)
            y, where = pool_indexed(y)
            indices.append(where)
        y = self._relu("deconv6_1", self._relu("conv6_1", y))
        for stage in (5, 4, 3, 2, 1):
            y = unpool(y, indices[stage - 1], maps[stage - 1])
            if self.skip:
                y = y + maps[stage - 1]
            y = self._relu(f"deconv{stage}_1", y)
        logits: Tensor = self.deconv1(y)
        coarse = torch.sigmoid(logits)
        if not self.refine:
            return DeepImageMattingOutput(coarse, None)
        y = torch.cat((x[:, :3], coarse, x[:, 4:]), 1)
        for index in (1, 2, 3):
            y = self._relu(f"refine_conv{index}", y)
        return DeepImageMattingOutput(coarse, torch.sigmoid(logits + self.refine_pred(y)))


_MARKS = ("conv1_1.weight", "conv5_3.weight", "deconv5_1.weight", "deconv1.weight")
_BASE = {
    "conv1_1.weight": 1,
    "conv1_2.weight": 1,
    "conv2_1.weight": 2,
    "conv3_1.weight": 4,
    "conv4_1.weight": 8,
    "conv5_1.weight": 8,
    "deconv4_1.weight": 4,
}


def _from_mmediting(name: str) -> str:
    """`backbone.encoder.layer3.2.weight` is `conv3_2.weight`; the rest loses its prefix."""
    found = re.fullmatch(r"backbone\.encoder\.layer(\d)\.(\d+)\.(weight|bias)", name)
    if found:
        stage, position, leaf = found.groups()
        return f"conv{stage}_{int(position) // 2 + 1}.{leaf}"
    name = re.sub(r"^backbone\.encoder\.conv6\.", "conv6_1.", name)
    return re.sub(r"^(backbone\.decoder|refiner)\.", "", name)


def _skips(hint: str) -> bool:
    """Whether the words speak of skips, and do not say that there are none."""
    negated = re.search(r"\b(no|non|without)\b[^.,;]{0,20}skip|noskip", hint)
    denied = re.search(r"skips?\W{0,3}(none|false|no|off)\b", hint)
    return "skip" in hint and negated is None and denied is None


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The paper's layout (pytorch-deep-image-matting), mmediting's; with or without stage 3."""
    if any(name.startswith("down1.conv1.cbr_unit") for name in shapes):
        raise WeightsError(
            "These are weights of foamliu's Deep-Image-Matting-PyTorch. That network is another "
            "one (batch normalisation after every convolution, no conv6, a decoder without "
            "activations, no refinement), so they do not fit deep-image-matting. Use the weights "
            "of pytorch-deep-image-matting or of mmediting."
        )
    names = {name: name for name in shapes}
    layout = "pytorch-deep-image-matting"
    if any(name.startswith("backbone.encoder.layer1.") for name in shapes):
        layout = "mmediting"
        names = {name: _from_mmediting(name) for name in shapes}
    ours = {names[name]: shape for name, shape in shapes.items()}
    if not present(ours, _MARKS):
        return None
    base = vote(ours, _BASE) or 64
    kernel = ours.get("conv6_1.weight", (0, 0, 1, 1))[-1]
    refine = any(name.startswith("refine_") for name in ours)
    skip = layout != "mmediting" and _skips(hint)
    options: dict[str, Any] = {
        "width": base / 64, "conv6_kernel": kernel, "refine": refine, "skip": skip,
    }  # fmt: skip
    cues = ours["conv1_1.weight"][1] == 4 + CHANNELS
    if cues:
        options["cues"] = True
    stages = "stages 1 to 3 (refines)" if refine else "stage 1 (no refinement)"
    return Recognition(
        options=options,
        layout=layout,
        names=names,
        found=f"Deep Image Matting in the layout of {layout}: {stages}, conv6 of "
        f"{kernel} x {kernel}, width {number(base / 64)}{', with cue channels' if cues else ''}.",
        open={} if layout == "mmediting" else {"skip": (skip, not skip)},
    )


def first_weights(network: nn.Module) -> None:
    """The paper's first weights: Xavier's in decoder and refinement.

    The paper takes the encoder from ImageNet. Until --start fills it, it has He's first weights:
    17 layers without normalisation do not learn from torch's usual ones. The last layer is our
    choice: a tenth of Xavier's, so that alpha begins near 1/2, where its sigmoid still moves.
    """
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if name.startswith("conv"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight)
        if name == "deconv1":
            layer.weight.data.mul_(0.1)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)


def _skip(knobs: Mapping[str, Any]) -> dict[str, bool]:
    return {} if knobs["skip"] == "auto" else {"skip": knobs["skip"] == "yes"}


ARCHITECTURE = Architecture(
    id="deep-image-matting",
    build=DeepImageMatting,
    detect=detect,
    inputs=("plate", "trimap"),
    encode=imagenet_and_trimap,
    options={"width": 1.0, "skip": False},
    from_knobs=lambda knobs: {"width": knobs["width"], "skip": False, **_skip(knobs)},
    asked=_skip,
    unexportable=unexportable,
    training=Training(
        lambda answer, _: Answer(answer.alpha, coarse=answer.alpha_stage1),
        first_weights=first_weights,
        trial_width=0.25,
        channels_last=True,
    ),
    small={"width": 0.0625},
    variants=(
        {"width": 0.125, "refine": False},
        {"width": 0.25, "conv6_kernel": 3},
        {"width": 0.0625, "conv6_kernel": 3, "skip": True},
        {"width": 0.0625, "skip": True, "cues": True},
    ),
    layouts=("pytorch-deep-image-matting", "mmediting"),
    published=(Published({"skip": True, "conv6_kernel": 3}, 28_373_954, 50),),
)
