# SPDX-License-Identifier: Apache-2.0
"""Random people with exact alpha: `Studio(assets).person(seed, side)`.

Each subject (shape, pose, clothes, hair, camera, light) draws from a generator of its own, so that
a person at another time of a clip is the same person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.train.people import hair, looks
from matte_nodes.train.people.body import (
    Body,
    Faces,
    Rng,
    Shape,
    Worn,
    moved,
    random_pose,
    skinned,
)
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
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from matte_nodes.train.people.body import Floats

_TOPICS = ("shape", "pose", "sway", "skin", "clothes", "hair", "camera", "light", "drift")
_MOVES = (
    "mouthSmileLeft", "jawOpen", "browInnerUp", "eyeBlinkLeft", "mouthPucker", "browDownLeft",
    "cheekPuff", "eyeSquintLeft", "mouthUpperUpLeft", "mouthFrownLeft",
)  # fmt: skip
_CARDS = {
    True: ("bob02", "long01", "ponytail01", "short01", "braid01", "short04"),
    False: ("short02", "short03", "short04", "short01"),
}
_STYLES = {
    True: ("bob", "long", "wavy", "curly", "swept", "long", "wavy", "fringe", "afro", "short"),
    False: ("buzz", "short", "crop", "quiff", "fringe", "swept", "curly", "afro", "short", "crop",
            "bob", "wavy"),
}  # fmt: skip
_UNDER_HAT = {True: ("long", "bob", "wavy"), False: ("buzz", "short")}
# height of the picture and how far below the eyes its middle is, in heads and in pictures
_SHOTS: Mapping[str, tuple[float, float, float, float]] = {
    "close": (2.2, 3.2, 0.0, 0.08), "head": (3.2, 5.0, 0.06, 0.34), "bust": (5.0, 7.5, 0.2, 0.30),
    "waist": (7.5, 10.5, 0.3, 0.18), "full": (12, 20, 0.42, 0.10),
}  # fmt: skip


@dataclass(frozen=True)
class Assets:
    """A folder with `makehuman/`, `hdri/` and `animals/` (docs/people.md says where they are from)."""

    folder: Path

    def __post_init__(self) -> None:
        for part in ("makehuman", "hdri"):
            if not (self.folder / part).is_dir():
                raise InputError(
                    f"{self.folder} has no folder {part!r}: it is not a folder of people's assets. "
                    "docs/people.md says what it must hold."
                )

    @cached_property
    def panoramas(self) -> list[Path]:
        """HDR panoramas, by name."""
        return sorted((self.folder / "hdri").glob("*.exr"))

    def worn(self, *parts: str) -> Worn:
        """Return a garment, hair or eyes, read once."""
        return _worn(self.folder.joinpath("makehuman", *parts))

    def texture(self, *parts: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return colour and alpha of a texture."""
        return looks.picture(self.folder.joinpath("makehuman", *parts))


@lru_cache(maxsize=64)
def _worn(path: Path) -> Worn:
    return Worn(path)


@dataclass
class _Actor:
    """One person while being drawn. vertices: shaped, at rest. posed: moved by `movement`."""

    rngs: Mapping[str, Rng]
    female: bool
    shape: Shape
    vertices: Floats
    movement: Floats
    posed: Floats
    tone: Floats
    dark: bool
    colour: Floats
    head: hair.Head
    camera: Camera
    pixel: float
    fade: Floats
    hidden: set[int]
    parts: list[DrawnMesh]


