# SPDX-License-Identifier: Apache-2.0
"""One look at a plate: whether it shows people, so that `auto` can choose a model.

The people model and the salient model that could be chosen both see one frame, made small. People
models answer what they take for people surely, and find little or nothing in pictures of animals
and things; salient models find what stands out, whatever it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import Inputs
from matte_nodes.media.resize import resized
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.temporal.digest import digest

if TYPE_CHECKING:
    from matte_nodes.card import Float, ModelCard

RULE = 2
"""Raise it when the answer to a picture may change: kept looks are made anew."""

SIDE = 512
"""Longer side of the looked-at picture, in pixels."""

LEAST = 0.005
"""Part of the picture that people must cover."""

SURE, COVERED, ALONE = 0.7, 0.7, 0.9
"""People are seen when `SURE` of what the people model finds is certain (alpha over 0.9 of alpha
over 0.1), and it has `COVERED` of what stands out, or when `ALONE` is certain. On 40 photographs
the certain part was 0.81 to 0.97 for people, and 0 to 0.57 for animals and most things; four
things are above 0.7. The limits were chosen on these pictures."""

_RING, _SCREEN, _EVEN = 0.06, 0.8, 0.08
"""A screen is seen when its colour fills `_SCREEN` of the picture's border, a ring of `_RING` of the
sides, and its brightness there varies by `_EVEN` at most: lawns vary more, and skies end somewhere."""

_EXCESS = {"green": 0.15, "blue": 0.25}
"""How far a screen's channel stands above the other two, display-encoded."""

_READING = ("colorspace", "layer", "stereo_view", "rate", "missing", "allow_grey", "cache")


@dataclass(frozen=True)
class Seen:
    """What one look found, and at which frame."""

    people: bool
    frame: int | None
    """None for a still."""
    certain: float
    covered: float
    screen: str = ""
    """Colour of the screen behind everything: green, blue, or "" for none."""

    def why(self, people: str, salient: str) -> str:
        """The reason for a choice, as the end of a sentence."""
        found = f"{people} is sure of {self.certain:.0%} of what it finds"
        where = "the picture" if self.frame is None else f"frame {self.frame}"
        behind = ""
        if self.screen:
            knob = "" if self.screen == "green" else f" --screen {self.screen}"
            keyer = f"--model green-screen{knob}"
            behind = f"; a {self.screen} screen is behind it: {keyer} keys all before it"
        return (
            f"{where} shows {'' if self.people else 'no '}people ({found}, which covers "
            f"{self.covered:.0%} of what {salient} finds){behind}"
        )


def look(
    source: Any,
    people: ModelCard,
    salient: ModelCard,
    *,
    node: Mapping[str, Any],
    knobs: Mapping[str, Any],
    connect: Mapping[str, Any],
) -> Seen:
    """Look at the middle frame of a plate with two models that need no hints.

    The middle frame of the whole clip, so that every part of a render on a farm chooses the same.
    node, knobs, connect: as the run has them. The answer is kept with the hashes of the cache.
    Raises what connecting a plate raises.
    """
    early = {k.name: knobs[k.name] for k in NODE_KNOBS if k.stage == "view" and k.name in knobs}
    options = {name: value for name, value in node.items() if name not in ("weights", "untrained")}
    reading = {name: connect[name] for name in _READING if name in connect}
    nodes = [MatteNode(card, **options, **early) for card in (people, salient)]
    shot = nodes[0].connect(source, **reading)
    try:
        place = len(shot.clip.frames) // 2
        frame = shot.clip.frames[place] if place else None
        memo = shot.cache.hashes.memo
        key = ""
        if memo is not None:
            weights = [sorted(one.weights_identity.items()) for one in nodes]
            key = digest("look", RULE, shot.plate_id(place), weights)[:32]
            if (kept := _kept(memo.get(key), frame)) is not None:
                return kept
        plate = _small(shot.network_plate(place))
        seen = judged(*(_mask(one, plate) for one in nodes), frame=frame)
        seen = replace(seen, screen=screen_of(plate))
        if memo is not None:
            facts = (int(seen.people), f"{seen.certain:.4f}", f"{seen.covered:.4f}", seen.screen)
            memo.put(key, ",".join(map(str, facts)))
        return seen
    finally:
        if isinstance(source, str | os.PathLike):
            shot.close()


def screen_of(plate: Float) -> str:
    """Return the colour of an even screen round everything: "green", "blue", or "" for none.

    plate: (H, W, 3) float32, display-encoded, 0..1.
    """
    height, width = plate.shape[:2]
    rim = np.ones((height, width), bool)
    rows, columns = max(1, round(_RING * height)), max(1, round(_RING * width))
    rim[rows:-rows, columns:-columns] = False
    ring = plate[rim]
    for channel, colour in ((1, "green"), (2, "blue")):
        others = np.delete(ring, channel, 1).max(1)
        is_screen = ring[:, channel] - others > _EXCESS[colour]
        if is_screen.mean() >= _SCREEN and ring[is_screen].mean(1).std() <= _EVEN:
            return colour
    return ""


def judged(people: Float, salient: Float, *, frame: int | None = None) -> Seen:
    """What two masks (H, W), 0..1, of the same picture say."""
    found, stands_out = people > 0.5, salient > 0.5
    certain = float((people > 0.9).sum() / max(1, (people > 0.1).sum()))
    covered = float((found & stands_out).sum() / max(1, stands_out.sum()))
    sure = certain >= ALONE or (certain >= SURE and covered >= COVERED)
    return Seen(bool(sure and found.mean() >= LEAST), frame, certain, covered)


def _kept(text: str | None, frame: int | None) -> Seen | None:
    try:
        people, certain, covered, screen = (text or "").split(",")
        return Seen(people == "1", frame, float(certain), float(covered), screen)
    except ValueError:
        return None


def _small(plate: Float) -> Float:
    """A picture (H, W, 3) with sides of 32 to SIDE pixels."""
    height, width = plate.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    return resized(plate, (max(32, round(height * scale)), max(32, round(width * scale))))


def _mask(node: MatteNode, plate: Float) -> Float:
    prediction, _ = node.step(Inputs(plate), {})
    return np.asarray(prediction.alpha, np.float32)
