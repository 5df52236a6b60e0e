# SPDX-License-Identifier: Apache-2.0
"""MMNet (Seo et al. 2018): portraits on a phone, 0.19 million parameters."""

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
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array


class MMNet:
    """The network at 128 or 256 pixels square, its answer brought back to the plate's size."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.mmnet import MMNet as Network

        width = float(context.knobs["width"])
        self._network = TorchNetwork(context, "mmnet", lambda: Network(width=width))

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the portrait."""
        side, (height, width) = int(knobs["network_size"]), inputs.plate.shape[:2]
        small = resized(inputs.plate, (side, side))
        alpha = array(self._network(self._network.tensor(small)).alpha)
        return Prediction(resized(alpha, (height, width)).clip(0, 1)), {}


CARD = ModelCard(
    name="mmnet",
    title="MMNet",
    summary="Portraits, automatic, on the slowest of machines: 256 or 128 pixels square.",
    load=MMNet,
    subject="people",
    knobs=(
        WIDTH,
        Knob(
            "network_size", "choice", "256", choices=("256", "128"), unit="px",
            help="Side of the square that the network sees.",
        ),
    ),
    checkpoint=Checkpoint("", "no weights were published (code: hyperconnect/MMNet, Apache-2.0)", "unclear"),
    training_data="none: untrained until a recipe or a user trains it",
    papers=("Seo et al.: Towards Real-Time Automatic Portrait Matting on Mobile Devices, 2019",),
    limits="Portraits that fill the frame; edges are as fine as 256 pixels allow.",
)  # fmt: skip
