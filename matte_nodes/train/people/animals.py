# SPDX-License-Identifier: Apache-2.0
"""Furred animals with exact alpha: quadrupeds of glTF files, posed by their own animations.

The meshes are small and hard-edged: they are subdivided, coloured anew and covered
with fur.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.train.people import hair, looks
from matte_nodes.train.people.person import exposure
from matte_nodes.train.people.raster import (
    SAMPLES,
    Camera,
    DrawnMesh,
    Lights,
    draw,
    normals,
    straight,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.train.people.body import Floats, Ints, Rng

_TYPES = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
STRANDS = 22_000


@dataclass(frozen=True)
class Coloured:
    """vertices (N, 3), y up; triangles (T, 3); linear colours of triangles (T, 3)."""

    vertices: Floats
    triangles: Ints
    colours: Floats


class GltfModel:
    """A binary glTF 2.0 file with one skin: `posed` returns its mesh at a time of an animation."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        if content[:4] != b"glTF":
            raise InputError(f"{path} is not a binary glTF file.")
        (length,) = struct.unpack_from("<I", content, 12)
        self.scene: dict[str, Any] = json.loads(content[20 : 20 + length])
        self.binary = content[28 + length :]

    def _values(self, index: int) -> NDArray[Any]:
        found = self.scene["accessors"][index]
        view = self.scene["bufferViews"][found["bufferView"]]
        kind, width = np.dtype(_TYPES[found["componentType"]]), _WIDTHS[found["type"]]
        start = view.get("byteOffset", 0) + found.get("byteOffset", 0)
        step = view.get("byteStride", kind.itemsize * width)
        raw = np.frombuffer(
            self.binary, np.uint8, (found["count"] - 1) * step + kind.itemsize * width, start
        )
        rows = np.lib.stride_tricks.as_strided(
            raw, (found["count"], kind.itemsize * width), (step, 1)
        )
        values = np.ascontiguousarray(rows).view(kind).reshape(found["count"], width)
        if found.get("normalized"):
            values = values / float(np.iinfo(kind.type).max)
        return values

    @cached_property
    def animations(self) -> int:
        """How many animations it has."""
        return len(self.scene.get("animations", []))

    def _moves(self, animation: int, share: float) -> dict[int, dict[str, Floats]]:
        """Translation, rotation and scale of nodes at a part of an animation's length."""
        found: dict[int, dict[str, Floats]] = {}
        if not self.animations:
            return found
        asked = self.scene["animations"][animation % self.animations]
        for channel in asked["channels"]:
            sampler = asked["samplers"][channel["sampler"]]
            times = self._values(sampler["input"])[:, 0]
            values = self._values(sampler["output"])
            if sampler.get("interpolation") == "CUBICSPLINE":
                values = values[1::3]
            at = int(np.clip(np.searchsorted(times, share * times[-1]), 0, len(times) - 1))
            target = channel["target"]
            found.setdefault(target["node"], {})[target["path"]] = values[at].astype(float)
        return found

    def _worlds(self, moves: dict[int, dict[str, Floats]]) -> dict[int, Floats]:
        nodes = self.scene["nodes"]
        worlds: dict[int, Floats] = {}

        def visit(index: int, above: Floats) -> None:
            node = {**nodes[index], **moves.get(index, {})}
            own = np.eye(4)
            if "matrix" in node:
                own = np.array(node["matrix"], float).reshape(4, 4).T
            else:
                turn = _turned(np.array(node.get("rotation", (0, 0, 0, 1)), float))
                own[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), float)
                own[:3, 3] = node.get("translation", (0, 0, 0))
            worlds[index] = above @ own
            for child in node.get("children", ()):
                visit(child, worlds[index])

        for root in self.scene["scenes"][self.scene.get("scene", 0)]["nodes"]:
            visit(root, np.eye(4))
        return worlds

    def posed(self, animation: int, share: float) -> Coloured:
        """Return the mesh at a part (0..1) of an animation."""
        worlds = self._worlds(self._moves(animation, share))
        vertices, triangles, colours, start = [], [], [], 0
        for index, node in enumerate(self.scene["nodes"]):
            if "mesh" not in node or index not in worlds or "skin" not in node:
                continue
            skin = self.scene["skins"][node["skin"]]
            inverse = self._values(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
            joints = np.stack([worlds[j] for j in skin["joints"]]) @ inverse
            for part in self.scene["meshes"][node["mesh"]]["primitives"]:
                attributes = part["attributes"]
                placed = self._values(attributes["POSITION"]).astype(float)
                which = self._values(attributes["JOINTS_0"]).astype(int)
                weights = self._values(attributes["WEIGHTS_0"]).astype(float)
                weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
                mixed = np.einsum("nk,nkij->nij", weights, joints[which])
                vertices.append(np.einsum("nij,nj->ni", mixed[:, :3, :3], placed) + mixed[:, :3, 3])
                faces = self._values(part["indices"]).reshape(-1, 3).astype(np.int64)
                triangles.append(faces + start)
                colours.append(np.tile(self._colour(part.get("material")), (len(faces), 1)))
                start += len(placed)
        if not vertices:
            raise InputError("This glTF file has no mesh with a skin.")
        return Coloured(
            np.concatenate(vertices), np.concatenate(triangles), np.concatenate(colours)
        )

    def _colour(self, material: int | None) -> Floats:
        if material is None:
            return np.full(3, 0.5)
        surface = self.scene["materials"][material].get("pbrMetallicRoughness", {})
        return np.array(surface.get("baseColorFactor", (0.5, 0.5, 0.5))[:3], float)


def _turned(quaternion: Floats) -> Floats:
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def smooth(mesh: Coloured, times: int = 2) -> Coloured:
    """Return a mesh with its double points joined, ten units high, subdivided."""
    vertices = mesh.vertices - mesh.vertices.min(0)
    vertices = vertices / vertices[:, 1].max() * 10
    vertices -= (vertices[:, 0].mean(), 0, vertices[:, 2].mean())
    keys, inverse = np.unique(np.round(vertices, 3), axis=0, return_inverse=True)
    triangles = inverse.ravel()[mesh.triangles]
    whole = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2])
    whole &= triangles[:, 0] != triangles[:, 2]
    triangles, colours = triangles[whole], mesh.colours[whole]
    for _ in range(times):
        keys, triangles, colours = (
            _subdivided(keys, triangles),
            *_quartered(keys, triangles, colours),
        )
    return Coloured(keys, triangles, colours)


