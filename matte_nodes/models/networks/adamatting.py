# SPDX-License-Identifier: Apache-2.0
"""AdaMatting: Cai, Zhang, Fan, Huang, Zhao, Cheng, Cao, "Disentangled Image Matting", ICCV 2019
(arXiv 1909.04686).

No code and no weights were ever published: the paper is the reference. Where it is silent (the
hidden channels of the propagation unit, its residual form) the choice is named below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from matte_nodes.architecture import Answer, Architecture, Published, Training
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.blocks import base_channels, conv_norm_relu, imagenet_and_trimap
from matte_nodes.models.networks.cue_channels import CHANNELS, unexportable, with_cues
from matte_nodes.models.networks.resnet import ResNet
from matte_nodes.recognition import Recognition, Shapes, number, present, vote


class AdaMattingOutput(NamedTuple):
    """alpha: (N, 1, H, W) 0..1, 0 and 1 where the adapted trimap is sure. trimap: (N, 3, H, W)
    logits of the adapted trimap: background, unknown, foreground. estimate: (N, 1, H, W), the
    propagated alpha before the trimap decides, unbounded (what the alpha loss sees)."""

    alpha: Tensor
    trimap: Tensor
    estimate: Tensor

    @property
    def adapted(self) -> Tensor:
        """The adapted trimap as a picture (N, 1, H, W): 0, 0.5 and 1."""
        return self.trimap.argmax(1, keepdim=True).to(self.trimap.dtype) / 2


class GlobalConvolution(nn.Module):
    """Large kernel from two separable branches (arXiv 1703.02719), as a shortcut of equal width."""

    def __init__(self, channels: int, kernel: int = 7) -> None:
        super().__init__()
        pad = kernel // 2
        tall = {"kernel_size": (kernel, 1), "padding": (pad, 0)}
        wide = {"kernel_size": (1, kernel), "padding": (0, pad)}
        self.left = nn.Sequential(
            nn.Conv2d(channels, channels, **tall),  # type: ignore[arg-type]
            nn.Conv2d(channels, channels, **wide),  # type: ignore[arg-type]
        )
        self.right = nn.Sequential(
            nn.Conv2d(channels, channels, **wide),  # type: ignore[arg-type]
            nn.Conv2d(channels, channels, **tall),  # type: ignore[arg-type]
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.left(x) + self.right(x)
        return y


def _sub_pixel(inputs: int, outputs: int, last: bool = False) -> nn.Sequential:
    """Twice the size by sub-pixel convolution (arXiv 1609.05158)."""
    layers = conv_norm_relu(inputs, 4 * outputs)
    return nn.Sequential(*(layers[:1] if last else layers), nn.PixelShuffle(2))


class ConvLSTMCell(nn.Module):
    """Convolutional LSTM (arXiv 1506.04214) without peepholes.

    i, f, o = sigmoid(W * [x, h] + b); g = tanh(W * [x, h] + b); c' = f c + i g; h' = o tanh(c').
    """

    def __init__(self, inputs: int, hidden: int, kernel: int = 3) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + hidden, 4 * hidden, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new hidden state and the new cell; gates in the order i, f, o, g."""
        i, f, o, g = self.gates(torch.cat((x, hidden), 1)).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm_relu(inputs, outputs), *conv_norm_relu(outputs, outputs)[:2]
        )
        self.project = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.project(x))


class Propagation(nn.Module):
    """Two residual blocks and a ConvLSTM cell, unrolled; each step corrects the alpha before it.

    Its memory lives inside one picture (the unrolled steps), never between frames.
    """

    def __init__(self, channels: int, steps: int = 3, told: int = 0) -> None:
        super().__init__()
        self.steps = steps
        self.channels = channels
        # picture and trimap 4, cue channels, adapted trimap 3, alpha 1
        seen = 8 + told
        self.features = nn.Sequential(_Residual(seen, channels), _Residual(channels, channels))
        self.cell = ConvLSTMCell(channels, channels)
        self.correct = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor, trimap: Tensor, alpha: Tensor) -> Tensor:
        """x: the network's input (N, C, H, W). trimap: (N, 3, H, W) probabilities. alpha: (N, 1, H, W)."""
        hidden = x.new_zeros((x.shape[0], self.channels, *x.shape[2:]))
        cell = hidden
        for _ in range(self.steps):
            seen = self.features(torch.cat((x, trimap, alpha), 1))
            hidden, cell = self.cell(seen, hidden, cell)
            alpha = alpha + self.correct(hidden)
        return alpha


