# SPDX-License-Identifier: Apache-2.0
"""Objectives of each network: the losses of a batch, and the score of a held-out set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matte_nodes.errors import UsageError
from matte_nodes.train import losses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.architecture import Answer, Batch
    from matte_nodes.train.systems import System


@dataclass(frozen=True)
class SystemObjective:
    """Weighted sum of the losses that a recipe names."""

    system: System
    weights: Mapping[str, float]

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named losses; "total" is their weighted sum."""
        answered = self.system.answer(network, batch)
        where = unknown(batch) if self.system.unknown else None
        found: dict[str, Tensor] = {}
        for name in self.weights:
            if name == "adaptation":
                found[name] = adaptation(network, answered, batch, where)
            else:
                found[name] = LOSSES[name](answered, batch, where)
        zero = answered.alpha.new_zeros(())
        found["total"] = sum((found[n] * w for n, w in self.weights.items()), zero)
        return found


def _alpha(loss: Callable[..., Tensor], part: str = "alpha") -> Callable[..., Tensor]:
    def of(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
        return loss(_part(answered, part), batch["alpha"], where)

    return of


def _composed(part: str) -> Callable[..., Tensor]:
    def of(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
        plate, front, back = (batch[name] for name in ("plate", "foreground", "background"))
        return losses.compositional(_part(answered, part), plate, front, back, where)

    return of


def _in_transition(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def of(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
        del where
        between = (transition(batch["alpha"]) == 1).to(batch["alpha"])
        return loss(_part(answered, "coarse"), batch["alpha"], between)

    return of


def _glance(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
    del where
    return losses.trimap_adaptation(_part(answered, "scores"), transition(batch["alpha"])[:, 0])


def _fidelity(part: str) -> Callable[..., Tensor]:
    def of(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
        del where
        return losses.fidelity(_part(answered, part), batch["alpha"])

    return of


def _foreground(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
    del where
    there = (batch["alpha"] > 0).to(batch["alpha"])
    return losses.alpha_l1(_part(answered, "foreground"), batch["foreground"], there)


def _recomposed(answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
    return losses.compositional(
        answered.alpha, batch["plate"], _part(answered, "foreground"), batch["background"], where
    )


def adaptation(network: nn.Module, answered: Answer, batch: Batch, where: Tensor | None) -> Tensor:
    """AdaMatting's whole objective: trimap adaptation and alpha, by weights that are learned."""
    true = batch["alpha"]
    classes = (true > 0).long() + (true == 1).long()
    adapted = losses.trimap_adaptation(_part(answered, "scores"), classes[:, 0])
    # The paper's alpha loss: where the trimap that is to be found is unknown, and was given so.
    soft = (classes == 1).to(true) * (1.0 if where is None else where)
    alpha = losses.alpha_l1(_part(answered, "coarse"), true, soft)
    logs: Tensor = network.log_sigmas  # type: ignore[assignment]
    return losses.task_weighted(adapted, alpha, logs)


def transition(alpha: Tensor, reach: int = 12) -> Tensor:
    """GFM's three classes of a true alpha, (N, 1, H, W) int64: 0 background, 1 transition, 2 inside.

    Soft pixels, and those within `reach` of an edge (its ellipse of 25 pixels), are transition.
    """
    some = losses.largest_within((alpha > 0).to(alpha), reach)
    whole = 1 - losses.largest_within((alpha < 1).to(alpha), reach)
    return some.long() + whole.long()


ALPHA_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "alpha": losses.alpha_prediction,
    "l1": losses.alpha_l1,
    "l2": losses.alpha_l2,
    "laplacian": losses.laplacian_pyramid,
    "gradient": losses.gradient,
}

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    **{name: _alpha(loss) for name, loss in ALPHA_LOSSES.items()},
    "compositional": _composed("alpha"),
    "coarse_alpha": _alpha(losses.alpha_prediction, "coarse"),
    "coarse_compositional": _composed("coarse"),
    "fidelity": _fidelity("scores"),
    "auxiliary": _fidelity("auxiliary"),
    "glance": _glance,
    "focus": _in_transition(losses.alpha_prediction),
    "focus_laplacian": _in_transition(losses.laplacian_pyramid),
    "foreground": _foreground,
    "recomposed": _recomposed,
}
"""Losses of an answer, by the names that recipes use; `adaptation` is the one more there is."""


def loss_names(system: System) -> tuple[str, ...]:
    """Return the losses that a recipe for this network may name."""
    if system.task != "layers":
        return tuple(ALPHA_LOSSES)
    return (*LOSSES, *(("adaptation",) if system.training.learned_weights else ()))


def unknown(batch: Batch) -> Tensor:
    """Return where the trimap of a batch is unknown, (N, 1, H, W) 0 or 1."""
    if "planes" in batch:
        return (batch["planes"][:, 15:16] == 0.5).float()
    return (batch["trimap"] == 0.5).to(batch["alpha"])


def mean_error(network: nn.Module, batches: list[Batch], system: System) -> float:
    """Mean absolute error where it counts, over held-out batches."""
    import torch

    total, count = 0.0, 0.0
    with torch.inference_mode():
        for batch in batches:
            pred = system.answer(network, batch).alpha
            where = unknown(batch) if system.unknown else None
            error = (pred - batch["alpha"]).abs()
            weight = torch.ones_like(error) if where is None else where
            total += float((error * weight).sum())
            count += float(weight.sum())
    return total / max(count, 1.0)


def _part(answered: Answer, name: str) -> Tensor:
    found: Tensor | None = getattr(answered, name)
    if found is None:
        raise UsageError(f"This network has no {name} to train: take that loss out of the recipe.")
    return found
