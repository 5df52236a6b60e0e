# SPDX-License-Identifier: Apache-2.0
"""Rest, drift and residuals by numbers."""

from __future__ import annotations

import numpy as np

from matte_nodes.color.network import srgb_encoded
from matte_nodes.hosts.obs.residual import packed
from matte_nodes.hosts.obs.stillness import Drift, Stillness


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_noise_is_still_a_small_hand_is_not() -> None:
    clock, chance = Clock(), np.random.default_rng(1)
    look = Stillness(clock)
    base = np.full((90, 160, 3), 120, np.uint8)
    assert not look.still(base)
    noisy = np.clip(base + chance.normal(0, 3, base.shape), 0, 255).astype(np.uint8)
    assert look.still(noisy)
    hand = base.copy()
    hand[40:48, 80:88] += 6
    assert not look.still(hand)


def test_slow_movement_adds_up_and_no_rest_is_long() -> None:
    clock = Clock()
    look = Stillness(clock)
    assert not look.still(np.full((32, 32, 3), 100, np.uint8))
    assert look.still(np.full((32, 32, 3), 101, np.uint8))
    assert not look.still(np.full((32, 32, 3), 102, np.uint8))
    assert look.still(np.full((32, 32, 3), 102, np.uint8))
    clock.now += 0.6
    assert not look.still(np.full((32, 32, 3), 102, np.uint8))


def test_drift_is_a_moved_camera_not_a_dimmer_lamp() -> None:
    clock, chance = Clock(), np.random.default_rng(2)
    clean = chance.integers(30, 200, (64, 64, 3), dtype=np.uint8)
    alpha = np.zeros((64, 64), np.float32)
    look = Drift(clock)
    for _ in range(4):
        assert not look.drifted((clean * 0.9).astype(np.uint8), clean, alpha)
        clock.now += 1
    moved = np.roll(clean, 5, axis=1)
    assert not look.drifted(moved, clean, alpha)  # not at once: someone may have walked by
    clock.now += 2.5
    assert look.drifted(moved, clean, alpha)
    assert not look.drifted(clean, clean, alpha)


def test_residual_and_plate_are_the_foreground() -> None:
    chance = np.random.default_rng(3)
    plate = chance.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    foreground = chance.random((20, 30, 3)).astype(np.float32)
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:15, 5:15] = 1
    alpha[5:15, 15:18] = 0.5
    out = packed(plate, alpha, foreground)
    soft = alpha == 0.5
    back = plate[soft] / 255 + (out[soft][:, :3].astype(float) - 128) / 127
    np.testing.assert_allclose(back, srgb_encoded(foreground[soft]), atol=0.6 / 127)
    assert (out[alpha == 1][:, :3] == 128).all()
    assert (out[10, 19:, :3] == 128).all()
    # The ring outside is the mean of its soft neighbours.
    expected = out[9:12, 17, :3].astype(float).mean(axis=0)
    np.testing.assert_allclose(out[10, 18, :3], expected, atol=1)
    np.testing.assert_array_equal(out[..., 3], np.round(alpha * 255))