class Studio:
    """Draws people. assets: clothes, hair, eyes and panoramas. The base body is read once."""

    def __init__(self, assets: Assets) -> None:
        self.assets = assets
        self.body = Body()

    def person(self, seed: int, side: int, seconds: float = 0.0) -> NDArray[np.uint8]:
        """Return a person as straight display-encoded RGBA, (side, side, 4) uint8.

        seconds: later in the clip of this person (pose, camera and hair move).
        """
        actor = self._actor(seed, side, seconds)
        self._dress(actor)
        self._grow_hair(actor)
        self._face(actor)
        lights = self._lights(actor)
        premultiplied = draw(actor.parts, actor.camera, lights, side)
        return straight(premultiplied, exposure(actor.rngs["light"], premultiplied))

    def blurred(
        self, seed: int, side: int, seconds: float, shutter: float, samples: int = 5
    ) -> NDArray[np.uint8]:
        """Return a frame with motion blur: the mean of samples while the shutter (seconds) is open."""
        total = np.zeros((side, side, 4), np.float32)
        for index in range(samples):
            frame = self.person(seed, side, seconds + shutter * index / samples)
            part = frame.astype(np.float32) / 255
            total += np.dstack((part[..., :3] * part[..., 3:], part[..., 3:])) / samples
        alpha = total[..., 3:]
        colour = total[..., :3] / np.maximum(alpha, 1e-4)
        return np.round(np.dstack((colour.clip(0, 1), alpha)) * 255).astype(np.uint8)

    def _actor(self, seed: int, side: int, seconds: float) -> _Actor:
        rngs = {n: np.random.default_rng([seed, i]) for i, n in enumerate(_TOPICS)}
        rng = rngs["shape"]
        shape = random_shape(rng)
        vertices = self.body.shaped(rng, shape)
        pose = random_pose(rngs["pose"])
        if seconds:
            pose = moved(rngs["sway"], pose, seconds)
        movement = self.body.posed(vertices, pose)
        posed = skinned(vertices, self.body.weights, movement)
        origin = np.asarray(shape.origin)
        tone = looks.skin_tone(rngs["skin"], origin)
        dark = float(tone.mean()) < 0.55
        colour = looks.hair_colour(rngs["skin"], dark, shape.age > 0.75)
        head = hair.head(self.body, vertices)
        camera, tall = self._camera(rngs, posed, head.size, seconds)
        return _Actor(
            rngs, shape.female > 0.5, shape, vertices, movement, posed, tone, dark, colour, head,
            camera, tall / side, np.zeros(len(vertices)), set(), [],
        )  # fmt: skip

    def _camera(
        self, rngs: Mapping[str, Rng], posed: Floats, size: float, seconds: float
    ) -> tuple[Camera, float]:
        """Return a camera and the height of what it sees, in decimetres."""
        rng, groups = rngs["camera"], self.body.groups
        eye = (posed[groups["joint-l-eye"]].mean(0) + posed[groups["joint-r-eye"]].mean(0)) / 2
        kind = str(rng.choice(list(_SHOTS), p=[shot[3] for shot in _SHOTS.values()]))
        low, high, drop, _ = _SHOTS[kind]
        tall = rng.uniform(low, high) * size
        fall = (drop + rng.normal(0, 0.04)) * tall
        aim = eye + np.array([rng.normal(0, 0.07) * tall, -fall, -0.4 * size])
        around = rng.normal(0, 24) if rng.random() < 0.85 else rng.uniform(-90, 90)
        height, view = rng.normal(2, 7), math.radians(rng.uniform(18, 45))
        if seconds:
            reach, pace, phase = rngs["drift"].uniform((1, 0.05, 0), (12, 0.5, 6.28))
            around += reach * (math.sin(phase + 6.28 * pace * seconds) - math.sin(phase))
        turn, tilt = math.radians(around), math.radians(height)
        toward = np.array(
            [math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)]
        )
        distance = tall / 2 / math.tan(view / 2)
        roll = math.radians(rng.normal(0, 3))
        return Camera(aim + toward * distance, aim, view, roll), tall

    def _lights(self, actor: _Actor) -> Lights:
        rng = actor.rngs["light"]
        panoramas = self.assets.panoramas
        return looks.lights(rng, panoramas[int(rng.integers(len(panoramas)))])

    def _add(
        self, actor: _Actor, vertices: Floats, faces: Faces, points: Floats,
        texture: NDArray[np.uint8], gloss: float, fold: float = 0.0, **more: Floats,
    ) -> None:  # fmt: skip
        """A surface; fold: how much its shading waves, as cloth does."""
        facing = normals(vertices, faces.corners)
        if fold:
            rng, size = actor.rngs["clothes"], actor.head.size
            for _ in range(5):
                wave = rng.normal(0, 1, 3) * rng.uniform(1, 7) / size
                swing = np.cos(vertices @ wave + rng.random() * 6)[:, None]
                facing = facing + fold * swing * wave / np.linalg.norm(wave)
            facing = hair.unit(facing)
        actor.parts.append(
            DrawnMesh(
                vertices, faces.corners, facing, points[faces.points], texture, gloss=gloss, **more
            )
        )

    def _wear(
        self,
        actor: _Actor,
        thing: Worn,
        texture: NDArray[np.uint8],
        gloss: float,
        fold: float = 0.0,
    ) -> None:
        placed = skinned(
            thing.fitted(actor.vertices), thing.weights(self.body.weights), actor.movement
        )
        self._add(actor, placed, thing.mesh.faces, thing.mesh.points, texture, gloss, fold)

    def _dress(self, actor: _Actor) -> None:
        rng = actor.rngs["clothes"]
        kind = rng.random()
        if kind < 0.55:
            self._suit(actor)
        elif kind < 0.98:
            self._cut_clothes(actor)

    def _suit(self, actor: _Actor) -> None:
        """A garment of the assets, in its own or another cloth."""
        rng = actor.rngs["clothes"]
        sex = "female" if actor.female else "male"
        folder = self.assets.folder / "makehuman" / "clothes"
        name = str(rng.choice(sorted(path.name for path in folder.glob(f"{sex}_*"))))
        garment = self.assets.worn("clothes", name, f"{name}.mhclo")
        actor.hidden |= garment.hidden
        own = folder / name / f"{name}_diffuse.png"
        plain = rng.random() < 0.35 or not own.is_file()
        texture = looks.cloth(rng) if plain else looks.recoloured(rng, looks.picture(own)[0])
        self._wear(actor, garment, texture, rng.uniform(0, 0.12), rng.uniform(0, 0.35))

    def _cut_clothes(self, actor: _Actor) -> None:
        """A top and trousers cut from the body's loose second skin: neck line, sleeves, hem."""
        rng, size, body = actor.rngs["clothes"], actor.head.size, self.body
        vertices, faces = actor.vertices, body.mesh.groups["helper-tights"]
        loose = rng.uniform(0.02, 0.18) * size
        which = body.groups["helper-tights"]
        waves = rng.normal(0, 1, (3, 6)) * rng.uniform(1, 4) / size
        wave = np.sin(vertices[which] @ waves + rng.random(6) * 6).mean(1)
        placed = vertices.copy()
        facing = normals(vertices, faces.corners)[which]
        placed[which] += facing * (loose * (1 + 0.9 * wave))[:, None]
        neck, arm, wrist, leg = (
            body.joint(vertices, bone)
            for bone in ("neck01", "upperarm01.L", "wrist.L", "upperleg01.L")
        )
        reach = arm[0] + rng.choice([0.1, 0.5, 0.8, 1.02, 1.02, 1.02]) * (wrist[0] - arm[0]) + 0.05
        collar = neck[1] + rng.choice([-0.9, -0.55, -0.35, -0.15, 0.1]) * size
        vee = rng.choice([0, 0, rng.uniform(0.3, 1.5)])
        hem = leg[1] + rng.uniform(-0.8, 0.5) * size
        across, high = np.abs(vertices[:, 0]), vertices[:, 1]
        open_ = vee * np.clip(0.6 - across / size, 0, 1) * (vertices[:, 2] > 0.2 * size)
        collar_line = np.maximum(collar - open_ - high, across - size)
        top = np.minimum(np.minimum(reach - across, high - hem), collar_line)
        trousers = np.where(across < 2.2 * size, hem + 0.08 - high, -1)
        moved_cloth = skinned(placed, body.weights, actor.movement)
        for inside in (top, trousers):
            some = inside[faces.corners].max(1) > 0
            if some.any():
                part = Faces(faces.corners[some], faces.points[some])
                self._add(
                    actor, moved_cloth, part, body.mesh.points, looks.cloth(rng),
                    rng.uniform(0, 0.12), rng.uniform(0, 0.35), clip=inside,
                )  # fmt: skip
        covered = (across < reach - 0.15) & (high > hem) & (high < collar - vee * 0.6 - 0.25)
        covered = (covered | (high < hem - 0.1)) & (across < wrist[0] - 0.3)
        actor.hidden |= set(np.nonzero(covered)[0].tolist()) & set(body.groups["body"].tolist())

    def _grow_hair(self, actor: _Actor) -> None:
        rng, female = actor.rngs["hair"], actor.female
        kinds, odds = ("strand", "card", "both", "bald", "hat"), (0.5, 0.2, 0.2, 0.05, 0.05)
        kind = str(rng.choice(kinds, p=odds))
        if kind == "bald" and female:
            kind = "strand"
        if kind in ("card", "both"):
            self._hair_cards(actor)
        if kind == "hat":
            hat = str(rng.choice(["fedora", "fedora_cocked"]))
            thing = self.assets.worn("clothes", "fedora01", f"{hat}.mhclo")
            self._wear(actor, thing, looks.cloth(rng), 0.05)
        actor.fade = actor.head.scalp * (0.0 if kind == "bald" else 0.9)
        if kind in ("strand", "both", "hat"):
            names = (_UNDER_HAT if kind == "hat" else _STYLES)[female]
            self._scalp(actor, str(rng.choice(names)), sparse=kind == "both")
        if not female and rng.random() < 0.4:
            share = actor.head.moustache + actor.head.beard * rng.choice([0, 1, 1])
            share = np.clip(share, 0, 1)
            style = hair.STYLES[str(rng.choice(["beard", "beard", "longbeard"]))]
            actor.fade = np.clip(actor.fade + share * 0.55, 0, 1)
            width = np.full(2500, 0.007 * actor.head.size)
            self._strands(actor, share, style.varied(rng, 0.5, 1.3), width)

    def _hair_cards(self, actor: _Actor) -> None:
        rng = actor.rngs["hair"]
        name = str(rng.choice(_CARDS[actor.female]))
        colour, alpha = self.assets.texture("hair", name, f"{name}_diffuse.png")
        light = colour.mean(2)
        light = np.clip(light / (light[alpha > 0.5].mean() + 1e-6), 0, 3)
        dyed = actor.colour * (0.25 + 0.75 * light)[..., None]
        thing = self.assets.worn("hair", name, f"{name}.mhclo")
        self._wear(actor, thing, looks.codes(dyed, alpha), rng.uniform(0.1, 0.3))

    def _scalp(self, actor: _Actor, name: str, sparse: bool) -> None:
        """Strands on the scalp; sparse: only a few that fly over cards."""
        rng, size = actor.rngs["hair"], actor.head.size
        style = hair.STYLES[name].varied(rng)
        # Most heads are tidier than the styles say; a third keeps their disorder.
        tidy = 1.0 if rng.random() < 0.33 else rng.uniform(0.3, 0.8)
        style = replace(
            style, part=float(rng.choice([-0.3, 0, 0.3, 0.15])), lift=style.lift * tidy,
            messy=style.messy * tidy, stray=style.stray * tidy, flyaway=style.flyaway * tidy,
        )  # fmt: skip
        count = 700 if sparse else 9000 if name in ("buzz", "crop", "short") else 6500
        thin = np.full(count, (0.009 if name == "buzz" else 0.006) * size)
        if sparse:
            style = replace(style, flyaway=0.8)
        elif name != "buzz":
            thick = np.clip(rng.uniform(0.7, 1.3) * actor.pixel, 0.010 * size, 0.035 * size)
            thin[rng.random(count) < 0.7] = thick
        self._strands(actor, actor.head.scalp, style, thin)

    def _strands(self, actor: _Actor, share: Floats, style: hair.Style, width: Floats) -> None:
        rng, body, head = actor.rngs["hair"], self.body, actor.head
        faces = body.mesh.groups["body"].corners
        planted = hair.roots(rng, actor.vertices, faces, share, len(width))
        if planted is None:
            return
        which = body.groups["body"]
        which = which[
            (actor.vertices[which, 1] > head.centre[1] - 6 * head.size)
            & (np.abs(actor.vertices[which, 0]) < 3 * head.size)
        ]
        skin = (actor.posed[which], normals(actor.posed, faces)[which])
        movement = actor.movement[body.order.index("head")]
        strands = hair.grow(rng, planted, head, style, skin, movement)
        drawn = np.maximum(width, actor.pixel / SAMPLES * 1.05)
        vertices, triangles, along, tangents = hair.ribbons(strands, drawn, actor.camera.place)
        linear = looks.linear(actor.colour)
        tone = np.repeat(rng.random(len(strands)), strands.shape[1] * 2) * 0.8 + 0.25 * along
        shade = np.clip(tone, 0, 1)[:, None]
        colour = linear * 0.5 * (1 - shade) + np.clip(linear * 1.8 + 0.004, 0, 1) * shade
        cover = np.repeat(width / drawn, (strands.shape[1] - 1) * 2).clip(0, 1)
        actor.parts.append(
            DrawnMesh(vertices, triangles, np.zeros_like(vertices), colour=colour,
                 gloss=float(rng.uniform(0.2, 0.7)), tangents=tangents, cover=cover)
        )  # fmt: skip

    def _face(self, actor: _Actor) -> None:
        """Skin, teeth, eyes, brows and lashes."""
        rng, body = actor.rngs["skin"], self.body
        faces = body.mesh.groups["body"]
        gone = np.zeros(len(actor.vertices), bool)
        gone[list(actor.hidden)] = True
        kept = ~gone[faces.corners].all(1)
        faces = Faces(faces.corners[kept], faces.points[kept])
        linear, tone = looks.linear(actor.colour), looks.linear(actor.tone)
        tint = 1 + actor.fade[:, None] * (linear * 0.8 / tone - 1)
        skin = looks.skin(rng, body, actor.tone, actor.shape.female)
        gloss = rng.uniform(0.05, 0.35)
        self._add(actor, actor.posed, faces, body.mesh.points, skin, gloss, colour=tint)
        ivory = looks.even(np.array([0.85, 0.82, 0.75]))
        for group in ("helper-upper-teeth", "helper-lower-teeth"):
            teeth = body.mesh.groups[group]
            self._add(actor, actor.posed, teeth, body.mesh.points, ivory, 0.3)
        folder = self.assets.folder / "makehuman" / "eyes" / "materials"
        names = sorted(path.name for path in folder.glob("*.png"))
        brown = ["brown_eye.png"] * (30 if actor.dark else 3)
        colour, alpha = self.assets.texture("eyes", "materials", str(rng.choice(names + brown)))
        eyes = self.assets.worn("eyes", "low-poly", "low-poly.mhclo")
        self._wear(actor, eyes, looks.codes(colour, (alpha > 0.02).astype(float)), 0.6)
        for kind, ink in (("eyebrows", actor.colour * 0.6), ("eyelashes", np.full(3, 0.02))):
            folder = self.assets.folder / "makehuman" / kind
            name = str(rng.choice(sorted(p.name for p in folder.iterdir() if p.is_dir())))
            colour, alpha = self.assets.texture(kind, name, f"{name}.png")
            texture = looks.codes(np.broadcast_to(ink, colour.shape), alpha)
            self._wear(actor, self.assets.worn(kind, name, f"{name}.mhclo"), texture, 0.0)


