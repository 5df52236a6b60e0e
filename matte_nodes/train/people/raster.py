# SPDX-License-Identifier: Apache-2.0
"""A small rasteriser: meshes, hair and cards of alpha as straight colour and exact alpha.

Sixteen sub-samples a pixel. What is thinner than a sub-sample, or half transparent, covers each
sub-sample by chance (hashed from its place, so the same picture comes each time): alpha is a count
of covered sub-samples. Light comes from some twenty directions, each with its shadow map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from matte_nodes.train.people.hair import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.train.people.body import Floats, Ints

SAMPLES = 4
SHADOW = 320
TEXTURE = 512
FAR = 1e9
_CODES = np.arange(256) / 255
LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
"""Display-encoded codes as linear light."""


@dataclass
class DrawnMesh:
    """A mesh to draw. vertices (N, 3); triangles (T, 3).

    normals: (N, 3). points: (T, 3, 2) texture points. texture: (512, 512, 4) uint8, display-encoded
    straight RGBA, or None. colour: (N, 3) linear factor. gloss: strength of highlights. tangents:
    (N, 3) of strands, None: a surface. cover: (T,) how much of a sub-sample a triangle covers.
    clip: (N,) drawn where it is positive.
    """

    vertices: Floats
    triangles: Ints
    normals: Floats
    points: Floats | None = None
    texture: NDArray[np.uint8] | None = None
    colour: Floats | None = None
    gloss: float = 0.1
    tangents: Floats | None = None
    cover: Floats | None = None
    clip: Floats | None = None


class Camera(NamedTuple):
    """Where it stands, what it looks at, its field of view and roll in radians."""

    place: Floats
    aim: Floats
    view: float
    roll: float


class Lights(NamedTuple):
    """Directions towards the lights (L, 3), unit length, and their linear colours (L, 3)."""

    directions: Floats
    colours: Floats


class _Scene(NamedTuple):
    vertices: Floats
    triangles: Ints
    normals: Floats
    tangents: Floats
    colour: Floats
    gloss: Floats
    strand: NDArray[np.bool_]
    clip: NDArray[np.float32]
    cover: NDArray[np.float32]
    points: NDArray[np.float32]
    which: Ints
    textures: NDArray[np.uint8]


class _Seen(NamedTuple):
    """Vertices as the camera has them: places in sub-samples, depths, light, highlights."""

    places: Floats
    depth: Floats
    light: NDArray[np.float32]
    shine: NDArray[np.float32]


class _Canvas(NamedTuple):
    """What is drawn on, a value a sub-sample: nearest depth, linear colour, covered or not."""

    buffer: NDArray[np.float32]
    colour: NDArray[np.float32]
    mask: NDArray[np.uint8]


@njit(cache=True, fastmath=True)
def _chance(a, b, c):  # type: ignore[no-untyped-def]
    """A number in 0..1 that looks random, of three whole numbers."""
    h = np.uint32(a * 73856093) ^ np.uint32(b * 19349663) ^ np.uint32(c * 83492791)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0x5BD1E995)
    h ^= h >> np.uint32(15)
    return np.float32(h & np.uint32(0xFFFFFF)) / np.float32(16777216.0)


@njit(cache=True, fastmath=True)
def _box(a, b, c, size):  # type: ignore[no-untyped-def]
    """First and last sample centre between the least and the largest of three coordinates."""
    low = max(0, math.ceil(min(a, b, c) - 0.5))
    return low, min(size - 1, math.floor(max(a, b, c) - 0.5))


@njit(cache=True, fastmath=True)
def _depths(places, depth, triangles, buffer):  # type: ignore[no-untyped-def]
    """Nearest depth of each sample of a shadow map; places (N, 2), depth (N,)."""
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1 = places[i, 0], places[i, 1], places[j, 0], places[j, 1]
        x2, y2 = places[k, 0], places[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        left, right = _box(x0, x1, x2, buffer.shape[1])
        top, bottom = _box(y0, y1, y2, buffer.shape[0])
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                b = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) / area
                c = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) / area
                a = 1 - b - c
                if a < 0 or b < 0 or c < 0:
                    continue
                found = a * depth[i] + b * depth[j] + c * depth[k]
                if found < buffer[y, x]:
                    buffer[y, x] = found


@njit(cache=True, fastmath=True)
def _inside(seen, corners, x, y):  # type: ignore[no-untyped-def]
    """Shares of three corners in a sample, in perspective, and its depth.

    Depth 0: it is outside.
    """
    i, j, k = corners
    x0, y0, x1, y1 = seen.places[i, 0], seen.places[i, 1], seen.places[j, 0], seen.places[j, 1]
    x2, y2 = seen.places[k, 0], seen.places[k, 1]
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    px, py = x + 0.5, y + 0.5
    b = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) / area
    c = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) / area
    a = 1 - b - c
    if a < 0 or b < 0 or c < 0:
        return 0.0, 0.0, 0.0, 0.0
    a, b, c = a / seen.depth[i], b / seen.depth[j], c / seen.depth[k]
    total = a + b + c
    return a / total, b / total, c / total, 1 / total


@njit(cache=True, fastmath=True)
def _texel(mesh, t, shares, x, y):  # type: ignore[no-untyped-def]
    """The texture's codes at a sample of triangle t; white without a texture; alpha 0: a hole."""
    picture = mesh.which[t]
    if picture < 0:
        return 255, 255, 255, 255
    a, b, c = shares
    size = mesh.textures.shape[1]
    u = a * mesh.points[t, 0, 0] + b * mesh.points[t, 1, 0] + c * mesh.points[t, 2, 0]
    v = a * mesh.points[t, 0, 1] + b * mesh.points[t, 1, 1] + c * mesh.points[t, 2, 1]
    column = min(size - 1, int((u - math.floor(u)) * size))
    row = min(size - 1, int((1 - (v - math.floor(v))) * size))
    texel = mesh.textures[picture, row, column]
    alpha = 255
    if texel[3] < 255 and _chance(x, y, t) * 255 >= texel[3]:
        alpha = 0
    return int(texel[0]), int(texel[1]), int(texel[2]), alpha


