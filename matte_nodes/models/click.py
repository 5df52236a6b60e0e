# SPDX-License-Identifier: Apache-2.0
"""Click: a subject selected by clicks or a box, and carried through the shot. No download."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import (
    Bank,
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
)
from matte_nodes.media.resize import resized
from matte_nodes.models import u2netp
from matte_nodes.points import ONLY, FramePoints

if TYPE_CHECKING:
    from matte_nodes.card import Float


KEPT = 8
"""Pictures whose salience a loaded model keeps, 1.6 MB each."""


class Click:
    """Masks by a cut with odds of clicks, colours and salience; between key frames by flow."""

    def __init__(self, context: LoadContext) -> None:
        self._salient = u2netp.U2NetP(context) if u2netp.FILE in context.weights else None
        # The next click is on the same picture: the network need not look at it again. What is
        # kept is a function of the key alone, so that it changes no answer.
        self._map = lru_cache(maxsize=KEPT)(self._salience)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return the mask of this frame, from its own marks and the frame before."""
        following = self.advance(inputs, memory, knobs)
        masks = {
            name[:-5]: np.asarray(tensor, np.float32) / np.float32(255)
            for name, tensor in following.items()
            if name.endswith("/mask")
        }
        return self.answer(inputs, masks, knobs), following

    def advance(self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]) -> Memory:
        """Return the memory after this frame: 8-bit plate, and mask and key frame of each object."""
        from matte_nodes.select import track
        from matte_nodes.select.edge import bounded
        from matte_nodes.select.segment import SIDE

        del knobs
        small = bounded(inputs.plate, SIDE)
        scale = small.shape[1] / inputs.plate.shape[1], small.shape[0] / inputs.plate.shape[0]
        points = inputs.points or FramePoints((ONLY,))
        marks = {name: m.scaled(*scale) for name, m in points.marks.items()}
        salience = None if self._salient is None else self._stands_out
        return track.followed(
            small, points.objects, marks, memory, salience, _painted(inputs, small)
        )

    def answer(
        self, inputs: Inputs, masks: Mapping[str, Float], knobs: Mapping[str, KnobValue]
    ) -> Prediction:
        """Return the union at full size.

        With several objects each one's share of it as `alpha.NAME`.
        """
        from matte_nodes.select.edge import bounded, full_size
        from matte_nodes.select.segment import SIDE

        del knobs
        small, size = bounded(inputs.plate, SIDE), inputs.plate.shape[:2]
        names = inputs.points.objects if inputs.points else tuple(masks)
        found = {
            name: full_size(masks[name], small, inputs.plate)
            if name in masks
            else np.zeros(size, np.float32)
            for name in names
        }
        total = sum(found.values(), np.zeros(size, np.float32))
        union = np.minimum(total, 1).astype(np.float32)
        if len(found) < 2:
            return Prediction(union)
        over = np.maximum(total, 1)
        return Prediction(
            union,
            extras={f"alpha.{name}": (a / over).astype(np.float32) for name, a in found.items()},
        )

    def _stands_out(self, picture: Float) -> Float:
        assert self._salient is not None
        side = u2netp.CARD.fixed_size
        assert side is not None
        small = np.ascontiguousarray(resized(picture, side), np.float32)
        height, width = picture.shape[:2]
        return resized(self._map(small.tobytes()), (height, width))

    def _salience(self, pixels: bytes) -> Float:
        """Return what stands out in a picture of the network's own size, given as its bytes."""
        assert self._salient is not None
        assert u2netp.CARD.fixed_size is not None
        picture = np.frombuffer(pixels, np.float32).reshape(*u2netp.CARD.fixed_size, 3)
        return self._salient.step(Inputs(plate=picture), {}, {})[0].alpha


def _painted(inputs: Inputs, small: Float) -> Float | None:
    """Return a painted key of this frame, at the working size.

    A mask, or a trimap with 0.5 undecided.
    """
    size = small.shape[0], small.shape[1]
    drawn = inputs.segmentation if inputs.segmentation is not None else inputs.trimap
    return None if drawn is None else resized(drawn, size)


CARD = ModelCard(
    name="click",
    title="Click",
    summary="Selects a subject by clicks or a box and carries its mask through the shot.",
    load=Click,
    needs=frozenset({"points"}),
    takes=frozenset({"segmentation", "trimap"}),
    memory=Bank(),
    auto={"points": 10},
    coarse=True,
    helpers=u2netp.CARD.weights,
    training_data="itself none; its helper u2netp: " + u2netp.CARD.training_data,
    papers=(
        "Rother, Kolmogorov, Blake: GrabCut, SIGGRAPH 2004",
        "Kroeger, Timofte, Dai, Van Gool: Fast Optical Flow using Dense Inverse Search, ECCV 2016",
        "He, Sun, Tang: Guided Image Filtering, ECCV 2010",
    ),
    limits="A coarse mask of what moves little between frames: refine its edge by a trimap model, "
    "and click again where it drifts. Without the weights of u2netp it needs more clicks.",
)
