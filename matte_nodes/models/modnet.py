# SPDX-License-Identifier: Apache-2.0
"""MODNet (Ke et al. 2022): portraits, automatic, permissively licensed weights."""

from __future__ import annotations

from collections.abc import Mapping

from matte_nodes.card import (
    Checkpoint,
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
)
from matte_nodes.media.resize import resized
from matte_nodes.models.torch_network import TorchNetwork, array, trained_side

PUBLISHED_SIDE = 512


class MODNet:
    """The network with the plate's shorter side at the reference size, sides multiples of 32."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.modnet import MODNet as Network

        self._network = TorchNetwork(context, "modnet", Network)
        self._side = trained_side(context.checkpoint) or PUBLISHED_SIDE

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the people in the picture."""
        height, width = inputs.plate.shape[:2]
        asked = int(knobs["reference_size"])
        scale = (max(64, asked) if asked else self._side) / min(height, width)
        # Long strips are held to a bounded area: 1 x 4000 would ask for millions of columns.
        scale = min(scale, 2048 / max(height, width))
        size = (_sides(height * scale), _sides(width * scale))
        small = resized(inputs.plate, size)
        alpha = array(self._network(self._network.tensor(small * 2 - 1)))
        return Prediction(resized(alpha, (height, width)).clip(0, 1)), {}


def _sides(length: float) -> int:
    return max(32, int(length) // 32 * 32)


CARD = ModelCard(
    name="modnet",
    title="MODNet",
    summary="Portraits, automatic, each frame alone; its published weights are Apache-2.0.",
    load=MODNet,
    subject="people",
    knobs=(
        Knob(
            "reference_size", "int", 0, low=0, high=2048, unit="px",
            help="Shorter side of what the network sees, at least 64. 0: as its weights were "
            "trained, which is 512 for the published ones.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/ZHKKKe/MODNet",
        "Apache-2.0, stated by the authors for code, models and demos",
        "yes",
        ("modnet_photographic_portrait_matting.ckpt", "modnet_webcam_portrait_matting.ckpt"),
    ),
    training_data="PPM-100-like portraits and a private set; the authors do not list terms",
    papers=("Ke, Sun, Li, Yan, Lau: MODNet: Real-Time Trimap-Free Portrait Matting via Objective "
            "Decomposition, AAAI 2022",),
    limits="People only; flickers in video (each frame is solved alone).",
)  # fmt: skip