class AdaMatting(nn.Module):
    """One encoder; a trimap decoder that adapts the given trimap, an alpha decoder, propagation.

    The front of a ResNet-50 (stem and three stages); the trimap decoder has shortcuts from deep
    and middle maps, the alpha decoder from middle and shallow ones (semantics there, detail here).
    width: channel multiplier, 1.0 is the paper. steps: unrolled steps of the propagation unit.
    cues: encoder and propagation also see the channels of `cue_channels`, which no paper has.
    """

    def __init__(self, width: float = 1.0, steps: int = 3, cues: bool = False) -> None:
        super().__init__()
        base = base_channels(width)
        self.cues = cues
        told = CHANNELS if cues else 0
        self.encoder = ResNet("r50", inputs=4 + told, base=base, stages=3)
        self.shortcut_deep = GlobalConvolution(8 * base)
        self.shortcut_middle_t = GlobalConvolution(4 * base)
        self.shortcut_middle_a = GlobalConvolution(4 * base)
        self.shortcut_shallow = GlobalConvolution(base)
        widths = (16 * base, 8 * base, 4 * base, base)
        for letter, classes in (("t", 3), ("a", 1)):
            for index in range(3):
                block = _sub_pixel(widths[index], widths[index + 1])
                self.add_module(f"{letter}_decoder_upscale{index + 1}", block)
            last = _sub_pixel(base, classes, last=True)
            self.add_module(f"{letter}_decoder_upscale4", last)
        self.prop_unit = Propagation(base // 2, steps, told)

    def _up(self, letter: str, index: int, x: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(f"{letter}_decoder_upscale{index}")(x)
        return y

    def forward(self, x: Tensor) -> AdaMattingOutput:
        """x: (N, 4, H, W): RGB, ImageNet-normalised, and the trimap with 0, 128/255 and 1."""
        if self.cues:
            x = with_cues(x)
        shallow, middle, deep, bottom = self.encoder(x)
        trimap = self._up("t", 1, bottom) + self.shortcut_deep(deep)
        trimap = self._up("t", 2, trimap) + self.shortcut_middle_t(middle)
        trimap = self._up("t", 4, self._up("t", 3, trimap))
        alpha = self._up("a", 2, self._up("a", 1, bottom)) + self.shortcut_middle_a(middle)
        alpha = self._up("a", 3, alpha) + self.shortcut_shallow(shallow)
        alpha = self._up("a", 4, alpha)
        estimate = self.prop_unit(x, torch.softmax(trimap, 1), alpha)
        sure = trimap.argmax(1, keepdim=True)
        decided = torch.where(sure == 1, estimate.clamp(0, 1), (sure == 2).to(estimate.dtype))
        return AdaMattingOutput(decided, trimap, estimate)


_MARKS = (
    "encoder.conv1.weight",
    "prop_unit.cell.gates.weight",
    "t_decoder_upscale1.0.weight",
    "a_decoder_upscale1.0.weight",
)


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The library's own layout; nobody published another for the paper's network."""
    if present(shapes, ("encoder_conv.0.weight", "log_sigma_t_sqr", "log_sigma_a_sqr")):
        raise WeightsError(
            "These are weights of a re-implementation of AdaMatting that is not the paper's "
            "network (other encoder, no recurrent propagation), so they do not fit adamatting."
        )
    if not present(shapes, _MARKS):
        return None
    factors = {
        "encoder.conv1.weight": 1,
        "encoder.layer1.0.conv1.weight": 1,
        "encoder.layer2.0.conv1.weight": 2,
        "encoder.layer3.0.conv1.weight": 4,
        "t_decoder_upscale1.0.weight": 32,
        "a_decoder_upscale1.0.weight": 32,
    }
    base = vote(shapes, factors) or 64
    cues = shapes["encoder.conv1.weight"][1] == 4 + CHANNELS
    return Recognition(
        options={"width": base / 64, **({"cues": True} if cues else {})},
        layout="matte-nodes",
        names={name: name for name in shapes},
        found=f"AdaMatting, width {number(base / 64)}{', with cue channels' if cues else ''}.",
    )


def decode(answer: AdaMattingOutput) -> dict[str, Tensor]:
    """Return alpha, and the trimap that the network made of the given one."""
    return {"alpha": answer.alpha, "adapted_trimap": answer.adapted}


def _answer(answer: AdaMattingOutput, decoded: Mapping[str, Tensor]) -> Answer:
    # The alpha loss sees the estimate, not what the adapted trimap decides.
    scores = torch.log_softmax(answer.trimap, 1)
    return Answer(decoded["alpha"], coarse=answer.estimate, scores=scores)


ARCHITECTURE = Architecture(
    id="adamatting",
    build=AdaMatting,
    detect=detect,
    inputs=("plate", "trimap"),
    encode=imagenet_and_trimap,
    decode=decode,
    options={"width": 1.0},
    multiple=16,
    unexportable=unexportable,
    training=Training(_answer, {"adaptation": 1.0}, learned_weights=2, channels_last=True),
    small={"width": 0.0625},
    variants=({"width": 0.125}, {"width": 0.125, "cues": True}),
    published=(Published({}, 68_175_057),),
)
