# SPDX-License-Identifier: Apache-2.0
"""The same solver on whole images in torch: a GPU does all pixels faster than it picks some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from matte_nodes.errors import DeviceError
from matte_nodes.foreground.levels import Float, Mask
from matte_nodes.foreground.multilevel import (
    ALPHA_DOUBT,
    GRADIENT_WEIGHT,
    LEAST_TRUST,
    MOST_CHANGE,
    SMOOTHNESS,
    Limits,
    Stiffness,
    passes,
)


def _around(image: torch.Tensor) -> torch.Tensor:
    """Return (C, H, W) -> (4, C, H, W): what is left, right, above and below; borders repeat."""
    wide = F.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    return torch.stack(
        [wide[:, 1:-1, :-2], wide[:, 1:-1, 2:], wide[:, :-2, 1:-1], wide[:, 2:, 1:-1]]
    )


@dataclass(frozen=True)
class _Weights:
    """How a level's pixels hang together; parts: (2, 1, H, W), alpha and 1 - alpha."""

    near: torch.Tensor  # (4, 2, 1, H, W): the neighbours' weights, for F and for B
    total: torch.Tensor  # (H, W): s
    parts: torch.Tensor


def _weights(alpha: torch.Tensor) -> _Weights:
    """Return the weights of a level; alpha: (H, W)."""
    theirs = _around(alpha[None])[:, 0]
    weights = (theirs - alpha).abs() * float(GRADIENT_WEIGHT) + float(SMOOTHNESS)
    trust = torch.stack([theirs, 1 - theirs], 1) + float(LEAST_TRUST)
    trust = trust * weights[:, None]
    trust = trust / trust.sum(0)
    parts = torch.stack([alpha, 1 - alpha])[:, None]
    return _Weights(trust[:, :, None], weights.sum(0), parts)


def _gains(
    mean: torch.Tensor,
    behind: torch.Tensor | None,
    weights: _Weights,
    limits: Limits,
    stiffness: Stiffness,
) -> torch.Tensor:
    """Return (2, 1, H, W): what of the remaining difference goes into F and into B.

    mean: (2, 3, H, W).
    """
    colors = mean if behind is None else torch.stack([mean[0], mean[1] + behind])
    doubt = ((colors[0] - colors[1]) ** 2).sum(0) * float(ALPHA_DOUBT)
    light = (colors**2).sum(1) + 3 * float(limits.dark) ** 2
    stiff = torch.tensor([stiffness.foreground, stiffness.background], device=mean.device)
    parts = weights.parts[:, 0]
    into = parts / (weights.total * stiff.to(mean.dtype)[:, None, None] + doubt / light)
    return (into / (1 + (parts * into).sum(0)))[:, None]


def _moved(
    mean: torch.Tensor,
    image: torch.Tensor,
    gains: torch.Tensor,
    parts: torch.Tensor,
    below: torch.Tensor,
    dark: float,
) -> torch.Tensor:
    """Return (2, 3, H, W): the means after what the plate says of them, before the floor."""
    moves = (image - (mean * parts).sum(0)) * gains
    step, light = moves[0], mean[0] - below
    rise, loss = step.amax(0) / (light.amax(0) + dark), (step / light).amin(0)
    excess = torch.maximum(rise, -loss) * (1 / float(MOST_CHANGE))
    return mean + torch.stack([step / excess.clamp(min=1), moves[1]])


def solve_dense(
    plate: Float,
    alpha: Float,
    masks: list[Mask],
    first: Float,
    background: Float | None,
    limits: Limits,
    stiffness: Stiffness,
    device: str,
) -> Float:
    """Return (6, H, W) F and B; arguments as `_by_cells` of solve.py has them, first: (6, 1).

    Raises DeviceError where torch cannot use the device.
    """
    try:
        where = torch.device(device)
        pixels = torch.from_numpy(plate).to(where).permute(2, 0, 1)
    except (RuntimeError, AssertionError) as reason:
        raise DeviceError(
            f'The foreground cannot be solved on device "{device}": {reason}. '
            f'Ask for device "cpu", or see `matte doctor`.'
        ) from reason
    alphas = torch.from_numpy(alpha).to(where)
    behind = None
    if background is not None:
        behind = torch.from_numpy(background).to(where).permute(2, 0, 1)
        pixels = pixels - (1 - alphas) * behind
    lowest = torch.from_numpy(limits.floor).to(where).reshape(2, 3, 1, 1)
    below = torch.from_numpy(limits.below).to(where).reshape(3, 1, 1)
    state = torch.from_numpy(np.ascontiguousarray(first)).to(where).reshape(2, 3, 1, 1)
    for power in reversed(range(len(masks))):
        step = 1 << power
        image, a = pixels[:, ::step, ::step], alphas[::step, ::step]
        clean = None if behind is None else behind[:, ::step, ::step]
        height, width = a.shape
        if state.shape[-1] == 1 and power == len(masks) - 1:
            state = state.expand(2, 3, height, width)
        else:
            state = state.repeat_interleave(2, -1).repeat_interleave(2, -2)
            state = state[..., :height, :width]
        known = torch.stack([a >= 1, a <= 0])[:, None]
        unknown = torch.from_numpy(masks[power]).to(where).bool()
        state = torch.where(known & ~unknown, image[None], state)
        weights = _weights(a)
        rows = torch.arange(height, device=where)[:, None]
        black = ((rows + torch.arange(width, device=where)) & 1).bool()
        # The gains stay those of a cell's first visit, as in numpy.
        gains: dict[int, torch.Tensor] = {}
        for _ in range(passes(height, width, step)):
            for number, color in enumerate((unknown & ~black, unknown & black)):
                near = _around(state.reshape(6, height, width)).reshape(4, 2, 3, height, width)
                mean = (near * weights.near).sum(0)
                if number not in gains:
                    gains[number] = _gains(mean, clean, weights, limits, stiffness)
                moved = _moved(mean, image, gains[number], weights.parts, below, float(limits.dark))
                state = torch.where(color, torch.maximum(moved, lowest), state)
    return state.reshape(6, *alpha.shape).cpu().numpy()
