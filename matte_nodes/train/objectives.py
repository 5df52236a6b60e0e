# SPDX-License-Identifier: Apache-2.0
"""What each network is trained for: losses of a batch, and the score of a held-out set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import losses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .trainer import Batch


@dataclass(frozen=True)
class AlphaObjective:
    """Weighted sum of alpha losses over the unknown pixels (trimap) or the whole picture."""

    weights: Mapping[str, float]

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named losses; "total" is their weighted sum."""
        pred, where = answer(network, batch)
        true = batch["alpha"]
        found = {name: ALPHA_LOSSES[name](pred, true, where) for name in self.weights}
        found["total"] = sum((found[n] * w for n, w in self.weights.items()), pred.new_zeros(()))
        return found


ALPHA_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "alpha": losses.alpha_prediction,
    "l1": losses.alpha_l1,
    "laplacian": losses.laplacian_pyramid,
    "gradient": losses.gradient,
}


def answer(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """A cue network's alpha of a batch, and where it counts."""
    planes = batch["planes"]
    if planes.shape[1] == 7:
        return network(planes).float(), None
    where = (planes[:, 15:16] == 0.5).float()
    return network(planes[:, :19], planes[:, 19:20]).float(), where


def mean_error(network: nn.Module, batches: list[Batch]) -> float:
    """Mean absolute error where it counts, over held-out batches."""
    import torch

    total, count = 0.0, 0.0
    with torch.inference_mode():
        for batch in batches:
            pred, where = answer(network, batch)
            error = (pred - batch["alpha"]).abs()
            weight = torch.ones_like(error) if where is None else where
            total += float((error * weight).sum())
            count += float(weight.sum())
    return total / max(count, 1.0)
