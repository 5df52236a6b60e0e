# SPDX-License-Identifier: Apache-2.0
"""MediaPipe selfie segmentation, the network of Google's model card of February 2021.

MobileNetV3-Small features (arXiv 1905.02244), LR-ASPP, and a decoder whose shortcuts are gated by
what comes from below. 106,417 parameters. The square (256 x 256) and the landscape (144 x 256)
files have the same layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Published, Size
from matte_nodes.models.networks.blocks import double, same_padding
from matte_nodes.recognition import Recognition, Shapes, present

# kernel, stride, inner channels, channels of the gate (0: none), channels, hard swish
_BLOCKS = (
    (3, 2, 16, 8, 16, False),
    (3, 2, 72, 0, 24, False),
    (3, 1, 88, 0, 24, False),
    (5, 2, 96, 24, 32, True),
    (5, 1, 128, 32, 32, True),
    (5, 1, 128, 32, 32, True),
    (5, 1, 96, 24, 32, True),
    (5, 1, 96, 24, 32, True),
)


class _Same(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, for sizes that are multiples of the stride."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        before, after = same_padding(16 * stride, kernel, stride)
        self.border = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.border))


class _Gate(nn.Module):
    """Squeeze and excitation: the factor (N, C, 1, 1) for each channel."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.squeeze = _Same(channels, inner)
        self.excite = _Same(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))


class _Inverted(nn.Module):
    def __init__(self, inputs: int, row: tuple[int, int, int, int, int, bool]) -> None:
        super().__init__()
        kernel, stride, inner, gate, outputs, self.swish = row
        self.shortcut = stride == 1 and inputs == outputs
        self.expand = _Same(inputs, inner)
        self.filter = _Same(inner, inner, kernel, stride, groups=inner)
        self.gate = _Gate(inner, gate) if gate else None
        self.project = _Same(inner, outputs)

    def _activate(self, x: Tensor) -> Tensor:
        return F.hardswish(x) if self.swish else torch.relu(x)

    def forward(self, x: Tensor) -> Tensor:
        y = self._activate(self.filter(self._activate(self.expand(x))))
        if self.gate is not None:
            y = y * self.gate(y)
        z: Tensor = self.project(y)
        return x + z if self.shortcut else z


class _Up(nn.Module):
    """Twice the size, a gated shortcut, and a filtered copy added."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.compress = _Same(inputs, channels)
        self.gate = _Gate(channels, channels)
        self.mix = _Same(channels, channels)
        self.filter = _Same(channels, channels, 3, groups=channels)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        y = self.compress(double(x))
        y = torch.relu(self.mix(beside * self.gate(beside + y) + y))
        return y + torch.relu(self.filter(y))


def layers() -> tuple[list[str], list[str]]:
    """Return names of the full convolutions and of the filters by channel, in the order they are
    used.
    """
    with torch.device("meta"):
        modules = Selfie().named_modules()
    full: list[str] = []
    filters: list[str] = []
    for name, module in modules:
        if isinstance(module, nn.Conv2d):
            (filters if name.endswith(".filter") else full).append(name)
    return full, filters


class Selfie(nn.Module):
    """People in a video call: picture to a soft segmentation, without a hint.

    Made for 256 x 256 (or 144 x 256, the landscape weights); the picture is stretched to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Same(3, 16, 3, 2)
        channels = 16
        for index, row in enumerate(_BLOCKS):
            self.add_module(f"block{index}", _Inverted(channels, row))
            channels = row[4]
        self.context = _Same(channels, 128)
        self.context_gate = _Same(channels, 128)
        self.up0 = _Up(128, 24)
        self.up1 = _Up(24, 16)
        self.up2 = _Up(16, 16)
        self.segment = nn.ConvTranspose2d(16, 1, 2, stride=2)

    def forward(self, rgb: Tensor) -> Tensor:
        """rgb: (N, 3, H, W), display-encoded, 0..1. Segmentation (N, 1, H, W), 0..1."""
        half = F.hardswish(self.stem(rgb))
        x, maps = half, []
        for index in range(len(_BLOCKS)):
            x = self.get_submodule(f"block{index}")(x)
            maps.append(x)
        gate = torch.sigmoid(self.context_gate(x.mean((2, 3), keepdim=True)))
        x = torch.relu(self.context(x)) * gate
        x = self.up2(self.up1(self.up0(x, maps[2]), maps[0]), half)
        return torch.sigmoid(self.segment(x))


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The tensors of MediaPipe's tflite file (`conv2d_7/Kernel`) or ours."""
    if present(shapes, ("stem.weight", "context_gate.weight", "segment.weight")):
        return Recognition(
            options={},
            layout="matte-nodes",
            names={name: name for name in shapes},
            found="MediaPipe selfie segmentation.",
        )
    marks = ("conv2d/Kernel", "conv2d_42/Kernel", "depthwise_conv2d_10/Kernel")
    if not present(shapes, marks):
        return None
    full, filters = layers()
    modules = {"segment": "segment", "conv2d_transpose": "segment"}
    modules |= {f"conv2d_{index}" if index else "conv2d": n for index, n in enumerate(full)}
    modules |= {
        f"depthwise_conv2d_{index}" if index else "depthwise_conv2d": n
        for index, n in enumerate(filters)
    }
    names: dict[str, str] = {}
    dropped: set[str] = set()
    permutations: dict[str, tuple[int, ...]] = {}
    for name in shapes:
        layer, _, leaf = name.partition("/")
        if leaf in ("Size", "Axes"):
            dropped.add(name)
            continue
        kind = {"Kernel": "weight", "Bias": "bias"}.get(leaf, leaf)
        target = f"{modules.get(layer, layer)}.{kind}"
        names[name] = target
        if kind == "weight":
            # outputs, height, width, inputs; depthwise 1, height, width, channels; the last layer
            # is a transposed convolution, whose inputs come first in ours
            own = layer.startswith("depthwise") or target == "segment.weight"
            permutations[target] = (3, 0, 1, 2) if own else (0, 3, 1, 2)
    landscape = "conv2d_transpose/Kernel" in shapes
    size = "144 x 256 (landscape)" if landscape else "256 x 256"
    return Recognition(
        options={},
        layout="MediaPipe tflite",
        names=names,
        found=f"MediaPipe selfie segmentation, trained at {size}.",
        permutations=permutations,
        dropped=frozenset(dropped),
    )


ARCHITECTURE = Architecture(
    id="selfie",
    build=Selfie,
    detect=detect,
    multiple=16,
    size=Size(square=256),
    export_size=(256, 256),
    layouts=("MediaPipe tflite",),
    published=(Published({}, 106_401),),
)