@njit(cache=True, fastmath=True)
def _fill(seen, mesh, linear, canvas, t):  # type: ignore[no-untyped-def]
    """Colour and coverage of the sub-samples of one triangle that is in front of the camera."""
    corners = (mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2])
    i, j, k = corners
    height, width = canvas.buffer.shape
    left, right = _box(seen.places[i, 0], seen.places[j, 0], seen.places[k, 0], width)
    top, bottom = _box(seen.places[i, 1], seen.places[j, 1], seen.places[k, 1], height)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            a, b, c, depth = _inside(seen, corners, x, y)
            if depth == 0 or depth >= canvas.buffer[y, x]:
                continue
            if mesh.cover[t] < 1 and _chance(x, y, t >> 1) > mesh.cover[t]:
                continue
            if a * mesh.clip[i] + b * mesh.clip[j] + c * mesh.clip[k] < 0:
                continue
            red, green, blue, alpha = _texel(mesh, t, (a, b, c), x, y)
            if alpha == 0:
                continue
            canvas.buffer[y, x] = depth
            canvas.mask[y, x] = 1
            codes = (red, green, blue)
            for channel in range(3):
                light, shine = seen.light, seen.shine
                falls = a * light[i, channel] + b * light[j, channel] + c * light[k, channel]
                glints = a * shine[i, channel] + b * shine[j, channel] + c * shine[k, channel]
                canvas.colour[y, x, channel] = linear[codes[channel]] * falls + glints


@njit(cache=True, fastmath=True)
def _draw(seen, mesh, linear, canvas):  # type: ignore[no-untyped-def]
    """Colour and coverage of every sub-sample; attributes are interpolated in perspective."""
    for t in range(len(mesh.triangles)):
        i, j, k = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
        if seen.depth[i] < 0.01 or seen.depth[j] < 0.01 or seen.depth[k] < 0.01:
            continue
        first, second, third = seen.places[i], seen.places[j], seen.places[k]
        area = (second[0] - first[0]) * (third[1] - first[1])
        area -= (third[0] - first[0]) * (second[1] - first[1])
        if abs(area) >= 1e-7:
            _fill(seen, mesh, linear, canvas, t)


