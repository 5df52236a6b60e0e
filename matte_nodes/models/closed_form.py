# SPDX-License-Identifier: Apache-2.0
"""Closed-form matting (Levin et al. 2008) by pymatting: a trimap, no weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from ..errors import ModelError
from ..model import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction


class ClosedForm:
    """The matting Laplacian, solved for the unknown band of the trimap."""

    def __init__(self, context: LoadContext) -> None:
        try:
            from pymatting import estimate_alpha_cf
        except ImportError as error:
            raise ModelError(
                "closed-form needs pymatting: pip install 'matte-nodes[closed-form]'."
            ) from error
        # Its preconditioner prints on stdout when it has to try again: JSON lines go there.
        sys.modules["pymatting.preconditioner.ichol"].__dict__["print"] = _say_nothing
        self._solve = estimate_alpha_cf

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Alpha of the unknown band; a trimap with one known side only is all that side."""
        trimap = inputs.trimap
        assert trimap is not None  # declared in `needs`; the node has seen to it
        unknown = (trimap > 0) & (trimap < 1)
        if not unknown.any() or not (trimap == 0).any() or not (trimap == 1).any():
            # Without known pixels on both sides the system has no answer: keep what is known.
            return Prediction(trimap.astype(np.float32)), {}
        alpha = self._window(inputs.plate, trimap, unknown)
        return Prediction(alpha), {}

    def _window(self, plate: np.ndarray, trimap: np.ndarray, unknown: np.ndarray) -> np.ndarray:
        """Solve only the rectangle round the unknown band: the Laplacian looks 2 pixels far."""
        rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
        margin = 4
        top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
        window = np.s_[top : rows[-1] + 1 + margin, left : columns[-1] + 1 + margin]
        inside = trimap[window]
        alpha = trimap.astype(np.float32).copy()
        if not (inside == 0).any() or not (inside == 1).any():
            window, inside = np.s_[:, :], trimap
        # pymatting wants at least 3 x 3 pixels and float64.
        if min(inside.shape) < 3:
            return alpha
        solved = self._solve(plate[window].astype(np.float64), inside.astype(np.float64))
        alpha[window] = np.clip(solved, 0, 1)
        return alpha


def _say_nothing(*text: object) -> None:
    """A retry with a stronger shift is normal for nearly flat pictures."""


CARD = ModelCard(
    name="closed-form",
    title="Closed-form matting",
    summary="Any subject from a trimap, with no network: slow, and hard to beat on hair.",
    load=ClosedForm,
    needs=frozenset({"trimap"}),
    tileable=True,
    tile_overlap=64,
    tile_side=2048,
    papers=("Levin, Lischinski, Weiss: A Closed-Form Solution to Natural Image Matting, "
            "PAMI 2008",),
    limits="About 20 s a frame at 1080p on two cores; each frame is solved alone.",
)  # fmt: skip
