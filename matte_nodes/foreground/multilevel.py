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
- one visit changes F by at most half of its light. A longer step is made shorter as a whole, so
  that no channel ends at 0 and no hue is driven to its limit.
`bench/bench_foreground_robust.py` measures the last two.
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
PASSES_SMALL, PASSES, PASSES_FINEST = 4, 2, 3  # 10, 3, 3: 2 % less error; 4, 2, 2: 5 % more
ALPHA_DOUBT = np.float32(0.005)  # v: alpha wrong by 0.02, colours that vary by 0.3 of their light
MOST_CHANGE = np.float32(0.5)  # of F's light in one visit, down or up
WIDTH = 8  # of a row of the state: F, B and two that fill it up to what is copied at once
DARK = np.float32(0.01)  # of the mean light: below it colours are as uncertain as there
_FAINT = np.float32(0.1)  # of what is dark: the least light that F begins with
_LEAST_SHARE = 0.25  # of the plate's colour where alpha is highest: the least first F
_ENOUGH = 16384  # cells for the colours of the start: all of them cost 8 % of the solver's time
_PULL = 1e-4  # the share of the weighted means in the colours of the start
_BLOCK = 8192  # cells a thread works on at once: their planes stay in the cache


@dataclass(frozen=True)
class Stiffness:
    """How strongly F and B follow their neighbours, as factors of s (1 and 1 in the paper)."""

    foreground: float = 1.0
    background: float = 1.0


@dataclass(frozen=True)
class Limits:
    """Limits that keep F and B among the plate's colours. floor, below: in the plate's unit."""

    floor: Float  # (6, 1): no F and no B is darker
    below: Float  # (3, 1): a little darker, so that what is above it can be divided by
    dark: np.float32  # up to this light a colour is not told from black


@dataclass(frozen=True)
class _Block:
    """Cells that are visited at once; the first axis of (2, ...) is F, then B."""

    cells: slice
    neighbours: Index  # (4, n)
    weights: Float  # (4, 2, 1, n) of the neighbours, sum 1
    total: Float  # (n,): s
    parts: Float  # (2, 1, n): alpha and 1 - alpha
    gains: Float  # (2, 1, n): what of the remaining difference goes into each; see _set_gains
    plate: Float  # (3, n)
    behind: Float | None  # (3, n): the clean plate


def passes(height: int, width: int, step: int) -> int:
    """Return how many times a level is gone over; step: how many pixels wide a cell is."""
    if max(height, width) <= SMALL:
        return PASSES_SMALL
    return PASSES_FINEST if step == 1 else PASSES


def _block(level: Level, cells: slice) -> _Block:
    neighbours = level.neighbours(cells)
    parts = np.empty((2, 1, neighbours.shape[1]), np.float32)
    parts[0] = level.alpha[cells]
    np.subtract(1, parts[0], out=parts[1])
    weights = np.empty((4, *parts.shape), np.float32)
    foreground, background = weights[:, 0, 0], weights[:, 1, 0]
    level.alpha.take(neighbours, out=foreground, mode="clip")
    np.subtract(foreground, parts[0], out=background)
    np.abs(background, out=background)
    background *= GRADIENT_WEIGHT
    background += SMOOTHNESS
    total = background.sum(axis=0)
    foreground += LEAST_TRUST
    foreground *= background
    background *= 1 + 2 * LEAST_TRUST
    background -= foreground
    weights /= weights.sum(axis=0)
    return _Block(
        cells=cells,
        neighbours=neighbours,
        weights=weights,
        total=total,
        parts=parts,
        gains=np.empty_like(parts),
        plate=level.plate[:, cells],
        behind=None if level.behind is None else level.behind[:, cells],
    )


def _set_gains(block: _Block, mean: Float, room: Float, limits: Limits, stiff: Stiffness) -> None:
    """What goes into F and B, by how far apart their neighbours' means are; room: (2, 3, n).

    F = F' + a/sf t, B = B' + (1-a)/sb t, each with its own stiffness and its own doubt.
    """
    colors = mean
    if block.behind is not None:
        colors = mean.copy()
        colors[1] += block.behind
    apart = np.subtract(colors[0], colors[1], out=room[0])
    doubt = np.einsum("cn,cn->n", apart, apart)
    doubt *= ALPHA_DOUBT
    into = np.einsum("kcn,kcn->kn", colors, colors)
    into += 3 * limits.dark * limits.dark
    np.divide(doubt, into, out=into)
    into[0] += block.total * np.float32(stiff.foreground)
    into[1] += block.total * np.float32(stiff.background)
    np.divide(block.parts[:, 0], into, out=into)
    scale = np.einsum("kn,kn->n", block.parts[:, 0], into)
    scale += 1
    np.divide(into, scale, out=block.gains[:, 0])


