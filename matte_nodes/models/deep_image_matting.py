# SPDX-License-Identifier: Apache-2.0
"""Deep Image Matting (Xu, Price, Cohen, Huang 2017): a trimap network with refinement."""

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
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array
from matte_nodes.models.trimap_input import picture_and_trimap


class DeepImageMatting:
    """Encoder-decoder on picture and trimap, then the refinement network."""

    def __init__(self, context: LoadContext) -> None:
        from matte_nodes.models.networks.deep_image_matting import DeepImageMatting as Network

        skip, knobs = context.knobs["skip"], context.knobs
        options = {} if skip == "auto" else {"skip": skip == "yes"}
        self._network = TorchNetwork(
            context,
            "deep-image-matting",
            lambda: Network(width=float(knobs["width"]), skip=skip == "yes"),
            **options,
        )

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the last stage that the checkpoint has."""
        answer = self._network(picture_and_trimap(self._network, inputs))
        return Prediction(array(answer.alpha)), {}


CARD = ModelCard(
    name="deep-image-matting",
    title="Deep Image Matting",
    summary="Any subject from a trimap: VGG-16 encoder, unpooling decoder, refinement stage.",
    load=DeepImageMatting,
    needs=frozenset({"trimap"}),
    multiple=32,
    tileable=True,
    tile_overlap=192,
    tile_side=1600,
    knobs=(
        WIDTH,
        Knob(
            "skip", "choice", "auto", choices=("auto", "yes", "no"), reload=True,
            help="Whether encoder maps are added in the decoder: some published weights were "
            "trained so, and their tensors do not tell; auto goes by the file's name.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/huochaitiantang/pytorch-deep-image-matting/releases (also mmagic's "
        "model zoo)",
        "trained on the Adobe Composition-1k set: non-commercial research only",
        "no",
        ("stage1_skip_sad_52.9.pth", "stage1_sad_54.4.pth"),
    ),
    training_data="Adobe Composition-1k (431 foregrounds; non-commercial research terms)",
    papers=("Xu, Price, Cohen, Huang: Deep Image Matting, CVPR 2017",),
    limits="Follows its trimap: wide unknown bands over busy backgrounds come out grey.",
)  # fmt: skip