def _edges(triangles: Ints) -> tuple[Ints, Ints]:
    """Edges (E, 2), each once, and the edges of each triangle (T, 3)."""
    sides = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], 2)
    edges, which = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True)
    return edges, which.reshape(-1, 3)


def _quartered(vertices: Floats, triangles: Ints, colours: Floats) -> tuple[Ints, Floats]:
    """Four triangles of each: the middle of edge E is vertex N + E."""
    _, which = _edges(triangles)
    a, b, c = triangles.T
    ab, bc, ca = (which + len(vertices)).T
    four = np.stack(((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)))
    return four.transpose(0, 2, 1).reshape(-1, 3), np.tile(colours, (4, 1))


def _subdivided(vertices: Floats, triangles: Ints) -> Floats:
    """Return the vertices of the quartered mesh, each moved half of the way to the mean of its neighbours.

    Loop's scheme asks for edges of two triangles at most; these meshes have others.
    """
    edges, _ = _edges(triangles)
    middle = vertices[edges].mean(1)
    found = np.concatenate((vertices, middle))
    finer, _ = _quartered(vertices, triangles, np.zeros((len(triangles), 1)))
    pairs, _ = _edges(finer)
    both = np.concatenate((pairs, pairs[:, ::-1]))
    number = np.maximum(np.bincount(both[:, 0], minlength=len(found)), 1)
    mean = np.stack(
        [np.bincount(both[:, 0], found[both[:, 1], k], len(found)) / number for k in range(3)], 1
    )
    return found * 0.5 + mean * 0.5


class Zoo:
    """Draws animals from `folder/animals/*.glb`."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted((folder / "animals").glob("*.glb"))
        self.panoramas = sorted((folder / "hdri").glob("*.exr"))
        if not self.files or not self.panoramas:
            raise InputError(
                f"{folder} holds no animals (animals/*.glb), or no lights (hdri/*.exr)."
            )
        self._models: dict[Path, GltfModel] = {}

    def animal(self, seed: int, side: int) -> NDArray[np.uint8]:
        """Return an animal as straight display-encoded RGBA, (side, side, 4) uint8."""
        rng = np.random.default_rng([seed, 77])
        path = self.files[int(rng.integers(len(self.files)))]
        model = self._models.setdefault(path, GltfModel(path))
        share = float(rng.random())
        mesh = smooth(model.posed(int(rng.integers(max(1, model.animations))), share))
        coat = _coat(rng, mesh)
        camera, pixel = _camera(rng, mesh, side)
        parts = _parts(rng, mesh, coat, camera, pixel)
        panorama = self.panoramas[int(rng.integers(len(self.panoramas)))]
        found = looks.lights(rng, panorama)
        premultiplied = draw(parts, camera, Lights(found.directions, found.colours), side)
        return straight(premultiplied, exposure(rng, premultiplied))


def _waves(rng: Rng, places: Floats, often: float) -> Floats:
    """Return a smooth field over places, about -1..1."""
    total = np.zeros(len(places))
    for _ in range(5):
        total += np.sin(places @ (rng.normal(0, 1, 3) * often) + rng.random() * 6)
    return total / 3


def _coat(rng: Rng, mesh: Coloured) -> Floats:
    """Linear colours of vertices: the mesh's own, or another coat, with patches and shades."""
    import cv2

    colours = mesh.colours
    if rng.random() < 0.75:
        hue, saturation = rng.uniform(10, 45), rng.uniform(0, 0.65)
        kinds, which = np.unique(colours, axis=0, return_inverse=True)
        values = np.where(
            rng.random(len(kinds)) < 0.6, rng.uniform(0.02, 0.95, len(kinds)), kinds.mean(1)
        )
        hues = (hue + rng.normal(0, 6, len(kinds))) % 360
        greys = np.clip(saturation + rng.normal(0, 0.1, len(kinds)), 0, 0.8)
        hsv = np.stack((hues, greys, values), 1).astype(np.float32)[None]
        colours = looks.linear(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(float))[which.ravel()]
    corners, count = mesh.triangles.ravel(), len(mesh.vertices)
    each = np.repeat(colours, 3, 0)
    number = np.maximum(np.bincount(corners, minlength=count), 1)
    found = np.stack([np.bincount(corners, each[:, k], count) / number for k in range(3)], 1)
    shade = 1 + 0.35 * _waves(rng, mesh.vertices, rng.uniform(0.5, 2.5))
    found *= np.clip(shade, 0.4, 1.7)[:, None]
    if rng.random() < 0.3:
        patch = _waves(rng, mesh.vertices, rng.uniform(0.4, 2)) > rng.uniform(-0.3, 0.6)
        found[patch] = found[patch] * 0.2 + 0.8 * looks.linear(np.full(3, rng.random()))
    return np.clip(found, 0.005, 0.9)


