# SPDX-License-Identifier: Apache-2.0
"""Steady: an optional filter over time that takes flicker out of the alphas of models without memory.

A frame's alpha is averaged with those of its two neighbours, carried along by the plates' motion
(dense inverse search flow: Kroeger et al., ECCV 2016, by OpenCV), each pixel as much as the carried
plate resembles this frame's. It is a window over unfiltered predictions, clamped at the ends of the
take, so that frames may be asked for in any order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.temporal.lru import Lru

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float, Prediction
    from matte_nodes.temporal.keys import ShotKeys
    from matte_nodes.temporal.stat_cache import Look
    from matte_nodes.temporal.steps import LoadedFrame, Steps
    from matte_nodes.temporal.timeline import Timeline

    Codes = NDArray[np.uint8]

# Sides of the picture that motion is found on: 11 ms a pair, and finer adds nothing an edge shows.
_FLOW_SIDE = 512

# Codes of 255 by which a carried plate may miss before it counts for half; noise is 2 to 4.
_HALF = 6.0


class Steadier:
    """Steadied predictions of one shot. strength: 0 (off) to 1 (the plain average)."""

    def __init__(self, timeline: Timeline, keys: ShotKeys, steps: Steps, strength: float) -> None:
        self._timeline, self._keys, self._steps = timeline, keys, steps
        self.strength = strength
        self._recent: Lru[tuple[Prediction, Codes]] = Lru(0, at_least=4)

    def steadied(self, loaded: LoadedFrame, look: Look) -> Prediction:
        """Return the model's answer for a frame, its alpha steadied by the neighbours'."""
        own, here = self._answer(loaded, look)
        others = []
        for place in self._timeline.steadied_by(loaded.index, look):
            if place != loaded.index:
                kept = self._recent.get(self._keys.step(place, look).key)
                others.append(kept or self._answer(self._steps.load(place, look), look))
        carried = [(other.alpha, seen) for other, seen in others]
        return replace(own, alpha=steadied_alpha(own.alpha, here, carried, self.strength))

    def _answer(self, loaded: LoadedFrame, look: Look) -> tuple[Prediction, Codes]:
        found = self._recent.get(loaded.link.key)
        if found is None:
            found = self._steps.prediction(loaded, look), small_codes(loaded.seen.inputs.plate)
            self._recent.put(loaded.link.key, found, 1)
        return found


def steadied_alpha(
    alpha: Float, here: Codes, others: list[tuple[Float, Codes]], strength: float
) -> Float:
    """Return alpha (H, W) 0..1 averaged with its neighbours' along the motion.

    here: this frame as `small_codes` makes it. others: (alpha, small codes) of the neighbours.

    A pixel that is the same in all of them does not flicker and stays: solid stays solid.
    """
    total, weights = alpha.copy(), np.ones_like(alpha)
    changes = np.zeros(alpha.shape, np.bool_)
    for other, seen in others:
        changes |= other != alpha
        carried, likeness = carry(other, seen, here)
        total += strength * likeness * carried
        weights += strength * likeness
    steady: Float = np.where(changes, np.clip(total / weights, 0, 1), alpha)
    return steady


def carry(alpha: Float, seen: Codes, here: Codes) -> tuple[Float, Float]:
    """Another frame's alpha (H, W) moved to where this frame's picture is, and how well it fits.

    seen, here: the other frame and this one, as `small_codes` makes them. Fit is 0..1 a pixel, in
    colour: a grey coat before a green screen of the same brightness moves unseen by the flow.
    """
    import cv2

    height, width = alpha.shape
    if min(here.shape[:2]) < 16:  # too small to find motion in: as if nothing moved
        flow = np.zeros((*here.shape[:2], 2), np.float32)
    else:
        finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        grey, other = (cv2.cvtColor(codes, cv2.COLOR_RGB2GRAY) for codes in (here, seen))
        flow = np.asarray(finder.calc(grey, other, None), np.float32)
    moved = _moved(seen, flow)
    apart = np.abs(moved.astype(np.float32) - here).mean(axis=2)
    miss = cv2.GaussianBlur(apart, (0, 0), 1.0)
    fit = np.exp2(-((miss / _HALF) ** 2)).astype(np.float32)
    scale = np.array([width / here.shape[1], height / here.shape[0]], np.float32)
    full = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
    fit = cv2.resize(fit, (width, height), interpolation=cv2.INTER_LINEAR)
    return _moved(alpha, full), np.asarray(fit, np.float32)


def small_codes(seen: Float) -> Codes:
    """Return the picture for motion estimation: the network copy (H, W, 3), small, in 8 bits."""
    import cv2

    scale = min(1.0, _FLOW_SIDE / max(seen.shape[:2]))
    size = (max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale)))
    small = cv2.resize(np.ascontiguousarray(seen), size, interpolation=cv2.INTER_AREA)
    codes: Codes = np.clip(np.rint(np.asarray(small) * 255), 0, 255).astype(np.uint8)
    return codes


def flow_numerics() -> str:
    """Return what the flow's last bits depend on: OpenCV cuts the picture by its number of threads."""
    import cv2

    return f"flow in colour, threads={cv2.getNumThreads()}"


def _moved(picture: NDArray[Any], flow: Float) -> NDArray[Any]:
    import cv2

    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.asarray(
        cv2.remap(
            picture,
            x + flow[..., 0],
            y + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
