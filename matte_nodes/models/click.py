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
)
from matte_nodes.media.resize import resized
from matte_nodes.models import u2netp
from matte_nodes.models.carrier import MaskCarrier, painted
from matte_nodes.points import ONLY, FramePoints

if TYPE_CHECKING:
    from matte_nodes.card import Float


KEPT = 16
"""Pictures whose salience a loaded model keeps, 1.6 MB each. A click looks at seven."""


class Click(MaskCarrier):
    """Masks by a cut with odds of clicks, colours and salience; between key frames by flow."""

    def __init__(self, context: LoadContext) -> None:
        self._salient = u2netp.U2NetP(context) if u2netp.FILE in context.weights else None
        # The next click is on the same picture: the network need not look at it again. What is
        # kept is a function of the key alone, so that it changes no answer.
        self._map = lru_cache(maxsize=KEPT)(self._salience)

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
            small, points.objects, marks, memory, salience, painted(inputs, small.shape)
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
        "Lowe: Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004",
    ),
    algorithm_version=5,
    limits="A coarse mask: refine its edge by a trimap model, and click again where it drifts. "
    "What was hidden is found again where it looks much as it did in its key frame. Without the "
    "weights of u2netp it needs more clicks.",
)