def _camera(rng: Rng, mesh: Coloured, side: int) -> tuple[Camera, float]:
    """Return a view of the whole animal, or of its head; and the size of a pixel."""
    head = mesh.vertices[mesh.vertices[:, 1] > 8.5].mean(0)
    if rng.random() < 0.45:
        aim, tall = head - (0, rng.uniform(0, 1), 0), rng.uniform(5, 9)
    else:
        aim, tall = np.array([0, 5, 0]) + rng.normal(0, 0.5, 3), rng.uniform(10.5, 19)
    turn, tilt = math.radians(rng.uniform(-180, 180)), math.radians(rng.normal(3, 9))
    view = math.radians(rng.uniform(14, 40))
    toward = np.array(
        [math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)]
    )
    place = aim + toward * (tall / 2 / math.tan(view / 2))
    return Camera(place, aim, view, float(rng.normal(0, 0.05))), tall / side


def _parts(rng: Rng, mesh: Coloured, coat: Floats, camera: Camera, pixel: float) -> list[DrawnMesh]:
    """Return the skin, and fur on it that lies backwards and down."""
    facing = normals(mesh.vertices, mesh.triangles)
    skin = DrawnMesh(mesh.vertices, mesh.triangles, facing, colour=coat * 0.6, gloss=0.0)
    planted = hair.roots(rng, mesh.vertices, mesh.triangles, np.ones(len(mesh.vertices)), STRANDS)
    assert planted is not None  # every vertex may carry fur
    place, normal = planted
    long = rng.uniform(0.12, 0.75)
    length = long * np.clip(0.6 + 0.5 * _waves(rng, place, 0.5), 0.25, 1.3)
    length *= np.clip(place[:, 1] / 4, 0.3, 1) * (0.7 + 0.6 * rng.random(STRANDS))
    length *= np.where(place[:, 1] > 7.8, 0.55, 1)
    head = mesh.vertices[mesh.vertices[:, 1] > 8.5].mean(0)
    back = np.array([0, -0.5, -1.0 if head[2] > 0 else 1.0])
    lying = back - normal * (normal @ back)[:, None]
    swirl = 0.35 * np.stack([_waves(rng, place, 0.8) for _ in range(3)], 1)
    along = normal * rng.uniform(0.35, 0.8) + lying * rng.uniform(0.5, 1.1) + swirl
    along = hair.unit(along + rng.normal(0, rng.uniform(0.08, 0.25), (STRANDS, 3)))
    strands = np.zeros((STRANDS, 5, 3))
    strands[:, 0] = place - normal * 0.03
    for index in range(1, 5):
        along = hair.unit(along - hair.UP * 0.18 * long)
        strands[:, index] = strands[:, index - 1] + along * (length / 4)[:, None]
    thick = np.clip(rng.uniform(0.7, 1.2) * pixel, 0.015, 0.06)
    width = np.where(rng.random(STRANDS) < 0.6, thick, 0.012)
    drawn = np.maximum(width, pixel / SAMPLES * 1.05)
    vertices, triangles, far, tangents = hair.ribbons(strands, drawn, camera.place)
    from scipy.spatial import cKDTree  # type: ignore[import-untyped]

    _, near = cKDTree(mesh.vertices).query(place)
    shade = 0.55 + 0.6 * far + 0.35 * np.repeat(rng.random(STRANDS), 10)
    colour = np.repeat(coat[near], 10, 0) * shade[:, None]
    fur = DrawnMesh(
        vertices, triangles, np.repeat(normal, 10, 0), colour=colour, gloss=0.1, tangents=tangents,
        cover=np.repeat(width / drawn, 8).clip(0, 1),
    )  # fmt: skip
    return [skin, fur]
