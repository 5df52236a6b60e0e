# SPDX-License-Identifier: Apache-2.0
"""solve_foreground: from plate and alpha to the straight foreground."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_nodes.foreground import evidence
from matte_nodes.foreground.levels import Level, Mask, make_level, unknown_masks
from matte_nodes.foreground.multilevel import DARK, Limits, Stiffness, refine, start_state

Float = NDArray[np.float32]

_MOST_THREADS = 8  # a 4K band is about 25 blocks of work a colour
_DIVISIBLE = np.float32(1e-6)  # of the mean light: what may be divided by
_LEAST_LIGHT = np.float32(1e-15)  # in place of the mean light where all is black
_WORTH_THREADS = 40_000  # unknown pixels; below it, handing work over costs what it saves


def premultiply(foreground: Float, alpha: Float) -> Float:
    """Straight (H, W, 3) foreground times (H, W) alpha: (H, W, 3) premultiplied."""
    return np.asarray(foreground * alpha[..., None], np.float32)


def solve_foreground(
    plate: Float,
    alpha: Float,
    *,
    start: Float | Callable[[NDArray[np.intp]], Float] | None = None,
    background: Float | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> Float:
    """Return the straight foreground (H, W, 3) float32 of a plate in working space.

    plate: (H, W, 3) float32, scene-linear, unbounded, finite; values above 1 and below 0 are as
    good as any. alpha: (H, W) float32 in 0..1. start: a model's own foreground, same space, or
    a function that returns it (N, 3) at the pixels (N,), counted row by row; it is
    believed where it explains the plate. background: the clean plate, same space; the plainer it
    agrees with the plate where alpha is 0, the more the answer follows from it pixel by pixel.
    device: cpu, cuda, cuda:N or mps. threads: 0 for all cores; the result does not depend on it.

    Exactly the plate, bit for bit, where alpha is 1; exactly 0 where alpha is 0.
    Raises DeviceError where torch cannot use the device. The method and its measures are in
    `matte_nodes.foreground.multilevel` (Germer et al. 2020).
    """
    plate = np.ascontiguousarray(plate, np.float32)
    alpha = np.ascontiguousarray(alpha, np.float32)
    masks = unknown_masks(alpha)
    # Copying under a mask takes 2 ms at 1080p, numpy's where 20.
    out = np.asarray(cv2.copyTo(plate, (alpha >= 1).view(np.uint8)), np.float32)
    if not masks[0].any():
        return out
    stiffness = Stiffness()
    if background is not None:
        background = np.ascontiguousarray(background, np.float32)
        stiffness = evidence.stiffness(plate, alpha, background)
    finest = make_level(plate, alpha, masks[0], 1, background)
    unknown = slice(0, finest.unknown)
    places = finest.rows[unknown] * finest.width + finest.columns[unknown]
    # No light is darker than the plate's darkest, or black. What a clean plate does not explain
    # may have any sign.
    floor = np.full((6, 1), min(0.0, float(plate.min())), np.float32)
    if background is not None:
        floor[3:] = -np.inf
    light = np.maximum(np.abs(finest.plate).mean(), _LEAST_LIGHT)
    limits = Limits(floor, floor[:3] - light * _DIVISIBLE, DARK * light)
    if device == "cpu":
        state = _by_cells(plate, alpha, masks, finest, background, limits, stiffness, threads)
    else:
        from matte_nodes.foreground.dense import solve_dense

        first = start_state(finest, limits)[0, :6]
        state = solve_dense(plate, alpha, masks, first, background, limits, stiffness, device)
        state = state.reshape(6, -1)[:, places].T
    solved = state[unknown, :3]
    if start is not None:
        behind = np.ascontiguousarray(state[unknown, 3:6].T)
        if background is not None:
            behind = behind + np.take(background.reshape(-1, 3), places, axis=0).T
        guess = _at(start, places)
        seen = np.take(plate.reshape(-1, 3), places, axis=0).T
        weighed = evidence.weigh(
            guess, np.ascontiguousarray(solved.T), behind, seen, finest.alpha[unknown]
        )
        solved = np.maximum(weighed, floor[:3]).T
    out.reshape(-1, 3)[places] = solved
    return out


def _at(start: Float | Callable[[NDArray[np.intp]], Float], places: NDArray[np.intp]) -> Float:
    """Return (3, N): a model's own foreground at these pixels."""
    if callable(start):
        return np.asarray(start(places), np.float32).T
    return np.take(np.ascontiguousarray(start, np.float32).reshape(-1, 3), places, axis=0).T


def _by_cells(
    plate: Float,
    alpha: Float,
    masks: list[Mask],
    finest: Level,
    background: Float | None,
    limits: Limits,
    stiffness: Stiffness,
    threads: int,
) -> Float:
    """Return (N, WIDTH) F and B of the finest level's cells, coarse to fine on the unknown cells
    only.
    """
    count = threads or min(_MOST_THREADS, os.cpu_count() or 1)
    if finest.unknown < _WORTH_THREADS:
        count = 1
    state = start_state(finest, limits)
    coarser: Level | None = None
    with ThreadPoolExecutor(count) if count > 1 else nullcontext() as pool:
        # Levels are made beside each other, the larger ones first as they take longest.
        powers = range(1, len(masks))
        made = (map if pool is None else pool.map)(
            lambda power: make_level(plate, alpha, masks[power], 1 << power, background), powers
        )
        for level in (*reversed(list(made)), finest):
            if coarser is None:
                state = np.repeat(state, len(level.alpha), axis=0)
            else:
                parents = coarser.at(level.rows >> 1, level.columns >> 1)
                state = np.take(state, parents, axis=0, mode="clip")
            refine(level, state, limits=limits, stiffness=stiffness, pool=pool)
            coarser = level
    return state
