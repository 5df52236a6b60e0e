# SPDX-License-Identifier: Apache-2.0
"""Samples of a recipe: composites with their hints, as stacks of 8-bit planes.

A sample is a (side, side, P) uint8 array. Task "trimap": the planes of `models.cues`, then the
closed-form alpha, then the true alpha. Task "plate": plate, clean plate, segmentation, true alpha.
Task "layers": `LAYERS`, everything that any published network or loss asks for.
Sample number n of a seed is always the same, whatever was made before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.architecture import Task
from matte_nodes.models import cues
from matte_nodes.node.align_background import laid_over
from matte_nodes.node.match_background import matched
from matte_nodes.train import foregrounds, hints
from matte_nodes.train.routes import Composite, Route, compose
from matte_nodes.train.strands import Layer
from matte_nodes.train.textures import Pictures, Rng

if TYPE_CHECKING:
    from matte_nodes.card import Float

LAYERS = {
    "plate": 3, "foreground": 3, "background": 3, "clean": 3, "motion": 4, "segmentation": 1,
    "trimap": 1, "alpha": 1,
}  # fmt: skip
PLANES: Mapping[Task, int] = {
    "trimap": cues.PLANES + 2,
    "plate": 8,
    "layers": sum(LAYERS.values()),
}
ATTEMPTS = 40


@dataclass(frozen=True)
class Maker:
    """Makes samples: which task, which side in pixels, which shares of foregrounds, which route.

    whole: how often a whole part is unknown (see hints.trimap). shadow: the plates of task "layers"
    hold the subject's shadow, which their clean plates do not (task "plate" always has it). matched:
    clean plates are laid over and matched to the plate first, as the node does. pictures: the textures. layers:
    foregrounds of the user's, (H, W, 4) uint8 straight RGBA, used for the part `own` of all
    samples. narrow, wide: the range of a trimap's radius. calm: the part
    of samples that are painted calmly (see Pictures). backs: what backgrounds are painted from, if
    not from the textures. zooms: sizes of crops of those layers, in sides.
    coarse: closed form is solved for the trimap task; without it its plane holds the trimap.
    """

    task: Task
    side: int
    shares: Mapping[str, float]
    route: Route
    pictures: Pictures
    narrow: float = 1.0
    wide: float = 45.0
    calm: float = 0.0
    layers: tuple[np.ndarray, ...] = field(default=())
    own: float = 0.5
    backs: Pictures | None = None
    zooms: tuple[float, ...] = (1.0, 1.5, 2.0)
    coarse: bool = True
    whole: float = 0.0
    shadow: bool = False
    matched: bool = False

    def composite(self, rng: Rng) -> Composite:
        """Return a foreground over another background, by the route."""
        paint = self.pictures
        if self.calm and rng.random() < self.calm:
            paint = paint.calmer()
        if self.layers and rng.random() < self.own:
            layer = cut(
                rng, self.layers[int(rng.integers(len(self.layers)))], self.side, self.zooms
            )
        else:
            layer = foregrounds.make(rng, self.side, paint, self.shares)
        back = paint if self.backs is None else self.backs
        return compose(rng, layer, back(rng, self.side), self.route)

    def __call__(self, seed: int, number: int) -> np.ndarray:
        """Return sample `number` of this seed."""
        rng = np.random.default_rng([seed, number])
        makers = {"trimap": self._trimap, "plate": self._plate, "layers": self._layers}
        return makers[self.task](rng)

    def _trimap(self, rng: Rng) -> np.ndarray:
        for _ in range(ATTEMPTS):
            made = self.composite(rng)
            trimap = hints.trimap(
                rng, made.alpha, narrow=self.narrow, wide=self.wide, whole=self.whole
            )
            if hints.usable(trimap):
                break
        plate = codes(made.plate).astype(np.float32) / np.float32(255)
        coarse = closed_form(plate, trimap) if self.coarse else trimap
        return codes(np.dstack((cues.planes(plate, trimap), coarse, made.alpha)))

    def _plate(self, rng: Rng) -> np.ndarray:
        for _ in range(ATTEMPTS):
            made = self.composite(rng)
            if 0.03 < float(made.alpha.mean()) < 0.8:
                break
        now, clean = hints.imperfect_clean_plate(rng, made.background, made.alpha)
        noisy = self._grainy(rng, Layer(made.foreground, made.alpha), now, clean)
        rough = hints.soft_segmentation(rng, made.alpha)
        if self.matched:
            noisy = noisy[0], as_prepared(*noisy, rough)
        return codes(np.dstack((*noisy, rough, made.alpha)))

    def _grainy(self, rng: Rng, front: Layer, now: Float, clean: Float) -> tuple[Float, Float]:
        """Return a foreground over what is behind it now, and its clean plate, with a camera's noise."""
        route = Route(linear=self.route.linear, camera=self.route.camera)
        seen = compose(rng, front, now, route).plate
        grain = rng.uniform(0, self.route.noise_sigma)
        noisy = [(p + rng.normal(0, grain, p.shape)).astype(np.float32) for p in (seen, clean)]
        return noisy[0], noisy[1]

    def _layers(self, rng: Rng) -> np.ndarray:
        for _ in range(ATTEMPTS):
            made = self.composite(rng)
            trimap = hints.trimap(
                rng, made.alpha, narrow=self.narrow, wide=self.wide, whole=self.whole
            )
            if hints.usable(trimap):
                break
        now, clean = hints.imperfect_clean_plate(rng, made.background, made.alpha)
        front = Layer(made.foreground, made.alpha)
        plate = made.plate
        if self.shadow:
            plate, clean = self._grainy(rng, front, now, clean)
        motion = hints.motion_stack(rng, front.colour, front.alpha, made.background)
        rough = hints.soft_segmentation(rng, made.alpha)
        if self.matched:
            clean = as_prepared(plate, clean, rough)
        return codes(np.dstack(
            (plate, made.foreground, made.background, clean, motion, rough, trimap, made.alpha)
        ))  # fmt: skip


