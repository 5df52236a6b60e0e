# SPDX-License-Identifier: Apache-2.0
"""A network for one shot that carries its key mattes with it: a first guess, then its correction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_nodes.architecture import Architecture, Training
from matte_nodes.models.networks.cue_matting import CueMatting, width_of
from matte_nodes.recognition import Recognition, Shapes, number, present

LOOK = (18, 32)  # rows and columns of the thumbnail that finds the nearest key
CELLS = 24  # of the colour table, along each channel


class ShotMatting(nn.Module):
    """Plate to alpha. Keys that look like the plate give a first matte, which the network corrects.

    Beside that matte it is offered what the colours say: how much likelier each colour is in the
    subject of the keys than outside it, times how near the first matte is (Bayes' rule).
    keys: how many key frames it carries. size: rows and columns of the mattes it keeps of them.
    width: channel multiplier. Keys and colours are buffers (`remember` fills them), so the weights
    file is all there is.
    """

    looks: Tensor
    mattes: Tensor
    colours: Tensor

    def __init__(self, keys: int, size: tuple[int, int], width: float = 0.5) -> None:
        super().__init__()
        self.width = width
        self.net = CueMatting(features=9, candidates=2, width=width)
        assert self.net.answer.bias is not None
        # At first what the colours say counts most; its own answer it has to learn from nothing.
        self.net.answer.bias.data[:3] = torch.tensor([0.0, 2.0, 0.0])
        self.register_buffer("looks", torch.zeros(keys, 3, *LOOK))
        self.register_buffer("mattes", torch.zeros(keys, 1, *size))
        self.register_buffer("colours", torch.zeros(CELLS, CELLS, CELLS))
        self.register_buffer("settings", torch.tensor([width]))

    def remember(self, plates: Tensor, mattes: Tensor) -> None:
        """Keep these keys. plates: (K, 3, H, W) 0..1; mattes: (K, 1, H, W) 0..1."""
        self.looks.copy_(look(plates))
        size = list(self.mattes.shape[-2:])
        self.mattes.copy_(functional.interpolate(mattes, size=size, mode="area"))
        self.colours.copy_(colour_table(plates, mattes))

    def recall(self, plate: Tensor) -> Tensor:
        """Return the first matte of a plate (1, 3, H, W), at the size it was kept in: (1, 1, h, w).

        Keys are weighed by how like the plate they are, so that the guess does not jump between
        two of them.
        """
        looks, mattes = self.looks.float(), self.mattes.float()
        away = (look(plate.float()) - looks).square().mean((1, 2, 3))
        shares = torch.softmax(-away / (0.25 * away.min() + 0.1 * away.mean() + 1e-6), 0)
        return (shares[:, None, None, None] * mattes).sum(0, keepdim=True).to(plate)

    def forward(self, plate: Tensor, first: Tensor) -> Tensor:
        """Return alpha (N, 1, H, W).

        plate: (N, 3, H, W), 0..1. first: (N, 1, H, W), a first matte.
        """
        wide = functional.interpolate(
            functional.avg_pool2d(functional.avg_pool2d(first, 16, 16), 3, 1, 1, count_include_pad=False),
            size=first.shape[-2:], mode="bilinear", align_corners=False,
        )  # fmt: skip
        likelier = self.likelihood(plate)
        near = wide.clamp(0.02, 0.98)
        joint = torch.sigmoid(likelier + torch.log(near / (1 - near)))
        doubt = 1 - (2 * wide - 1).abs()
        features = torch.cat(
            (plate * 2 - 1, first, joint, wide, doubt, torch.tanh(likelier / 2), (first - joint).abs()), 1
        )  # fmt: skip
        answer: Tensor = self.net(features, torch.cat((first, joint), 1))
        return answer

    def likelihood(self, plate: Tensor) -> Tensor:
        """Logarithm of how much likelier each colour is inside than outside, a little smoothed."""
        places = (plate * 2 - 1).permute(0, 2, 3, 1)[:, None].to(self.colours.dtype)
        found = functional.grid_sample(
            self.colours.expand(len(plate), 1, -1, -1, -1), places, mode="bilinear",
            padding_mode="border", align_corners=True,
        )[:, :, 0]  # fmt: skip
        return functional.avg_pool2d(found, 3, 1, 1, count_include_pad=False).to(plate)


def colour_table(plates: Tensor, mattes: Tensor, floor: float = 1e-6) -> Tensor:
    """Return (B, G, R): log p(colour | subject) / p(colour | background) over the keys' pixels.

    In the order of `grid_sample`, whose first coordinate is the last axis. Counts are smoothed by a
    Gaussian of one cell.
    """
    codes = (plates.clamp(0, 1) * (CELLS - 1)).round().long()
    index = (codes[:, 2] * CELLS + codes[:, 1]) * CELLS + codes[:, 0]
    shares = []
    for weights in (mattes, 1 - mattes):
        counts = torch.zeros(CELLS**3).index_add_(0, index.reshape(-1), weights.reshape(-1).float())
        cube = counts.reshape(1, 1, CELLS, CELLS, CELLS)
        kernel = torch.tensor([0.0545, 0.2442, 0.4026, 0.2442, 0.0545])
        for axis in range(3):
            shape = [1, 1, 1, 1, 1]
            shape[2 + axis] = 5
            padding = [0, 0, 0]
            padding[axis] = 2
            cube = functional.conv3d(cube, kernel.reshape(shape), padding=padding)
        shares.append(cube / counts.sum().clamp_min(1))
    return torch.log((shares[0] + floor) / (shares[1] + floor))[0, 0]


def look(plates: Tensor) -> Tensor:
    """Thumbnails (N, 3, 18, 32) of plates."""
    return functional.interpolate(plates, size=LOOK, mode="area")


def detect(shapes: Shapes, hint: str) -> Recognition | None:
    """The file that `matte finetune` writes: the keys are in it."""
    mattes, marks = shapes.get("mattes", ()), ("looks", "mattes", "colours", "settings")
    if not present(shapes, marks) or len(mattes) != 4:
        return None
    width = width_of(shapes)
    return Recognition(
        options={"keys": mattes[0], "size": (mattes[2], mattes[3]), "width": width},
        layout="matte-nodes",
        names={name: name for name in shapes},
        found=f"A network of one shot with {mattes[0]} keys, width {number(width)}.",
    )


ARCHITECTURE = Architecture(
    id="shot",
    build=ShotMatting,
    detect=detect,
    inputs=("plate", "segmentation"),
    options={"width": 0.5},
    training=Training(task="shot"),
    variants=({"keys": 2, "size": (18, 32), "width": 0.25},),
)
