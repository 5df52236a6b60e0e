# SPDX-License-Identifier: Apache-2.0
"""Every knob of every model is turned, every hint is changed: a warm cache gives the pixels of a cold one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import Knob, MatteNode, ModelCard, Prediction, models
from matte_nodes.card import HINTS
from matte_nodes.node.knobs import NODE_KNOBS, all_knobs
from matte_nodes.node.matte import Matte
from matte_nodes.service.pool import ModelPool
from tests.conftest import has_weights
from tests.models.test_compliance import small
from tests.temporal.rig import disk, same
from tests.test_align import shaken, textured

SIZE = (96, 128)
COUNT = 3
LOOKED_AT = 2
BASE = {"despill": 0.25}
"""What the other knobs are turned at: despill_screen means nothing without a despill."""
ANOTHER = {"tile": 64}
"""Values where a step from the default would be legal, but mean nothing."""


class Sensitive:
    """Alpha and foreground follow every input, and where a tile's borders are."""

    def step(self, inputs: Any, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        luma = inputs.plate.mean(2)
        luma = luma * np.float32(0.8) + np.float32(0.2) * luma.mean()
        for hint in (inputs.trimap, inputs.segmentation):
            luma = luma if hint is None else luma * np.float32(0.7) + np.float32(0.3) * hint
        if inputs.background is not None:
            apart = np.abs(inputs.plate - inputs.background).mean(2)
            luma = luma * np.float32(0.5) + apart
        return Prediction((luma * np.float32(knobs["gain"])).clip(0, 1), inputs.plate * 0.9), {}


SENSITIVE = ModelCard(
    "sensitive", "Sensitive", "Sensitive.", lambda context: Sensitive(), takes=frozenset(HINTS),
    knobs=(Knob("gain", "float", 1.0, low=0.0, high=2.0, help="A test."),),
    predicts_foreground=True, tileable=True, tile_side=1024, tile_overlap=8,
)  # fmt: skip

# What a model is not given, the node may still read: to prepare what it is given, or to finish.
ONE_HINT = replace(SENSITIVE, name="one-hint", takes=frozenset({"background"}))
NO_HINT = replace(SENSITIVE, name="no-hint", takes=frozenset())
OURS = (SENSITIVE, ONE_HINT, NO_HINT)


@cache
def material(seed: int = 0) -> Mapping[str, list[np.ndarray]]:
    """A textured subject that moves over a textured green place; each hint differs by the seed."""
    height, width = SIZE
    place = textured(height, width, seed=4) * np.float32([0.4, 1.0, 0.4])
    background = shaken(place)[0] if seed == 0 else shaken(np.roll(place, 3, 1))[0]
    subject = background if seed == 0 else textured(height, width, seed=5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    made: dict[str, list[np.ndarray]] = {"plate": [], **{hint: [] for hint in HINTS}}
    for frame in range(COUNT):
        away = np.hypot(x - width / 2 - 3 * frame, y - height / 2)
        alpha = np.clip((0.36 * height - away) / 12 + 0.5, 0, 1).astype(np.float32)[..., None]
        # The clean plate's own features, unmoved, on the subject: they mislead the alignment
        # unless the segmentation leaves them out.
        plate = subject * alpha + place * (1 - alpha)
        made["plate"].append(plate.astype(np.float32))
        alpha = alpha[..., 0]
        band = 0.02 if seed == 0 else 0.2
        trimap = np.where(alpha > 1 - band, 1, np.where(alpha < band, 0, 0.5))
        made["trimap"].append(trimap.astype(np.float32))
        made["background"].append(background.astype(np.float32))
        reach = 0.36 if seed == 0 else 0.9
        made["segmentation"].append((away < reach * height).astype(np.float32))
    return made


def other_values(knob: Knob, base: Any) -> Iterator[Any]:
    """Legal values that are not the base's."""
    if knob.name in ANOTHER:
        yield ANOTHER[knob.name]
    elif knob.kind == "choice":
        yield from (choice for choice in knob.choices if choice != base)
    elif knob.kind == "bool":
        yield not base
    elif knob.kind == "text":
        yield f"{base} another"
    else:
        low = knob.low if knob.low is not None else base - 1
        high = knob.high if knob.high is not None else base + 1
        # Near the base: the ends of a range are often "all black" or too slow.
        step = max(1 if knob.kind == "int" else 0.001, min(abs(base) / 2 or 0.5, high - low))
        value = base + step if base + step <= high else base - step
        yield int(value) if knob.kind == "int" else max(low, value)


class Rig:
    """One model with loaded networks shared between its nodes, as the service shares them."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.lease = ModelPool(1 << 34).lease(threading.Event())
        self.base = {**BASE, **small(card)}
        self.options = {"untrained": True} if card.checkpoint else {}

    def matte(self, cache: Any, source: Mapping[str, Any], **knobs: Any) -> Matte:
        node = MatteNode(
            self.card, device="cpu", threads=1, loader=self.lease.load, **self.options,
            **{**self.base, **knobs},
        )  # fmt: skip
        given: dict[str, Any] = {
            name: dict(enumerate(source[name], 1)) for name in HINTS if source[name] is not None
        }
        if "points" in self.card.needs:
            given = {"points": {1: [(20, 16, True)]}}
        shot = node.connect(source["plate"], colorspace="sRGB", cache=cache, **given)
        return shot.at(LOOKED_AT)


def every_hint(card: ModelCard) -> dict[str, Any]:
    """The plate with all hints: the node uses those that the model does not take."""
    source: dict[str, Any] = dict(material())
    if "trimap" not in card.needs:
        source["trimap"] = None  # it would hide everything but its band
    return source


def suites() -> list[Any]:
    """Every registered model, and three that follow every knob."""
    found = [pytest.param(card, id=card.name) for card in OURS]
    for card in models.cards():
        marks = () if has_weights(card.name) else pytest.mark.skip("its weights are not here")
        found.append(pytest.param(card, id=card.name, marks=marks))
    return found


MEND = {"align_background", "close_holes", "match_background"}
"""Knobs that mend what these plates do not have: a camera that moved, a hole, another exposure
(tests/test_align.py, tests/test_match_background.py)."""


def turned(rig: Rig) -> list[tuple[Knob, Any]]:
    """Every knob of the model and of the node with another value."""
    found = []
    for knob in all_knobs(rig.card):
        base = rig.base.get(knob.name, knob.default)
        for value in other_values(knob, base):
            if (knob.name, value) != ("foreground", "native") or rig.card.predicts_foreground:
                found.append((knob, value))
    return found


@pytest.mark.parametrize("card", suites())
def test_every_knob_warm_as_cold(card: ModelCard, tmp_path: Path) -> None:
    rig, source, warm = Rig(card), every_hint(card), disk(tmp_path, frames=1 << 26)
    base = rig.matte(None, source)
    assert same(rig.matte(warm, source), base)
    idle = []
    for knob, value in turned(rig):
        cold = rig.matte(None, source, **{knob.name: value})
        assert same(rig.matte(warm, source, **{knob.name: value}), cold), f"{knob.name}={value}"
        if same(cold, base):
            idle.append(knob.name)
    assert same(rig.matte(warm, source), base)
    if card in OURS:
        known = {knob.name for knob in all_knobs(card)} - MEND
        assert not set(idle) & known, "knobs that change nothing"


@pytest.mark.parametrize("aligned", ["off", "on", "auto"])
@pytest.mark.parametrize("card", suites())
def test_every_hint_warm_as_cold(card: ModelCard, aligned: str, tmp_path: Path) -> None:
    rig, source, warm = Rig(card), dict(material()), disk(tmp_path, frames=1 << 26)
    # With garbage a segmentation is multiplied in: finishing follows it everywhere.
    knobs = {"align_background": aligned, "segmentation_use": "garbage"}
    base = rig.matte(warm, source, **knobs)
    for name in ("plate", *HINTS):
        if source[name] is None:
            continue
        changed = {**source, name: material(1)[name]}
        cold = rig.matte(None, changed, **knobs)
        assert same(rig.matte(warm, changed, **knobs), cold), name
        if name == "plate" or card in OURS:
            assert not same(cold, base), f"the other {name} changes nothing"
        if name not in card.needs:
            without = {**source, name: None} if name != "plate" else source
            cold = rig.matte(None, without, **knobs)
            assert same(rig.matte(warm, without, **knobs), cold), f"no {name}"


def test_every_knob_of_the_node_is_among_them() -> None:
    assert {knob.name for knob in NODE_KNOBS} <= {knob.name for knob, _ in turned(Rig(SENSITIVE))}
