# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of everything but pictures that a result depends on.

Equal keys mean equal pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from matte_nodes import __version__
from matte_nodes.node.knobs import active_neighbour_knobs
from matte_nodes.runtime import numerics_tag
from matte_nodes.temporal.steady import flow_numerics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matte_nodes.card import ModelCard
    from matte_nodes.color import PlateColor
    from matte_nodes.media.clip import Clip
    from matte_nodes.node.node import FrameNode

ALGORITHM_VERSION = 3
"""Raised whenever the library itself (colour, foreground, finesse) changes a pixel."""
# What a card has for people, what stands in the key in another way, and functions.
_WORDS = frozenset(
    {"title", "summary", "papers", "limits", "training_data", "code_licence", "old_names", "auto",
     "schema_version", "subject", "packages", "load", "architecture", "weights", "helpers",
     "checkpoint", "files", "variables", "name", "algorithm_version", "knobs"}
)  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """Everything but pictures that a shot's results depend on: node, colours, canvas, hints."""

    node: FrameNode
    plate: Clip
    color: PlateColor
    background_color: PlateColor | None
    """The transforms of the clean plate; None without one."""
    hints: Mapping[str, str]
    """The hints that were connected, by name: how each is read (`hint_meaning.Meaning.said`)."""
    allow_grey: bool = False
    """Whether a plate of one channel is accepted."""


def node_identity(node: FrameNode) -> dict[str, Any]:
    """Model, weights, knobs and numerics of a node: everything but the pictures."""
    return {**_model_identity(node), "knobs": dict(sorted(node.knobs.items()))}


def step_settings(shot: Setup) -> dict[str, Any]:
    """Return what a step of the model depends on besides pictures. Knobs that only finish are left
    out.
    """
    node, color = shot.node, shot.color
    background = shot.background_color
    return {
        **_model_identity(node),
        "knobs": dict(sorted(node.knobs_of("step").items())),
        "grey plates": shot.allow_grey,
        "sees": [color.plate, color.working, color.config.cache_id, color.seen_id],
        "background sees": background
        and [background.plate, background.config.cache_id, background.seen_id],
        "canvas": str(shot.plate.canvas),
        "hints read": {
            name: how
            for name, how in sorted(shot.hints.items())
            if name in node.hints_of("step", shot.hints)
        },
    }


def seen_settings(shot: Setup) -> dict[str, Any]:
    """Return what reading a frame, and changing it for the model, depends on besides pictures."""
    identity = {name: value for name, value in shot_identity(shot).items() if name != "knobs"}
    return {
        **identity,
        "knobs": dict(sorted(shot.node.knobs_of("view").items())),
        "grey plates": shot.allow_grey,
    }


def finish_settings(shot: Setup) -> dict[str, Any]:
    """Return what finishing a frame depends on, besides pictures and the model's prediction."""
    if not active_neighbour_knobs(shot.node.knobs):
        return shot_identity(shot)
    return {**shot_identity(shot), "flow": flow_numerics()}


def shot_identity(shot: Setup) -> dict[str, Any]:
    """Return everything that a shot's results depend on, besides pictures."""
    background = shot.background_color
    return {
        **node_identity(shot.node),
        "color": shot.color.id if background is None else f"{shot.color.id} | {background.id}",
        "canvas": str(shot.plate.canvas),
        "hints": dict(sorted(shot.hints.items())),
    }


def _model_identity(node: FrameNode) -> dict[str, Any]:
    return {
        "algorithm": ALGORITHM_VERSION,
        "model": node.card.name,
        "model_version": node.card.algorithm_version,
        "declared": _declared(node.card),
        "weights": node.weights_identity,
        "read": node.reads.facts,
        "untrained": node.untrained,
        "numerics": numerics_tag(node.device, node.threads),
        "half": node.half,
        "code": __version__,
    }


def _declared(card: ModelCard) -> dict[str, str]:
    """What a card says that the library works by: sizes, tiles, memory, hints; not words."""
    return {
        item.name: str(sorted(value) if isinstance(value, frozenset) else value)
        for item in fields(card)
        if item.name not in _WORDS
        for value in (getattr(card, item.name),)
    }


def provenance(shot: Setup, frame: int) -> dict[str, str]:
    """Return what is written into a kept result: which frame of what, made by what."""
    card, color = shot.node.card, shot.color
    return {
        "matte/plate": f"{shot.plate.name} frame {frame}",
        "matte/model": card.name,
        "matte/weights": " ".join(f"{k}:{v}" for k, v in shot.node.weights_identity.items()),
        "matte/commercial": card.commercial,
        "matte/knobs": " ".join(f"{k}={v}" for k, v in sorted(shot.node.knobs.items())),
        "matte/plate_space": color.plate,
        "matte/working_space": color.working,
        "matte/numerics": numerics_tag(shot.node.device, shot.node.threads),
    }