def _mean(state: Float, block: _Block) -> tuple[Float, Float]:
    """Return (WIDTH, n) the weighted means of the neighbours' colours, and as much room to work in."""
    count = len(block.total)
    rows = np.empty((count, WIDTH), np.float32)
    mean, part = np.empty((WIDTH, count), np.float32), np.empty((WIDTH, count), np.float32)
    for side, into in enumerate((mean, part, part, part)):
        # Whole rows and then a transposition: half the time of taking plane by plane.
        state.take(block.neighbours[side], axis=0, out=rows, mode="clip")
        cv2.transpose(rows, into)
        colors = into[:6].reshape(2, 3, count)
        colors *= block.weights[side]
        if side:
            mean[:6] += part[:6]
    return mean, part


def _update(state: Float, limits: Limits, stiffness: Stiffness | None, block: _Block) -> None:
    """One visit of a block's cells; the first one has the stiffness, and finds the gains."""
    new, spare = _mean(state, block)
    mean, room = new[:6].reshape(2, 3, -1), spare[:6].reshape(2, 3, -1)
    if stiffness is not None:
        _set_gains(block, mean, room, limits, stiffness)
    np.multiply(mean, block.parts, out=room)
    left, moved = room[0], room[1]
    left += moved
    np.subtract(block.plate, left, out=left)
    np.multiply(left, block.gains[1], out=moved)
    mean[1] += moved
    left *= block.gains[0]
    # What the weakest channel would lose of its light, and the strongest gain: by the worse of
    # them, above what is allowed, the step of the whole colour is made shorter.
    np.subtract(mean[0], limits.below, out=moved)
    light = moved.max(axis=0)
    light += limits.dark
    excess = left.max(axis=0)
    excess /= light
    np.divide(left, moved, out=moved)
    np.maximum(excess, -moved.min(axis=0), out=excess)
    excess *= 1 / MOST_CHANGE
    np.maximum(excess, 1, out=excess)
    left /= excess
    mean[0] += left
    if block.behind is None:
        np.maximum(new[:6], limits.floor, out=new[:6])
    else:
        np.maximum(new[:3], limits.floor[:3], out=new[:3])
    cv2.transpose(new, state[block.cells])


def start_state(level: Level, limits: Limits) -> Float:
    """Return (1, WIDTH): the one F and the one B that explain the level best (least squares).

    Some cells out of all are enough for it. An F below the plate's least is brought to a share of the plate's
    colour where alpha is highest: where alpha is too low nearly everywhere, such an F explains the
    plate best.
    """
    some = slice(None, None, max(1, level.plate.shape[1] // _ENOUGH))
    alpha, plate = level.alpha[some].astype(np.float64), level.plate[:, some].astype(np.float64)
    parts = np.stack([alpha, 1 - alpha])
    normal, seen = parts @ parts.T, parts @ plate.T
    # Where one alpha is everywhere the two cannot be told apart: a little of the weighted means.
    weights = np.diag(normal)
    means = (parts**2 @ plate.T) / np.maximum(weights, 1e-6)[:, None]
    pull = np.diag(_PULL * weights + 1e-6)
    colors = np.linalg.solve(normal + pull, seen + pull @ means)
    state = np.zeros((1, WIDTH), np.float32)
    state[0, :6] = colors.reshape(6)
    if level.behind is not None:
        plate += parts[1] * level.behind[:, some]
    solid = alpha**8
    solid /= max(solid.sum(), 1e-6)
    # From black no colour would come back, and a wrong alpha must not ask for more than there is.
    least = limits.floor[:3, 0] + limits.dark * _FAINT
    # A colour below all of the plate says that alpha is too low; one that is black in the plate is black.
    wrong = state[0, :3] < limits.floor[:3, 0] - limits.dark * _FAINT
    least = np.where(wrong, np.maximum(least, _LEAST_SHARE * (plate @ solid)), least)
    highest = np.maximum(np.maximum(plate.max(axis=1), means[0]), least)
    np.clip(state[0, :3], least, highest, out=state[0, :3])
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