def random_shape(rng: Rng) -> Shape:
    """Return a random shape: any sex, from a child's age on, any population, often with a smile."""
    female = rng.random() < 0.5
    ages = ((0.25, 0.4), (0.45, 0.6), (0.5, 0.75), (0.75, 1.0))
    low, high = ages[int(rng.choice(4, p=[0.1, 0.45, 0.27, 0.18]))]
    face = {}
    for name in _MOVES:
        if rng.random() < (0.45 if "Smile" in name else 0.15):
            amount = float(rng.uniform(0.1, 0.8))
            face[name] = amount
            if name.endswith("Left"):
                face[name[:-4] + "Right"] = amount
    return Shape(
        female=float(rng.uniform(0.8, 1) if female else rng.uniform(0, 0.2)),
        age=float(rng.uniform(low, high)),
        muscle=float(rng.uniform(0.3, 0.8)),
        weight=float(np.clip(rng.normal(0.5, 0.2), 0.1, 1)),
        height=float(rng.uniform(0.3, 0.7)),
        cup=float(rng.uniform(-0.6, 0.7)),
        origin=rng.dirichlet([0.5, 0.5, 0.5]).tolist(),
        face=face,
    )


def exposure(rng: Rng, premultiplied: NDArray[np.float32]) -> float:
    """Return a gain that brings the bright part of a subject to 0.4 to 1."""
    covered = premultiplied[..., 3] > 0.5
    bright = premultiplied[covered][:, :3].max(1) if covered.any() else np.ones(1)
    return float(rng.uniform(0.4, 1.0) / (np.percentile(bright, 93) + 1e-4))
