# SPDX-License-Identifier: Apache-2.0
"""A third party's torch network in one file: a small trimap network.

The file declares the network (ARCHITECTURE) and the model (CARD). That is enough for run, import,
ONNX and .cat export, training, fine-tuning and parity: the worked example of
docs/adding-a-model.md.
"""

import torch
from torch import Tensor, nn

from matte_nodes import (
    Architecture,
    Checkpoint,
    Knob,
    ModelCard,
    Published,
    Recognition,
    Training,
    torch_model,
)


class TinyTrimap(nn.Module):
    """Plate and trimap, (N, 4, H, W), to alpha (N, 1, H, W), 0..1. width: channel multiplier."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = max(4, round(16 * width))
        self.down = nn.Conv2d(4, channels, 4, stride=4)
        self.inside = nn.Conv2d(channels, channels, 3, padding=1)
        self.up = nn.ConvTranspose2d(channels, channels, 4, stride=4)
        self.answer = nn.Conv2d(channels + 4, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = torch.relu(self.inside(torch.relu(self.down(x))))
        return torch.sigmoid(self.answer(torch.cat((self.up(deep), x), 1)))


def detect(shapes, hint):
    """Recognise the network by the shape of its first and last layers."""
    if shapes.get("down.weight", ())[1:] != (4, 4, 4) or "answer.weight" not in shapes:
        return None
    width = shapes["down.weight"][0] / 16
    return Recognition(
        options={"width": width},
        layout="tiny-trimap",
        names={name: name for name in shapes},
        found=f"Tiny trimap network, width {width:g}.",
    )


def encode(plate: Tensor, trimap: Tensor) -> Tensor:
    """What the network wants: the plate round 0, and the trimap."""
    return torch.cat((plate - 0.5, trimap), 1)


ARCHITECTURE = Architecture(
    id="tiny-trimap",
    build=TinyTrimap,
    detect=detect,
    inputs=("plate", "trimap"),
    encode=encode,
    options={"width": 1.0},
    multiple=4,
    training=Training(losses={"alpha": 1.0}, trial_width=0.5),
    small={"width": 0.25},
    variants=({"width": 0.25}, {"width": 0.5}),
    published=(Published({}, 7661),),
)

CARD = ModelCard(
    name="tiny-trimap",
    title="Tiny trimap network",
    summary="A trimap network of four layers.",
    load=torch_model(lambda: ARCHITECTURE),
    architecture=lambda: ARCHITECTURE,
    needs=frozenset({"trimap"}),
    knobs=(
        Knob(
            "width", "float", 1.0, low=0.25, high=2.0, reload=True,
            help="Channel multiplier of an untrained network; a checkpoint knows its own.",
        ),
    ),
    checkpoint=Checkpoint("https://example.org/tiny-trimap", "MIT", "yes", ("tiny.pth",)),
    code_licence="MIT",
    papers=("none",),
)  # fmt: skip
