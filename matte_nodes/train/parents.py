# SPDX-License-Identifier: Apache-2.0
"""What a fine-tuning begins with: a model of the library with its weights, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matte_nodes import models, weights
from matte_nodes.errors import UsageError, WeightsError
from matte_nodes.models import finetuned
from matte_nodes.train import systems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from matte_nodes.card import ModelCard
    from matte_nodes.train.keys import Key
    from matte_nodes.train.systems import System


@dataclass(frozen=True)
class Parent:
    """name: the model, "shot" for none. card: what runs it. system: None is the shot network.

    identity: sha256 of its weights by file.
    """

    name: str
    card: ModelCard
    system: System | None
    identity: dict[str, str]


def find(name: str, *, checkpoint: str | None = None, untrained: bool = False) -> Parent:
    """The parent of this name. Raises UsageError when that model cannot be trained."""
    card = finetuned.parent_card(name, models.card)
    root = root_of(name)
    if root == finetuned.SHOT:
        return Parent(name, card, None, {} if name == root else weights.identity(card))
    key = systems.of_model(root)
    if key is None:
        known = [finetuned.SHOT, *(s.model for s in systems.SYSTEMS.values() if _known(s.model))]
        raise UsageError(
            f"Model {name!r} cannot be fine-tuned: it has no network here that learns. "
            f"These can: {', '.join(known)}."
        )
    identity = {} if untrained else weights.identity(card, checkpoint)
    return Parent(name, card, systems.SYSTEMS[key], identity)


def root_of(name: str) -> str:
    """The model at the beginning: a fine-tuned one goes on being its own parent's kind."""
    found = finetuned.declaration(name)
    return name if found is None else found.parent


def network(
    parent: Parent, keys: Sequence[Key], *, checkpoint: str | None, untrained: bool, width: float
) -> nn.Module:
    """The network with its first weights, ready to be trained, on the processor.

    Raises WeightsError when its weights are not here; untrained: random ones, made by the seed.
    """
    import torch

    torch.manual_seed(0)
    if parent.system is None:
        return _shot_network(parent, keys, width)
    key = systems.of_model(parent.system.model)
    assert key is not None
    terms = parent.card.checkpoint
    if terms is not None:
        path = weights.checkpoint(parent.card, checkpoint, untrained)
        if path is not None:
            return _loaded(parent, path, key)
        if untrained or not terms.optional:
            return parent.system.make(width)
    made = parent.system.make(1.0)
    if untrained:
        return made
    path = next(iter(weights.require(parent.card).values()))
    if key.endswith("-cues"):
        _fill(made, path)
        return made
    return _loaded(parent, path, key)


def _loaded(parent: Parent, path: Any, key: str) -> nn.Module:
    from matte_nodes import checkpoints

    found, recognition = checkpoints.load(path)
    if recognition.model != key:
        raise WeightsError(
            f"{path} is a checkpoint of {recognition.model!r}, not {parent.card.name!r}."
        )
    return systems.weighted(found) if key == "adamatting" else found


def _shot_network(parent: Parent, keys: Sequence[Key], width: float) -> nn.Module:
    import torch

    from matte_nodes.models.networks.shot_matting import ShotMatting

    height, wide = keys[0].alpha.shape
    scale = min(1.0, 256 / max(height, wide))
    size = (max(8, round(height * scale)), max(8, round(wide * scale)))
    made = ShotMatting(len(keys), size, width)
    if parent.name != finetuned.SHOT:
        from matte_nodes.models.shot_network import read

        old = read(next(iter(weights.require(parent.card).values())))
        made = ShotMatting(len(keys), size, old.width)
        made.net.load_state_dict(old.net.state_dict())
    with torch.no_grad():
        plates = torch.stack([torch.from_numpy(k.plate).permute(2, 0, 1) for k in keys])
        made.remember(plates, torch.stack([torch.from_numpy(k.alpha)[None] for k in keys]))
    found: nn.Module = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found


def _fill(network: nn.Module, path: Any) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        network.load_state_dict(
            {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
        )
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{path} is not of this model: {error}") from error


def _known(name: str) -> bool:
    return name in models.names()