def normals(vertices: Floats, triangles: Ints) -> Floats:
    """Smooth normals, (N, 3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    flat: Floats = np.cross(b - a, c - a)
    corners = triangles.ravel()
    each = np.repeat(flat, 3, 0)
    found = [np.bincount(corners, each[:, axis], len(vertices)) for axis in range(3)]
    return unit(np.stack(found, 1).astype(float))


def draw(
    parts: Sequence[DrawnMesh], camera: Camera, lights: Lights, side: int
) -> NDArray[np.float32]:
    """Premultiplied linear RGBA, (side, side, 4) float32: light as it falls, alpha exact."""
    import cv2

    scene = _joined(parts)
    places, depth = _projected(scene.vertices, camera, side)
    light, shine = _lit(scene, camera, lights, places, side)
    size = side * SAMPLES
    canvas = _Canvas(
        np.full((size, size), FAR, np.float32),
        np.zeros((size, size, 3), np.float32),
        np.zeros((size, size), np.uint8),
    )
    _draw(_Seen(places, depth, light, shine), scene, LINEAR, canvas)
    covered = canvas.mask.astype(np.float32)
    whole = np.dstack((canvas.colour * covered[..., None], covered))
    return np.asarray(cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _joined(parts: Sequence[DrawnMesh]) -> _Scene:
    """Return all parts as one mesh."""
    textures = [part.texture for part in parts if part.texture is not None]
    which, cover, points, triangles, start, seen = [], [], [], [], 0, -1
    for part in parts:
        count = len(part.triangles)
        seen += part.texture is not None
        triangles.append(part.triangles + start)
        start += len(part.vertices)
        which.append(np.full(count, seen if part.texture is not None else -1))
        cover.append(np.ones(count) if part.cover is None else part.cover)
        points.append(np.zeros((count, 3, 2)) if part.points is None else part.points)

    def each(name: str, fill: float) -> Floats:
        found = []
        for part in parts:
            value = getattr(part, name)
            shape = len(part.vertices) if name == "clip" else part.vertices.shape
            found.append(np.full(shape, fill) if value is None else value)
        return np.concatenate(found)

    return _Scene(
        np.concatenate([part.vertices for part in parts]), np.concatenate(triangles),
        np.concatenate([part.normals for part in parts]), each("tangents", 0.0), each("colour", 1.0),
        np.concatenate([np.full(len(part.vertices), part.gloss) for part in parts]),
        np.concatenate([np.full(len(part.vertices), part.tangents is not None) for part in parts]),
        each("clip", 1.0).astype(np.float32), np.concatenate(cover).astype(np.float32),
        np.concatenate(points).astype(np.float32), np.concatenate(which),
        np.stack(textures) if textures else np.zeros((1, 4, 4, 4), np.uint8),
    )  # fmt: skip


def _projected(vertices: Floats, camera: Camera, side: int) -> tuple[Floats, Floats]:
    """Return places in sub-samples (N, 2) and depths (N,)."""
    forward = unit(camera.aim - camera.place)
    right = unit(np.cross(forward, (math.sin(camera.roll), math.cos(camera.roll), 0.0)))
    up = np.cross(right, forward)
    away = vertices - camera.place
    depth = away @ forward
    focal = side * SAMPLES / 2 / math.tan(camera.view / 2)
    plane = np.stack((away @ right, -(away @ up)), 1) / np.maximum(depth, 0.01)[:, None]
    return plane * focal + side * SAMPLES / 2, depth


def _lit(
    scene: _Scene, camera: Camera, lights: Lights, places: Floats, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light that each vertex gives off, (N, 3) linear, and highlights, (N, 3)."""
    near = np.abs(places - side * SAMPLES / 2).max(1) < side * SAMPLES
    seen = scene.vertices[near] if near.any() else scene.vertices
    centre = seen.mean(0)
    radius = float(np.percentile(np.linalg.norm(seen - centre, axis=1), 98)) * 1.02 + 1e-6
    view = unit(camera.place - scene.vertices)
    away = (scene.normals * view).sum(1) < -0.3
    normal = np.where(away[:, None], -scene.normals, scene.normals)
    light = np.zeros((len(view), 3), np.float32)
    shine = np.zeros_like(light)
    for direction, colour in zip(lights.directions, lights.colours, strict=True):
        open_ = _unshaded(scene, direction, centre, radius)
        facing = np.clip(normal @ direction, 0, None)
        round_ = np.sqrt(np.clip(1 - (scene.tangents @ direction) ** 2, 0, 1)) * 0.55
        amount = np.where(scene.strand, round_ * (0.5 + 0.5 * (facing > 0)), facing) * open_
        light += (amount[:, None] * colour).astype(np.float32)
        half = unit(view + direction)
        on_strand = np.clip(1 - (scene.tangents * half).sum(1) ** 2, 0, 1) ** 40 * 0.12
        on_surface = np.clip((normal * half).sum(1), 0, 1) ** 24 * (facing > 0) * 0.35
        strength = np.where(scene.strand, on_strand, on_surface) * open_ * scene.gloss
        shine += (strength[:, None] * colour).astype(np.float32)
    light += (0.05 * lights.colours.sum(0)).astype(np.float32)
    return (light * scene.colour).astype(np.float32), shine


def _unshaded(scene: _Scene, direction: Floats, centre: Floats, radius: float) -> Floats:
    """Return how much of a light reaches each vertex, (N,) 0..1, by a shadow map."""
    first = unit(np.cross(direction, np.array((0.3, 0.9, 0.2))))
    second = np.cross(direction, first)
    away = scene.vertices - centre
    places = np.stack((away @ first, away @ second), 1) / radius * SHADOW / 2 + SHADOW / 2
    depth = -(away @ direction)
    buffer = np.full((SHADOW, SHADOW), FAR, np.float32)
    _depths(places, depth, scene.triangles, buffer)
    inside = ((places >= 0) & (places < SHADOW)).all(1)
    column, row = np.clip(places.astype(np.int64), 0, SHADOW - 1).T
    scale = radius / 6
    behind = depth - buffer[row, column] - np.where(scene.strand, 0.25, 0.10) * scale
    found: Floats = np.where(inside, np.clip(1 - behind / (0.15 * scale), 0, 1), 1.0)
    return found


def straight(premultiplied: NDArray[np.float32], gain: float) -> NDArray[np.uint8]:
    """Premultiplied linear RGBA as straight display-encoded codes; gain: the exposure."""
    alpha = premultiplied[..., 3:]
    linear = (premultiplied[..., :3] / np.maximum(alpha, 1e-4) * np.float32(gain)).clip(0, 1)
    curve = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(np.concatenate((curve, alpha), 2) * 255).astype(np.uint8)
