# SPDX-License-Identifier: Apache-2.0
"""Short clips of people for networks with a memory: still samples that move, each frame exact.

A subject moves before a place that moves otherwise, as before a hand-held camera; a labelled
photograph moves as a whole. Nothing bends: hair and hands keep their shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.train.people.composites import Composer, Sample, composed, finished, warped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.train.textures import Rng

    Float = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Way:
    """A smooth way of a layer: where it is at a time 0..1.

    shift: (x, y) in sides of the picture. turn: degrees. growth: factor on the size, less 1.
    """

    shift: tuple[float, float]
    turn: float
    growth: float

    def at(self, time: float, side: int) -> Float:
        """Return the 2 x 3 matrix of that time; at the middle of the clip nothing has moved."""
        import cv2

        along = time - 0.5
        middle = (side / 2 - 0.5, side / 2 - 0.5)
        matrix = cv2.getRotationMatrix2D(middle, self.turn * along, 1 + self.growth * along)
        matrix[:, 2] += np.array(self.shift) * along * side
        return np.asarray(matrix, np.float32)


def way(rng: Rng, much: float) -> Way:
    """Draw a way. much: how far it goes, 1 for a subject that walks a tenth of the picture."""
    return Way(
        (float(rng.normal(0, 0.1 * much)), float(rng.normal(0, 0.04 * much))),
        float(rng.normal(0, 4 * much)),
        float(rng.normal(0, 0.06 * much)),
    )


def clip(composer: Composer, seed: int, number: int, frames: int) -> list[Sample]:
    """Return the frames of clip `number` of this seed: always the same.

    A fifth of the clips stand still, so that rest is learned as well.
    """
    rng = np.random.default_rng([seed, number])
    scene, whole = composer.scene(rng)
    much = 0.0 if rng.random() < 0.2 else float(rng.uniform(0.3, 1.3))
    front, camera = way(rng, much), way(rng, much * float(rng.uniform(0, 0.8)))
    camera_seed = int(rng.integers(2**31))
    found = []
    for frame in range(frames):
        time = frame / max(1, frames - 1)
        moved = together(scene, camera, time) if whole else apart(scene, front, camera, time)
        grain = np.random.default_rng([seed, number, frame])
        found.append(finished(np.random.default_rng(camera_seed), moved, grain))
    return found


def together(scene: Sample, camera: Way, time: float) -> Sample:
    """Return a whole photograph at a time of its clip, its label with it."""
    matrix = camera.at(time, len(scene.plate))
    return Sample(*(warped(layer, matrix, mirrored=True) for layer in scene))


def apart(scene: Sample, front: Way, camera: Way, time: float) -> Sample:
    """Return a composite at a time of its clip: the subject on its way before a moving place.

    Premultiplied colour moves, so no pixel beside the subject bleeds in. What an edge of the picture
    cuts goes on behind that edge.
    """
    side = len(scene.plate)
    matrix = front.at(time, side)
    alpha = warped(scene.alpha, matrix)
    lit = warped(scene.foreground * scene.alpha, matrix)
    colour = (lit / np.maximum(alpha, 1e-4)).clip(0, 1)
    place = warped(scene.background, camera.at(time, side), mirrored=True)
    return composed(colour, place, alpha, warped(scene.weight, matrix))
