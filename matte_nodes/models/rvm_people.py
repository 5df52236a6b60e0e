# SPDX-License-Identifier: Apache-2.0
"""Robust Video Matting's network (Lin et al. 2021) on MobileNetV2, with weights of our own."""

from __future__ import annotations

from dataclasses import replace

from matte_nodes.card import LoadContext, Model, ModelCard, Recurrent
from matte_nodes.models import rvm
from matte_nodes.models.shipped import RVM_PEOPLE

SIDE = 256
"""Longer side of what the recurrent network sees: it was trained on squares of 144 pixels."""


def load(context: LoadContext) -> Model:
    """Return the torch engine on the shipped weights."""
    path = context.checkpoint or context.weights[RVM_PEOPLE.file]
    return rvm.InTorch(replace(context, checkpoint=path), SIDE)


CARD = ModelCard(
    name="rvm-people",
    title="Robust Video Matting, our own weights",
    summary="People in video, no hints needed, under clear terms: recurrent, gives a foreground.",
    load=load,
    predicts_foreground=True,
    memory=Recurrent(),
    knobs=tuple(knob for knob in rvm.CARD.knobs if knob.name != "engine"),
    weights=(RVM_PEOPLE,),
    subject="people",
    training_data="ours",
    papers=rvm.CARD.papers,
    limits="",
)
