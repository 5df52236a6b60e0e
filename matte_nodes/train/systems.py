# SPDX-License-Identifier: Apache-2.0
"""The networks that can be trained: what their architectures declare, as training uses it.

A batch is a mapping of (N, C, H, W) tensors, 0..1: `plate`, `alpha`, and, for a system's `hints`,
`trimap` (0, 0.5, 1), `clean` (the clean plate), `segmentation`, `motion`. The losses may need
`foreground` and `background`. A network of another task than "layers" takes `planes` instead (see
`samples`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matte_nodes import models
from matte_nodes.architecture import Answer, Architecture, Batch, Role, Task, Training
from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from matte_nodes.card import ModelCard

LAYER_OF: Mapping[Role, str] = {"background": "clean"}
"""The name in a batch of a picture that the network takes, where it differs: a batch's
"background" is what the foreground was put over."""


@dataclass(frozen=True)
class System:
    """A network as training sees it."""

    architecture: Architecture
    training: Training

    @property
    def name(self) -> str:
        """The name that recipes use."""
        return self.architecture.id

    @property
    def task(self) -> Task:
        """The kind of samples."""
        return self.training.task

    @property
    def losses(self) -> Mapping[str, float]:
        """The losses of a fine-tuning."""
        return self.training.losses

    @property
    def hints(self) -> frozenset[Role]:
        """The pictures that it takes besides the plate."""
        return frozenset(self.architecture.inputs) - {"plate"}

    @property
    def unknown(self) -> bool:
        """Whether its losses count only where the trimap is unknown."""
        return "trimap" in self.hints

    @property
    def side(self) -> int:
        """The side of the square that it is trained on; 0: any crop."""
        return self.training.side or self.architecture.size.square

    @property
    def shorter(self) -> int:
        """The length of the plate's shorter side, as the network sees it; 0: the plate's own."""
        return self.architecture.size.shorter

    @property
    def share(self) -> float:
        """The factor on the plate's sides."""
        return self.architecture.size.share

    @property
    def multiple(self) -> int:
        """The sides of a batch are multiples of this."""
        return self.architecture.multiple

    def make(self, width: float, options: Mapping[str, Any] | None = None) -> nn.Module:
        """Build a new network of this width, with the first weights that training starts from.

        options: further arguments of the architecture's `build`, as a recipe names them.
        """
        network = self.architecture.of_width(width, **{**self.training.options, **(options or {})})
        if self.training.first_weights is not None:
            self.training.first_weights(network)
        return self.prepared(network)

    def prepared(self, network: nn.Module) -> nn.Module:
        """The network as it is trained: beside the weights of its losses, if those are learned."""
        if self.training.channels_last:
            import torch

            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.training.learned_weights:
            return weighted(network, self.training.learned_weights)
        return network

    @property
    def from_keys(self) -> bool:
        """Whether it can be fine-tuned from single frames: a network with a memory needs clips."""
        return self.task != "clips"

    def answer(self, network: nn.Module, batch: Batch) -> Answer:
        """Return the network's answer to a batch.

        For a task of clips the plate is (T, N, 3, H, W), and the answer (T * N, C, H, W).
        """
        network = inner(network)
        if self.training.clip is not None:
            return self.training.clip(network, batch["plate"])
        if self.training.planes is not None:
            found = self.training.planes(network, batch["planes"])
        else:
            names = (LAYER_OF.get(role, role) for role in self.architecture.inputs)
            found = network(*self.architecture.encoded(*(batch[name] for name in names)))
        return self.training.answer(found, self.architecture.decode(found))


def of_architecture(architecture: Architecture | None) -> System | None:
    """Return the system of an architecture, or None when it cannot be trained."""
    if architecture is None or architecture.training is None:
        return None
    return System(architecture, architecture.training)


def of_shots() -> System:
    """Return the system of the network that begins as nothing."""
    from matte_nodes.models.networks.shot_matting import ARCHITECTURE

    found = of_architecture(ARCHITECTURE)
    assert found is not None
    return found


def of_card(card: ModelCard) -> System | None:
    """Return the system that trains a model's network, or None when it cannot be trained."""
    return of_architecture(models.architecture(card))


def all_systems() -> list[System]:
    """Return every network that can be trained."""
    found = (of_architecture(architecture) for architecture in models.architectures())
    return [system for system in found if system is not None]


def find(name: str) -> System:
    """Return the system of this name (the id of its architecture).

    Raises UsageError with the names that there are.
    """
    known = all_systems()
    for system in known:
        if name == system.name or name in system.architecture.old_ids:
            return system
    names = ", ".join(system.name for system in known)
    raise UsageError(f"There is no network {name!r} to train; there are: {names}.")


def inner(network: nn.Module) -> nn.Module:
    """Return the network without the wrapper that only training needs."""
    found: nn.Module = getattr(network, "network", network)
    return found


def marks(network: nn.Module, architecture: Architecture) -> dict[str, str]:
    """Metadata that lets `matte models import` load a trained network without a question."""
    from matte_nodes.checkpoints import recognise

    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    _, found = recognise(shapes, [architecture])
    options = {option: getattr(network, option) for option in found.open}
    return {"matte_nodes.model": found.model, "matte_nodes.options": json.dumps(options)}


def weighted(network: nn.Module, tasks: int = 2) -> nn.Module:
    """Return a network beside the logarithms of its tasks' learned weights, 0 at first."""
    import torch
    from torch import nn

    both = nn.Module()
    both.network = network
    both.log_sigmas = nn.Parameter(torch.zeros(tasks))
    return both
