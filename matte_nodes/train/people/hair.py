# SPDX-License-Identifier: Apache-2.0
"""Strand hair and fur: roots on a mesh, strands that grow, and ribbons that face the camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.train.people.body import Body, Rng

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matte_nodes.train.people.body import Floats, Ints

UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Style:
    """How hair lies. Lengths are in head sizes, the rest are weights of directions or 0 to 1.

    even: how much strands are of one length. clump: strands of a lock; clumping: how close they
    hold together. part: where the hair parts. back, side, down: combed direction. lift: how steeply
    it leaves the skin. messy, stray: disorder of locks and of strands. gap: distance to the skin.
    curl, curls, curlfree: radius, turns and disorder of curls. flyaway: share of loose strands.
    """

    length: float = 0.5
    steps: int = 6
    clump: float = 14
    even: float = 0.8
    part: float = 0.0
    back: float = 0.6
    side: float = 0.2
    down: float = 0.2
    lift: float = 0.5
    messy: float = 0.25
    stray: float = 0.2
    stiff: float = 1.0
    gravity: float = 0.25
    gap: float = 0.04
    curl: float = 0.0
    curls: float = 2.0
    curlfree: float = 0.3
    flyaway: float = 0.06
    clumping: float = 0.6

    def varied(self, rng: Rng, low: float = 0.7, high: float = 1.35) -> Style:
        """Return the same style on another head."""
        names = (
            "length",
            "messy",
            "stray",
            "gravity",
            "lift",
            "side",
            "curl",
            "flyaway",
            "clumping",
        )
        return replace(self, **{n: getattr(self, n) * rng.uniform(low, high) for n in names})


STYLES: Mapping[str, Style] = {
    "buzz": Style(0.10, 3, 4, lift=1.2, back=0.1, clumping=0.2, gravity=0.05, gap=0.02),
    "short": Style(0.42, back=0.5, side=0.35, lift=0.45),
    "crop": Style(0.30, lift=0.9, back=0.1, messy=0.4, stray=0.35, clumping=0.4),
    "quiff": Style(0.75, lift=0.9, back=0.9, stiff=1.4, gravity=0.1, side=0.1),
    "fringe": Style(0.7, back=-0.5, side=0.15, down=0.35, lift=0.25, gravity=0.45),
    "bob": Style(1.9, 10, 25, part=0.3, back=0.1, side=0.55, down=0.5, lift=0.12, gravity=1.3,
                 stiff=0.7),
    "long": Style(3.8, 14, 30, part=0.15, back=0.15, side=0.5, down=0.5, lift=0.1, gravity=1.4,
                  stiff=0.6, clumping=0.5),
    "wavy": Style(3.2, 18, 30, part=0.3, back=0.1, side=0.55, down=0.4, lift=0.2, gravity=1.2,
                  stiff=0.7, curl=0.10, curls=3, clumping=0.5, flyaway=0.1),
    "curly": Style(1.7, 20, 30, side=0.6, lift=0.5, back=0.1, gravity=0.7, curl=0.10, curls=3.2,
                   curlfree=1.0, messy=0.4, flyaway=0.15, clumping=0.7),
    "afro": Style(0.8, 14, 6, lift=1.3, side=0, back=0.1, down=0, gravity=0.08, stiff=1.5,
                  curl=0.06, curls=2.5, curlfree=3.0, stray=0.35, clumping=0.4, flyaway=0.2),
    "swept": Style(1.2, 8, 20, back=1.1, side=0.1, lift=0.35, down=0.1, stiff=1.3),
    "beard": Style(0.16, 4, 6, back=0, side=0, down=0.5, lift=0.7, messy=0.3, stray=0.3,
                   gravity=0.3, gap=0.01),
    "longbeard": Style(0.6, 6, 10, back=0, side=0, down=0.9, lift=0.5, stray=0.25, gravity=0.5,
                       gap=0.02),
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    """Where hair may grow: middle of the skull, size, and 0..1 of each vertex for three regions."""

    centre: Floats
    size: float
    scalp: Floats
    beard: Floats
    moustache: Floats


def head(body: Body, vertices: Floats) -> Head:
    """Return the regions of a shaped body."""

    def middle(name: str) -> Floats:
        return np.asarray(vertices[body.groups[name]].mean(0))

    left, right = middle("joint-l-eye"), middle("joint-r-eye")
    eye, size = (left + right) / 2, abs(left[0] - right[0]) / 0.586
    centre = eye + np.array([0, 0.12, -0.95]) * size
    x, y, z = ((vertices - centre) / size).T
    # The hairline: above a plane that falls from the forehead to the nape.
    line = y * 0.72 - z * 0.56 + 0.10 - 0.30 * np.clip(np.abs(x) - 0.45, 0, 1)
    scalp = np.clip(line / 0.08, 0, 1)
    ear = (np.abs(x) > 0.66) & (y < 0.25) & (z > -0.35) & (z < 0.45)
    scalp[ear | (y < -0.75) | (np.abs(x) > 1.0)] = 0
    x, y, z = ((vertices - (eye + np.array([0, -0.75, -0.1]) * size)) / size).T
    beard = np.clip((-0.02 - y) / 0.12, 0, 1) * np.clip((z + 0.75) / 0.15, 0, 1)
    beard *= np.clip((y + 1.05) / 0.1, 0, 1) * (np.abs(x) <= 0.85)
    moustache = np.clip((0.33 - np.abs(x)) / 0.05, 0, 1) * np.clip((y - 0.06) / 0.04, 0, 1)
    moustache *= np.clip((0.26 - y) / 0.05, 0, 1) * (z > 0.25)
    return Head(centre, float(size), scalp, beard, moustache)


def roots(
    rng: Rng, vertices: Floats, triangles: Ints, share: Floats, count: int
) -> tuple[Floats, Floats] | None:
    """Random points on the triangles where `share` is above 0, with their normals.

    None when there are none.
    """
    chosen = triangles[share[triangles].mean(1) > 0.02]
    if not len(chosen):
        return None
    a, b, c = (vertices[chosen[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1)
    weight = area * share[chosen].mean(1)
    which = rng.choice(len(chosen), count, p=weight / weight.sum())
    first, second = np.sqrt(rng.random(count))[:, None], rng.random(count)[:, None]
    place = a[which] * (1 - first) + b[which] * first * (1 - second) + c[which] * first * second
    return place, normal[which] / (area[which, None] + 1e-9)


def unit(vectors: Floats) -> Floats:
    """Vectors of length 1 along the last axis."""
    found: Floats = vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
    return found


def grow(
    rng: Rng, planted: tuple[Floats, Floats], where: Head, style: Style,
    skin: tuple[Floats, Floats], movement: Floats,
) -> Floats:  # fmt: skip
    """Return strands (n, steps, 3) from roots of the rest pose, on a head moved by a (4, 4) movement.

    skin: posed points and normals that strands lie on and never enter.
    """
    from scipy.spatial import cKDTree  # type: ignore[import-untyped]

    turn, size = movement[:3, :3], where.size
    centre = turn @ where.centre + movement[:3, 3]
    place, normal = planted[0] @ turn.T + movement[:3, 3], planted[1] @ turn.T
    count = len(place)
    locks = rng.integers(0, count, max(8, int(count / style.clump)))
    _, mine = cKDTree(place[locks]).query(place)
    length = style.length * size * (style.even + (1 - style.even) * rng.random(count))
    length = length * (0.85 + 0.3 * rng.random(len(locks))[mine])
    across = turn @ np.array([1.0, 0, 0])
    side = np.sign((place - centre) @ across + style.part * size)[:, None] * across
    comb = style.back * -(turn @ np.array([0, 0, 1.0])) + style.side * side - style.down * UP
    noise = rng.normal(0, 1, (len(locks), 3))[mine] * style.messy
    noise = noise + rng.normal(0, 1, (count, 3)) * style.stray
    combed = unit(normal * style.lift + comb + noise * 0.6)
    step = (length / (style.steps - 1))[:, None]
    strands = np.zeros((count, style.steps, 3))
    strands[:, 0] = place - normal * 0.02 * size
    along = unit(normal * 0.6 + combed * 0.8)
    points, tree = skin, cKDTree(skin[0])
    for index in range(1, style.steps):
        part = index / (style.steps - 1)
        target = (
            combed * (1 - part) * style.stiff - UP * style.gravity * (0.35 + part) + noise * 0.25
        )
        along = unit(along * 0.62 + 0.38 * target)
        free = strands[:, index - 1] + along * step
        away, near = tree.query(free)
        depth = ((free - points[0][near]) * points[1][near]).sum(1)
        gap = style.gap * size * (1 + 0.8 * rng.random(count))
        push = np.clip(gap - depth, 0, None) * (away < 0.8 * size)
        along = unit(free + points[1][near] * push[:, None] - strands[:, index - 1])
        strands[:, index] = strands[:, index - 1] + along * step
    if style.curl > 0:
        strands = strands + _curls(rng, strands, style, size, (mine, length))
    return _locks(rng, strands, style, size, (locks, mine))


def _curls(
    rng: Rng, strands: Floats, style: Style, size: float, lie: tuple[Ints, Floats]
) -> Floats:
    mine, length = lie
    locks = int(mine.max()) + 1
    along = np.linspace(0, 1, strands.shape[1])
    phase = (rng.random(locks) * 6.28)[mine] + rng.normal(0, style.curlfree, len(strands))
    turns = style.curls * length / (style.length * size) * (0.8 + 0.4 * rng.random(locks)[mine])
    tangent = unit(strands[:, -1] - strands[:, 0])
    first = unit(np.cross(tangent, UP + 0.01))
    second = np.cross(tangent, first)
    angle = (phase[:, None] + turns[:, None] * along * 6.28)[..., None]
    circle = np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None]
    found: Floats = style.curl * size * np.minimum(along * 3, 1)[None, :, None] * circle
    return found


def _locks(rng: Rng, strands: Floats, style: Style, size: float, lie: tuple[Ints, Ints]) -> Floats:
    """Return strands drawn to their lock's own strand; loose ones stand off."""
    locks, mine = lie
    leader = strands[locks][mine]
    along = np.linspace(0, 1, strands.shape[1])[None, :, None] ** 1.3
    loose = (rng.random(len(strands)) < style.flyaway)[:, None, None]
    off = rng.normal(0, 0.1 * size, (len(strands), 1, 3)) * along
    closer = (leader - leader[:, :1] - (strands - strands[:, :1])) * along * style.clumping
    found: Floats = np.where(loose, strands + off, strands + closer)
    return found


def ribbons(strands: Floats, width: Floats, camera: Floats) -> tuple[Floats, Ints, Floats, Floats]:
    """Return strands (n, K, 3) as flat ribbons that face the camera, thinner at the tip.

    Returns vertices (2 n K, 3), triangles, how far along its strand each vertex is, its tangent.
    """
    count, steps, _ = strands.shape
    tangent = np.gradient(strands, axis=1)
    across = unit(np.cross(tangent, camera - strands))
    half = (width[:, None] * np.linspace(1, 0.35, steps)[None])[..., None] / 2
    vertices = np.stack((strands - across * half, strands + across * half), 2).reshape(-1, 3)
    base = (np.arange(count) * steps * 2)[:, None] + np.arange(steps - 1)[None] * 2
    triangles = np.stack((base, base + 1, base + 3, base, base + 3, base + 2), -1).reshape(-1, 3)
    along = np.repeat(np.tile(np.linspace(0, 1, steps), count), 2)
    return vertices, triangles, along, np.repeat(unit(tangent).reshape(-1, 3), 2, 0)
