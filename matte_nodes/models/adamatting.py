# SPDX-License-Identifier: Apache-2.0
"""AdaMatting (Cai et al. 2019): alpha and an adapted trimap from a rough trimap."""

from __future__ import annotations

from collections.abc import Mapping

from matte_nodes.card import (
    Checkpoint,
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
)
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array
from matte_nodes.models.trimap_input import picture_and_trimap


class AdaMatting:
    """Trimap decoder and alpha decoder, joined by a ConvLSTM unrolled three times."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.adamatting import AdaMatting as Network

        width = float(context.knobs["width"])
        self._network = TorchNetwork(context, "adamatting", lambda: Network(width=width))

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha, and the trimap that the network made of the given one."""
        answer = self._network(picture_and_trimap(self._network, inputs))
        extras = {"adapted_trimap": array(answer.adapted)}
        return Prediction(array(answer.alpha).clip(0, 1), extras=extras), {}


CARD = ModelCard(
    name="adamatting",
    title="AdaMatting",
    summary="Any subject from a rough trimap: it corrects the trimap, then solves alpha.",
    load=AdaMatting,
    needs=frozenset({"trimap"}),
    extras=("adapted_trimap",),
    multiple=16,
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    knobs=(WIDTH,),
    checkpoint=Checkpoint("", "no weights of the paper's network were ever published", "unclear"),
    training_data="none: untrained until a recipe or a user trains it",
    papers=("Cai et al.: Disentangled Image Matting, ICCV 2019",),
    limits="The paper's network without weights: train it, or bring your own.",
)
