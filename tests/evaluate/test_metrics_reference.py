# SPDX-License-Identifier: Apache-2.0
"""Grad and Conn against slow, literal implementations of the paper's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matte_nodes.evaluate import conn, grad


def literal_gradient_error(pred: np.ndarray, true: np.ndarray, region: np.ndarray) -> float:
    """Whole two-dimensional kernels, pixel by pixel, with clamped coordinates."""
    sigma, reach = 1.4, 4
    size = range(-reach, reach + 1)

    def bell(x: float) -> float:
        return math.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    def slope(x: float) -> float:
        return -x * bell(x) / sigma**2

    across = {(dy, dx): bell(dy) * slope(dx) for dy in size for dx in size}
    length = math.sqrt(sum(value**2 for value in across.values()))
    across = {place: value / length for place, value in across.items()}

    def magnitude(alpha: np.ndarray, y: int, x: int) -> float:
        height, width = alpha.shape
        gx = gy = 0.0
        for (dy, dx), weight in across.items():
            row, column = min(max(y - dy, 0), height - 1), min(max(x - dx, 0), width - 1)
            gx += weight * float(alpha[row, column])
            row, column = min(max(y - dx, 0), height - 1), min(max(x - dy, 0), width - 1)
            gy += weight * float(alpha[row, column])
        return math.sqrt(gx * gx + gy * gy)

    error = 0.0
    for y, x in zip(*region.nonzero(), strict=True):
        error += (magnitude(pred, y, x) - magnitude(true, y, x)) ** 2
    return error / 1000


def largest_piece(mask: np.ndarray) -> set[tuple[int, int]]:
    left = {(int(y), int(x)) for y, x in zip(*mask.nonzero(), strict=True)}
    best: set[tuple[int, int]] = set()
    for start in sorted(left):
        if start not in left:
            continue
        piece, edge = {start}, [start]
        left.discard(start)
        while edge:
            y, x = edge.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.discard(near)
                    piece.add(near)
                    edge.append(near)
        if len(piece) > len(best):
            best = piece
    return best


def literal_connectivity_error(pred: np.ndarray, true: np.ndarray, region: np.ndarray) -> float:
    """Pixel by pixel: the level at which it first leaves the source, then phi of both."""
    levels = [np.float32(step / 10) for step in range(11)]
    sources = [largest_piece((pred >= level) & (true >= level)) for level in levels[1:]]
    error = 0.0
    for y, x in zip(*region.nonzero(), strict=True):
        reached = 1.0
        for step, source in enumerate(sources):
            if (int(y), int(x)) not in source:
                reached = step / 10
                break

        def phi(alpha: float, reached: float = reached) -> float:
            distance = alpha - reached
            return 1.0 - distance if distance >= 0.15 else 1.0

        error += abs(phi(float(pred[y, x])) - phi(float(true[y, x])))
    return error / 1000


def scene(seed: int, height: int = 24, width: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """A soft ellipse with strands and specks, and a poor guess of it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((y - height / 2) / (height / 3), (x - width / 2) / (width / 3))
    true = np.clip((1.2 - radius) * 2.5, 0, 1)
    for _ in range(4):
        column = random.integers(width)
        true[: height // 2, column] = np.maximum(true[: height // 2, column], random.random())
    pred = np.clip(
        true + random.normal(0, 0.2, true.shape) * (random.random(true.shape) < 0.6), 0, 1
    )
    return pred.astype(np.float32), true.astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_grad_equals_the_literal_one(seed):
    pred, true = scene(seed)
    everywhere = np.ones(true.shape, np.bool_)
    soft = (true > 0) & (true < 1)
    expected = literal_gradient_error(pred, true, everywhere)
    assert expected > 1e-4
    assert grad(pred, true) == pytest.approx(expected, rel=1e-9)
    assert grad(pred, true, soft) == pytest.approx(
        literal_gradient_error(pred, true, soft), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(12))
def test_conn_equals_the_literal_one(seed):
    pred, true = scene(seed)
    everywhere = np.ones(true.shape, np.bool_)
    soft = (true > 0) & (true < 1)
    expected = literal_connectivity_error(pred, true, everywhere)
    assert expected > 1e-4
    assert conn(pred, true) == pytest.approx(expected, rel=1e-9)
    assert conn(pred, true, soft) == pytest.approx(
        literal_connectivity_error(pred, true, soft), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(20))
def test_conn_equals_the_literal_one_in_8_bit_noise_full_of_ties(seed):
    random = np.random.default_rng(seed)
    pred = random.choice([0, 51, 102, 153, 204, 255], (9, 11)).astype(np.float32) / 255
    true = random.choice([0, 51, 102, 153, 204, 255], (9, 11)).astype(np.float32) / 255
    everywhere = np.ones(true.shape, np.bool_)
    expected = literal_connectivity_error(pred, true, everywhere)
    assert conn(pred, true) == pytest.approx(expected, rel=1e-9)