def as_prepared(plate: Float, clean: Float, rough: Float) -> Float:
    """Return the clean plate as a node gives it to a network: laid over the plate and matched to it.

    All display-encoded, 0..1.
    """
    seen, there = codes(plate), codes(clean)
    there = laid_over(there, seen, rough).pixels
    found: Float = matched(there, seen, rough).astype(np.float32) / np.float32(255)
    return found


def cut(
    rng: Rng, picture: np.ndarray, side: int, zooms: Sequence[float] = (1.0, 1.5, 2.0)
) -> Layer:
    """Return a square of a user's foreground, centred on a soft pixel, flipped at random.

    Deep Image Matting's crop: 320, 480 or 640 pixels round an unknown pixel, resized to the side.
    """
    import cv2

    take = int(min(side * rng.choice(zooms), *picture.shape[:2]))
    alpha = picture[..., 3]
    rows, columns = np.nonzero((alpha > 0) & (alpha < 255))
    index = int(rng.integers(len(rows))) if len(rows) else 0
    y, x = (int(rows[index]), int(columns[index])) if len(rows) else (0, 0)
    top = int(np.clip(y - rng.integers(take), 0, picture.shape[0] - take))
    left = int(np.clip(x - rng.integers(take), 0, picture.shape[1] - take))
    crop = picture[top : top + take, left : left + take].astype(np.float32) / 255
    crop[..., :3] *= crop[..., 3:]
    crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
    cover = np.maximum(crop[..., 3:], np.float32(1e-3))
    colour: Float = (crop[..., :3] / cover).clip(0, 1)
    return Layer(colour, np.asarray(crop[..., 3].copy(), np.float32))


def closed_form(plate: Float, trimap: Float) -> Float:
    """Return the closed-form alpha of a crop, solved a little less exactly than the model does."""
    import warnings

    from pymatting import estimate_alpha_cf

    from matte_nodes.models.closed_form import SolverWarning, solve

    known = (trimap == 0).any() and (trimap == 1).any()
    if not known:
        return trimap
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SolverWarning)
        solved = solve(
            estimate_alpha_cf, plate.astype(np.float64).clip(0, 1), trimap.astype(np.float64), 1e-5
        )
    found: Float = solved.clip(0, 1).astype(np.float32)
    return found


def codes(values: Float) -> np.ndarray:
    """0..1 as 8-bit codes."""
    found: np.ndarray = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    return found
