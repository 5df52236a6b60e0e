# SPDX-License-Identifier: Apache-2.0
"""solve_foreground: from plate and alpha to the straight foreground."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from matte_nodes.foreground.levels import Level, make_level, unknown_masks
from matte_nodes.foreground.multilevel import Stiffness, refine, start_state

Float = NDArray[np.float32]


def premultiply(foreground: Float, alpha: Float) -> Float:
    """Straight (H, W, 3) foreground times (H, W) alpha: (H, W, 3) premultiplied."""
    return np.asarray(foreground * alpha[..., None], np.float32)


def solve_foreground(
    plate: Float,
    alpha: Float,
    *,
    start: Float | None = None,
    background: Float | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> Float:
    """The straight foreground (H, W, 3) float32 of a plate in working space.

    plate: (H, W, 3) float32, scene-linear, unbounded, finite; values above 1 and below 0 are as
    good as any. alpha: (H, W) float32 in 0..1. start: a model's own foreground, same space.
    background: the clean plate, same space. device: cpu, cuda, cuda:N or mps. threads: 0 for
    all cores; the result does not depend on it.
    Exactly the plate, bit for bit, where alpha is 1; exactly 0 where alpha is 0.
    """
    plate = np.ascontiguousarray(plate, np.float32)
    alpha = np.ascontiguousarray(alpha, np.float32)
    masks = unknown_masks(alpha)
    out = np.where(alpha[..., None] >= 1, plate, np.float32(0))
    if not masks[0].any():
        return out
    finest = make_level(plate, alpha, masks[0], 1)
    floor = np.full((6, 1), min(0.0, float(finest.plate.min())), np.float32)
    count = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(count) if count > 1 else nullcontext() as pool:
        coarser: Level | None = None
        state = start_state(finest)
        for power in reversed(range(len(masks))):
            level = finest if power == 0 else make_level(plate, alpha, masks[power], 1 << power)
            if coarser is None:
                state = np.repeat(state, len(level.alpha), axis=1)
            else:
                parents = coarser.at(level.rows >> 1, level.columns >> 1)
                state = np.take(state, parents, axis=1)
            refine(level, state, floor=floor, stiffness=Stiffness(), pool=pool)
            coarser = level
    unknown = slice(0, finest.unknown)
    places = finest.rows[unknown] * finest.width + finest.columns[unknown]
    out.reshape(-1, 3)[places] = state[:3, unknown].T
    return out
