# SPDX-License-Identifier: Apache-2.0
"""The same solver on whole images in torch: a GPU does all pixels faster than it picks some."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from matte_nodes.errors import DeviceError
from matte_nodes.foreground.levels import Float, Mask
from matte_nodes.foreground.multilevel import (
    GRADIENT_WEIGHT,
    LEAST_TRUST,
    PASSES,
    PASSES_SMALL,
    SMALL,
    SMOOTHNESS,
    Stiffness,
)


def _around(image: torch.Tensor) -> torch.Tensor:
    """(C, H, W) -> (4, C, H, W): what is left, right, above and below; borders repeat."""
    wide = F.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    return torch.stack(
        [wide[:, 1:-1, :-2], wide[:, 1:-1, 2:], wide[:, :-2, 1:-1], wide[:, 2:, 1:-1]]
    )


def _weights(
    alpha: torch.Tensor, stiffness: Stiffness
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Neighbours' weights (4, 2, 1, H, W) and gains (2, 1, H, W), F then B; alpha (H, W)."""
    theirs = _around(alpha[None])[:, 0]
    weights = (theirs - alpha).abs() * float(GRADIENT_WEIGHT) + float(SMOOTHNESS)
    total = weights.sum(0)
    trust = torch.stack([theirs, 1 - theirs], 1) + float(LEAST_TRUST)
    trust = trust * weights[:, None]
    trust = trust / trust.sum(0)
    parts = torch.stack([alpha, 1 - alpha])
    stiff = torch.tensor([stiffness.foreground, stiffness.background], device=alpha.device)
    into = parts / (total * stiff.to(alpha.dtype)[:, None, None])
    gains = into / (1 + (parts * into).sum(0))
    return trust[:, :, None], gains[:, None], parts[:, None]


def solve_dense(
    plate: Float,
    alpha: Float,
    masks: list[Mask],
    first: Float,
    background: Float | None,
    floor: Float,
    stiffness: Stiffness,
    device: str,
) -> Float:
    """(6, H, W) F and B; arguments as `_by_cells` of solve.py has them, first: (6, 1).

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
    if background is not None:
        behind = torch.from_numpy(background).to(where).permute(2, 0, 1)
        pixels = pixels - (1 - alphas) * behind
    lowest = torch.from_numpy(floor).to(where).reshape(2, 3, 1, 1)
    state = torch.from_numpy(np.ascontiguousarray(first)).to(where).reshape(2, 3, 1, 1)
    for power in reversed(range(len(masks))):
        step = 1 << power
        image, a = pixels[:, ::step, ::step], alphas[::step, ::step]
        height, width = a.shape
        if state.shape[-1] == 1 and power == len(masks) - 1:
            state = state.expand(2, 3, height, width)
        else:
            state = state.repeat_interleave(2, -1).repeat_interleave(2, -2)
            state = state[..., :height, :width]
        known = torch.stack([a >= 1, a <= 0])[:, None]
        unknown = torch.from_numpy(masks[power]).to(where).bool()
        state = torch.where(known & ~unknown, image[None], state)
        weights, gains, parts = _weights(a, stiffness)
        rows = torch.arange(height, device=where)[:, None]
        black = ((rows + torch.arange(width, device=where)) & 1).bool()
        for _ in range(PASSES_SMALL if max(height, width) <= SMALL else PASSES):
            for color in (unknown & ~black, unknown & black):
                near = _around(state.reshape(6, height, width)).reshape(4, 2, 3, height, width)
                mean = (near * weights).sum(0)
                left = image - (mean * parts).sum(0)
                state = torch.where(color, torch.maximum(mean + left * gains, lowest), state)
    return state.reshape(6, *alpha.shape).cpu().numpy()
