# SPDX-License-Identifier: Apache-2.0
"""The start of a fine-tuning: a model of the library with its weights, or an untrained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matte_nodes import models, weights
from matte_nodes.errors import UsageError
from matte_nodes.models import finetuned
from matte_nodes.models.torch_network import network_of
from matte_nodes.train import systems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from matte_nodes.card import ModelCard
    from matte_nodes.train.keys import Key
    from matte_nodes.train.systems import System


@dataclass(frozen=True)
class Parent:
    """name: the model, "shot" for none. card: what runs it. system: its network.

    identity: sha256 of its weights by file.
    """

    name: str
    card: ModelCard
    system: System
    identity: dict[str, str]


def find(name: str, *, checkpoint: str | None = None, untrained: bool = False) -> Parent:
    """Return the parent of this name. Raises UsageError when that model cannot be trained."""
    card = models.parent_card(name)
    if root_of(name) == finetuned.SHOT:
        own = {} if name == finetuned.SHOT else weights.identity(card)
        return Parent(name, card, systems.of_shots(), own)
    system = _learns(card)
    if system is None:
        able = (c.name for c in models.cards() if c.architecture and _learns(c))
        raise UsageError(
            f"Model {name!r} cannot be fine-tuned: it has no network here that learns. "
            f"These can: {', '.join((finetuned.SHOT, *able))}."
        )
    return Parent(name, card, system, {} if untrained else weights.identity(card, checkpoint))


def _learns(card: ModelCard) -> System | None:
    """Return the system that fine-tuning trains from key frames, or None."""
    found = systems.of_card(card)
    return found if found is not None and found.from_keys else None


def root_of(name: str) -> str:
    """Return the model at the beginning: a fine-tuned one goes on being its own parent's kind."""
    found = finetuned.declaration(name)
    return name if found is None else found.parent


def network(
    parent: Parent, keys: Sequence[Key], *, checkpoint: str | None, untrained: bool, width: float
) -> nn.Module:
    """Return the network with its first weights, ready to be trained, on the processor.

    Raises WeightsError when its weights are not here; untrained: random ones, made by the seed.
    """
    import torch

    torch.manual_seed(0)
    if parent.system.task == "shot":
        return _shot_network(parent, keys, width)
    terms = parent.card.checkpoint
    if terms is not None:
        path = weights.checkpoint(parent.card, checkpoint, untrained)
        if path is None and (untrained or not terms.optional):
            return parent.system.make(width)
    elif untrained:
        return parent.system.make(1.0)
    knobs = {knob.name: knob.default for knob in parent.card.knobs}
    return parent.system.prepared(network_of(parent.card, checkpoint=checkpoint, knobs=knobs))


def _shot_network(parent: Parent, keys: Sequence[Key], width: float) -> nn.Module:
    import torch

    from matte_nodes.models.networks.shot_matting import ShotMatting

    height, wide = keys[0].alpha.shape
    scale = min(1.0, 256 / max(height, wide))
    size = (max(8, round(height * scale)), max(8, round(wide * scale)))
    made = ShotMatting(len(keys), size, width)
    if parent.name != finetuned.SHOT:
        old: Any = network_of(parent.card, knobs={})
        made = ShotMatting(len(keys), size, old.width)
        made.net.load_state_dict(old.net.state_dict())
    with torch.no_grad():
        plates = torch.stack([torch.from_numpy(k.plate).permute(2, 0, 1) for k in keys])
        made.remember(plates, torch.stack([torch.from_numpy(k.alpha)[None] for k in keys]))
    found: nn.Module = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found
