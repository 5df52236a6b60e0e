# SPDX-License-Identifier: Apache-2.0
"""The multi-level solver on the unknown pixels, in numpy.

After Germer, Uelwer, Conrad, Harmeling, "Fast Multi-Level Foreground Estimation" (ICPR 2020).
The cost of foreground F and background B at a pixel with neighbours j is

    (a F + (1 - a) B - I)^2 + sum_j (e + w |a - a_j|) ((F - F_j)^2 + (B - B_j)^2)

With the neighbours held still and F', B' their weighted means, s the sum of the weights, its
minimum is F = F' + a t, B = B' + (1 - a) t with t = (I - a F' - (1 - a) B') / (s + a^2 + (1-a)^2).

Ours differs from the paper in what was measured to matter (mean error in the band, on the made
scene of bench/scene.py; on real hair over photographs; on photographs behind real mattes):
- a neighbour counts for F as much as it is foreground (its alpha), for B as much as it is
  background: after as many passes 36 % less error on the made scene, 10 to 15 % on the real ones;
- w = 0.1 where the paper has 1: another 47 %, 15 % and 18 % less;
- what is known is not solved: F = I where a = 1, B = I where a = 0;
- no clamp to 0..1. F and B are only kept above the darkest value of the plate (or 0), because
  there is no light below it; that is 5 % less error, and no limit for highlights;
- alpha is not believed to the last digit. A wrong alpha leaves a difference that is as large as
  the contrast |F - B|, so s grows by v |F - B|^2 / |F|^2 for F, and by v |F - B|^2 / |B|^2 for B:
  dark hair before a bright wall takes its colour from the hair beside it, where light mixes with
  light of the same strength little changes;
- one visit takes at most half of the light of F away, in its weakest channel, and the other
  channels then lose the same share: no channel ends at 0, no hue is driven to its limit.
The last two: `bench/bench_foreground_robust.py`.
Red cells are updated from black ones and then black from red, so the order of work within a
colour changes nothing and any number of threads gives the same bits.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from matte_nodes.foreground.levels import Float, Index, Level

SMOOTHNESS = np.float32(1e-3)  # e
GRADIENT_WEIGHT = np.float32(0.1)  # w
LEAST_TRUST = np.float32(1e-3)  # of a neighbour that is no foreground (or no background) at all
SMALL = 32  # up to this size a level is cheap, and gets the passes that colours need to travel
PASSES_SMALL, PASSES, PASSES_FINEST = 6, 2, 3  # 10, 3, 3: 2 % less error
ALPHA_DOUBT = np.float32(0.005)  # v: alpha wrong by 0.02, colours that vary by 0.3 of their light
MOST_LOSS = np.float32(0.5)  # of F's light in one visit
WIDTH = 8  # of a row of the state: F, B and two that fill it up to what is copied at once
DARK = np.float32(0.01)  # of the mean light: below it colours are as uncertain as there
_BLOCK = 16384  # cells a thread works on at once: their planes stay in the cache


@dataclass(frozen=True)
class Stiffness:
    """How strongly F and B hold to their neighbours, as factors of s: 1 and 1 in the paper."""

    foreground: float = 1.0
    background: float = 1.0


@dataclass(frozen=True)
class Limits:
    """What keeps F and B among the plate's colours; floor, below: in the plate's unit."""

    floor: Float  # (6, 1): no F and no B is darker
    below: Float  # (3, 1): a little darker, so that what is above it can be divided by
    dark: np.float32  # up to this light a colour is not told from black


@dataclass(frozen=True)
class _Block:
    cells: slice
    neighbours: Index
    foreground_weights: Float  # (4, n), sum 1
    background_weights: Float
    total: Float  # (n,): s
    foreground_gain: Float  # (n,): what of the remaining difference goes into F; see _set_gains
    background_gain: Float
    alpha: Float
    rest: Float  # 1 - alpha
    plate: Float
    behind: Float | None


def passes(height: int, width: int, step: int) -> int:
    """How many times a level is gone over; step: how many pixels wide a cell is."""
    if max(height, width) <= SMALL:
        return PASSES_SMALL
    return PASSES_FINEST if step == 1 else PASSES


def _block(level: Level, cells: slice) -> _Block:
    neighbours = level.neighbours(cells)
    alpha = level.alpha[cells]
    rest = 1 - alpha
    theirs = np.take(level.alpha, neighbours)
    weights = theirs - alpha
    np.abs(weights, out=weights)
    weights *= GRADIENT_WEIGHT
    weights += SMOOTHNESS
    total = weights.sum(axis=0)
    foreground = theirs
    foreground += LEAST_TRUST
    foreground *= weights
    background = weights
    background *= 1 + 2 * LEAST_TRUST
    background -= foreground
    foreground /= foreground.sum(axis=0)
    background /= background.sum(axis=0)
    return _Block(
        cells=cells,
        neighbours=neighbours,
        foreground_weights=foreground,
        background_weights=background,
        total=total,
        foreground_gain=np.empty_like(alpha),
        background_gain=np.empty_like(alpha),
        alpha=alpha,
        rest=rest,
        plate=level.plate[:, cells],
        behind=None if level.behind is None else level.behind[:, cells],
    )


def _set_gains(block: _Block, mean: Float, room: Float, limits: Limits, stiff: Stiffness) -> None:
    """What goes into F and B, by how far apart their neighbours' means are; room: (6, n).

    F = F' + a/sf t, B = B' + (1-a)/sb t, each with its own stiffness and its own doubt.
    """
    foreground, background, apart = mean[:3], mean[3:], room[:3]
    if block.behind is not None:
        background = np.add(background, block.behind, out=room[3:])
    np.subtract(foreground, background, out=apart)
    doubt = np.einsum("cn,cn->n", apart, apart)
    doubt *= ALPHA_DOUBT
    for light, factor, share, gain in (
        (foreground, stiff.foreground, block.alpha, block.foreground_gain),
        (background, stiff.background, block.rest, block.background_gain),
    ):
        level = np.einsum("cn,cn->n", light, light)
        level += 3 * limits.dark * limits.dark
        np.divide(doubt, level, out=level)
        np.multiply(block.total, np.float32(factor), out=gain)
        gain += level
        np.divide(share, gain, out=gain)
    scale = block.alpha * block.foreground_gain
    scale += block.rest * block.background_gain
    scale += 1
    np.divide(block.foreground_gain, scale, out=block.foreground_gain)
    np.divide(block.background_gain, scale, out=block.background_gain)


def _mean(state: Float, block: _Block) -> tuple[Float, Float]:
    """(6, n) the weighted means of the neighbours' colours, and as much room to work in."""
    rows = np.empty((len(block.alpha), WIDTH), np.float32)
    mean, part = np.empty_like(rows.T, order="C"), np.empty_like(rows.T, order="C")
    for side, into in enumerate((mean, part, part, part)):
        # Whole rows and then a transposition: half the time of taking plane by plane.
        np.take(state, block.neighbours[side], axis=0, mode="clip", out=rows)
        cv2.transpose(rows, into)
        into[:3] *= block.foreground_weights[side]
        into[3:6] *= block.background_weights[side]
        if side:
            mean += part
    return mean, part


