# SPDX-License-Identifier: Apache-2.0
"""Strands: hair, fur, grass, feathers as drawn curves with their coverage and their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.train.textures import Rng

if TYPE_CHECKING:
    from matte_nodes.card import Float

SUPERSAMPLE = 2
SHIFT = 4


@dataclass(frozen=True)
class Layer:
    """A foreground: (H, W, 3) straight colour, defined everywhere, and its exact (H, W) alpha.

    Both float32, 0..1, display-encoded.
    """

    colour: Float
    alpha: Float

    def over(self, below: Layer) -> Layer:
        """This layer before another one: Porter and Duff's over, straight colours again."""
        alpha = self.alpha + below.alpha * (1 - self.alpha)
        own = self.alpha[..., None] * self.colour
        behind = (below.alpha * (1 - self.alpha))[..., None] * below.colour
        solid = np.maximum(alpha, np.float32(1e-4))[..., None]
        mixed = np.where(alpha[..., None] > 1e-4, (own + behind) / solid, self.colour)
        return Layer(mixed.clip(0, 1), alpha.clip(0, 1))


def curve(
    start: Float, angle: float, length: float, bend: float, wave: float, phase: float
) -> Float:
    """Return points of one strand from its root: (N, 2) float32, x and y in pixels."""
    along = np.linspace(0, 1, 12, dtype=np.float32)
    turn = angle + bend * along + wave * np.sin(phase + 7 * along)
    step = length / (len(along) - 1)
    path = np.cumsum(np.stack((np.cos(turn), np.sin(turn)), 1) * step, 0)
    found: Float = (start + path).astype(np.float32)
    return found


def draw(
    rng: Rng,
    side: int,
    paths: list[Float],
    ink: Float,
    *,
    thick: tuple[float, float],
    spread: float,
    strength: tuple[float, float] = (0.7, 1.0),
) -> Layer:
    """Return strands as a layer: coverage by supersampling, colour varied from strand to strand.

    ink: the (3,) mean colour, or a (side, side, 3) picture that each strand takes its colour from
    at its root. thick: range in pixels, down to a third of one. spread: how much colours differ.
    """
    import cv2

    big = side * SUPERSAMPLE
    alpha = np.zeros((side, side), np.float32)
    tint = np.zeros((side, side, 3), np.float32)
    tint[:] = ink if ink.ndim == 1 else ink.mean((0, 1))
    rounds = 3
    for part in range(rounds):
        canvas = np.zeros((big, big), np.uint8)
        for path in paths[part::rounds]:
            width = rng.uniform(*thick)
            level = rng.uniform(*strength) * min(1.0, width * SUPERSAMPLE)
            points = np.round(path * (SUPERSAMPLE << SHIFT)).astype(np.int32)
            line = max(1, round(width * SUPERSAMPLE))
            cv2.polylines(canvas, [points], False, int(255 * level), line, cv2.LINE_AA, SHIFT)
            root = path[0].astype(int).clip(0, side - 1)
            own = ink if ink.ndim == 1 else ink[root[1], root[0]]
            shade = (own * np.float32(np.exp(rng.normal(0, spread)))).clip(0, 1)
            wide = max(2, round(width) + 2)
            middle = len(path) // 2
            # Light changes along a strand: the outer half has another brightness.
            for piece, gain in ((path[: middle + 1], 1.0), (path[middle:], rng.uniform(0.6, 1.5))):
                spots = np.round(piece * (1 << SHIFT)).astype(np.int32)
                now = (shade * np.float32(gain)).clip(0, 1).tolist()
                cv2.polylines(tint, [spots], False, now, wide, cv2.LINE_8, SHIFT)
        small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
        alpha = alpha + (1 - alpha) * small.astype(np.float32) / 255
    return Layer(cv2.GaussianBlur(tint, (0, 0), 0.6), alpha.clip(0, 1))


def outline(rng: Rng, side: int, *, rough: float = 0.25) -> Float:
    """Return a closed smooth contour that may leave the picture: (N, 2) float32, x and y in pixels."""
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False, dtype=np.float32)
    radius = np.ones_like(angle)
    for order in range(2, 9):
        radius += rough * rng.normal() / order * np.cos(order * angle + rng.uniform(0, 6.3))
    radius = radius.clip(0.25, None) * side * rng.uniform(0.18, 0.45)  # type: ignore[assignment]
    centre = rng.uniform(0.1, 0.9, 2) * side
    squeeze = rng.uniform(0.6, 1.6)
    points = np.stack((np.cos(angle) * radius * squeeze, np.sin(angle) * radius / squeeze), 1)
    found: Float = (centre + points).astype(np.float32)
    return found


def fill(side: int, contour: Float) -> Float:
    """Coverage of a closed contour, (side, side) float32, by four by four supersampling."""
    import cv2

    scale = 4
    canvas = np.zeros((side * scale, side * scale), np.uint8)
    points = np.round(contour * (scale << SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [points], 255, cv2.LINE_8, SHIFT)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    found: Float = small.astype(np.float32) / np.float32(255)
    return found


def hair(rng: Rng, side: int, contour: Float, ink: Float) -> Layer:
    """Locks of long strands that leave a contour and flow in one direction, with strays."""
    paths = []
    flow, curl = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    outward = rng.uniform(0.2, 1.0)
    centre = contour.mean(0)
    reach = side * rng.uniform(0.12, 0.55)
    start, stretch = rng.integers(len(contour)), rng.uniform(0.3, 1.0)
    locks = int(rng.integers(8, 45))
    for _ in range(locks):
        index = int(start + rng.random() * stretch * len(contour)) % len(contour)
        root = contour[index]
        away = np.arctan2(*(root - centre)[::-1])
        angle = np.angle(outward * np.exp(1j * away) + (1 - outward) * np.exp(1j * flow))
        angle = float(angle) + rng.normal(0, 0.2)
        bend, phase = rng.normal(0, 0.9), rng.uniform(0, 6.3)
        loose = rng.uniform(0.02, 0.35)
        for _ in range(int(rng.integers(4, 40))):
            at = root + rng.normal(0, side * 0.02, 2)
            long = reach * rng.uniform(0.35, 1.0)
            own = angle + rng.normal(0, loose)
            paths.append(
                curve(at, own, long, bend + rng.normal(0, loose), curl * rng.random(), phase)
            )
    fine = rng.uniform(0.4, 1.4)
    return draw(rng, side, paths, ink, thick=(0.35, fine + 0.4), spread=rng.uniform(0.05, 0.45))


def fur(rng: Rng, side: int, contour: Float, ink: Float) -> Layer:
    """Short dense strands along a whole contour, combed to one side."""
    paths = []
    centre = contour.mean(0)
    comb, reach = rng.normal(0, 0.6), side * rng.uniform(0.015, 0.11)
    dense = int(rng.integers(3, 8))
    for root in contour.repeat(dense, 0):
        away = float(np.arctan2(*(root - centre)[::-1])) + comb + rng.normal(0, 0.35)
        at = root + rng.normal(0, 1.5, 2)
        paths.append(curve(at, away, reach * rng.uniform(0.3, 1.2), rng.normal(0, 0.8), 0.05, 0))
    return draw(rng, side, paths, ink, thick=(0.4, rng.uniform(0.8, 2.2)), spread=0.25)
