# SPDX-License-Identifier: Apache-2.0
"""Robust Video Matting's network (Lin et al. 2022) on MobileNetV2, with weights of our own."""

from __future__ import annotations

from dataclasses import replace

from matte_nodes.card import Knob, LoadContext, Model, ModelCard, Recurrent
from matte_nodes.models import rvm
from matte_nodes.models.shipped import RVM_PEOPLE

SIDE = 256
"""Longer side of what the recurrent network sees: it was trained on squares of 144 pixels. With 160
single people have IoU 0.76 to `rvm`, with 224 0.89 (12 pictures)."""


def load(context: LoadContext) -> Model:
    """Return the torch engine on the shipped weights."""
    path = context.checkpoint or context.weights[RVM_PEOPLE.file]
    return rvm.InTorch(replace(context, checkpoint=path), SIDE)


def _knobs() -> tuple[Knob, ...]:
    """Return those of `rvm` less its engine, with the size that these weights ask for."""
    own = {knob.name: knob for knob in rvm.CARD.knobs if knob.name != "engine"}
    ratio = own["downsample_ratio"]
    told = ratio.help.replace(str(rvm.LONGEST), str(SIDE))
    return tuple({**own, ratio.name: replace(ratio, help=told)}.values())


CARD = ModelCard(
    name="rvm-people",
    title="Robust Video Matting, our own weights",
    summary="People in video, no hints needed, under clear terms: recurrent, gives a foreground.",
    load=load,
    predicts_foreground=True,
    memory=Recurrent(),
    knobs=_knobs(),
    weights=(RVM_PEOPLE,),
    subject="people",
    training_data="ours: clips that were made of 355 rendered people and 915 public-domain or CC0 photographs of "
    "people labelled by `selfie` and `closed-form-refined`, moved over free places; the encoder began as that of "
    "our own MODNet, and before as ImageNet's (docs/people.md)",
    papers=rvm.CARD.papers,
    limits="People only, near the camera, one at a time. A short training: `rvm` and `selfie` find more; edges are "
    "as soft as a network allows that sees 256 pixels (docs/people.md).",
)  # fmt: skip