def _update(state: Float, limits: Limits, stiffness: Stiffness | None, block: _Block) -> None:
    """One visit of a block's cells; the first one has the stiffness, and finds the gains."""
    new, room = _mean(state, block)
    mean, part = new[:6], room[:6]
    if stiffness is not None:
        _set_gains(block, mean, part, limits, stiffness)
    foreground, background = mean[:3], mean[3:]
    left, moved = part[:3], part[3:]
    np.multiply(foreground, block.alpha, out=left)
    np.subtract(block.plate, left, out=left)
    np.multiply(background, block.rest, out=moved)
    left -= moved
    np.multiply(left, block.background_gain, out=moved)
    background += moved
    left *= block.foreground_gain
    # The share of its light that each channel would lose; the whole colour moves by the worst.
    np.subtract(foreground, limits.below, out=moved)
    np.divide(left, moved, out=moved)
    loss = moved.min(axis=0)
    loss *= -1 / MOST_LOSS
    np.maximum(loss, 1, out=loss)
    left /= loss
    foreground += left
    np.maximum(mean, limits.floor, out=mean)
    state[block.cells] = cv2.transpose(new)


def start_state(level: Level) -> Float:
    """(1, WIDTH): the mean colours of the level by how much foreground and background they are."""
    weights = np.stack([level.alpha**2, (1 - level.alpha) ** 2])
    sums = weights @ level.plate.T
    means = sums / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-6))
    state = np.zeros((1, WIDTH), np.float32)
    state[0, :6] = means.reshape(6)
    return state


def refine(
    level: Level,
    state: Float,
    *,
    limits: Limits,
    stiffness: Stiffness,
    pool: Executor | None,
) -> None:
    """Go over a level's unknown cells, in place; state: (N, WIDTH) a first guess for all cells.

    Known cells of the ring are set to what is known of them first.
    """
    ring = slice(level.unknown, None)
    solid = np.flatnonzero(level.alpha[ring] >= 1) + level.unknown
    empty = np.flatnonzero(level.alpha[ring] <= 0) + level.unknown
    state[solid, :3] = level.plate[:, solid].T
    state[empty, 3:6] = level.plate[:, empty].T
    colors = [(0, level.red), (level.red, level.unknown)]
    cuts = [
        [slice(a, min(a + _BLOCK, end)) for a in range(begin, end, _BLOCK)] for begin, end in colors
    ]
    spread = map if pool is None or len(cuts[0]) < 2 else pool.map
    blocks = [list(spread(lambda cells: _block(level, cells), part)) for part in cuts]
    for visit in range(passes(level.height, level.width, level.step)):
        visited = partial(_update, state, limits, stiffness if visit == 0 else None)
        for part in blocks:
            for _ in spread(visited, part):
                pass
