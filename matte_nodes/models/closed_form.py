# SPDX-License-Identifier: Apache-2.0
"""Closed-form matting (Levin et al. 2008) by pymatting: a trimap, no weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from matte_nodes.card import Inputs, Knob, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.errors import ModelError
from matte_nodes.figures import Figure

# Of the sRGB curve from mid grey (0.18 -> 0.461) to white: mixtures of a highlight and a mid grey
# then lie nearly on a straight line, as they do in linear light.
SLOPE_OVER_WHITE = np.float32((1 - 0.461) / (1 - 0.18))
# Photographs take up to 50 steps; one picture in some thousands (large parts of one value) never
# ends, and its tenth thousand of steps is no nearer than the first hundreds.
MOST_STEPS = 500


class SolverWarning(UserWarning):
    """An alpha was not solved to the end."""


class ClosedForm:
    """The matting Laplacian, solved for the unknown band of the trimap."""

    def __init__(self, context: LoadContext) -> None:
        try:
            from pymatting import estimate_alpha_cf
        except ImportError as error:
            raise ModelError(
                "closed-form needs pymatting: pip install 'matte-nodes[closed-form]'."
            ) from error
        self._estimate = estimate_alpha_cf

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of the unknown band; a trimap with one known side only is all that side."""
        trimap = inputs.trimap
        assert trimap is not None  # declared in `needs`; the node has seen to it
        unknown = (trimap > 0) & (trimap < 1)
        if not unknown.any():
            return Prediction(trimap.astype(np.float32)), {}
        known = trimap[~unknown]
        if not known.size or known.min() == known.max():
            # The smoothest alpha that keeps one known side is that side everywhere. Where nothing
            # is known every constant is as good: it stays 0.5.
            side = known[0] if known.size else np.float32(0.5)
            return Prediction(np.full(trimap.shape, side, np.float32)), {}
        alpha = self._window(_light(inputs, str(knobs["light"])), trimap, unknown)
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
        part = plate[window].astype(np.float64)
        # Only proportions count; it wants values in 0..1.
        part = (part - part.min()) / max(float(np.ptp(part)), 1e-9) if part.max() > 1 else part
        solved = solve(self._estimate, part.clip(0, 1), inside.astype(np.float64))
        alpha[window] = np.clip(solved, 0, 1)
        return alpha


def solve(
    estimate: Callable[..., Any], plate: np.ndarray, trimap: np.ndarray, rtol: float = 1e-7
) -> np.ndarray:
    """Return alpha by pymatting's `estimate_alpha_cf`.

    Where it does not settle, the nearest it came to.

    plate: (H, W, 3) float64, 0..1; trimap: (H, W) float64. It warns when it has not settled.
    """
    nearest: list[Any] = [np.inf, np.zeros(0), None]

    def look(a: Any, x: np.ndarray, b: Any, norm_b: float, r: Any, norm_r: float) -> None:
        nearest[2] = norm_b
        if norm_r < nearest[0]:
            nearest[:2] = [norm_r, x.copy()]

    try:
        # Where no unknown pixel lies at the foreground it divides 0 by 0: see below.
        with np.errstate(divide="ignore", invalid="ignore"):
            solved: np.ndarray = estimate(
                plate,
                trimap,
                preconditioner=quiet_preconditioner(),
                cg_kwargs={"rtol": rtol, "maxiter": MOST_STEPS, "callback": look},
            )
        return solved
    except ValueError as error:
        found = nearest[2] == 0 or np.isfinite(nearest[0])
        if "converge" not in str(error) or not found:
            raise
    if nearest[2] == 0:
        return np.where(trimap == 1, 1.0, 0.0)
    # The numbers also keep Python from taking the next frame's word for the same and dropping it.
    warnings.warn(
        f"Closed form did not converge on a frame ({int(((trimap > 0) & (trimap < 1)).sum())} "
        "unknown "
        f"pixels, {nearest[0] / nearest[2]:.2e} of the equation left): the result is its best "
        "approximation. A trimap with a narrower unknown band, or a plate with some grain, helps.",
        SolverWarning,
        stacklevel=2,
    )
    alpha = trimap.copy()
    alpha[(trimap > 0) & (trimap < 1)] = nearest[1]
    return alpha


def _light(inputs: Inputs, choice: str) -> np.ndarray:
    """Return the plate as the Laplacian sees it: (H, W, 3) float32, not bounded above.

    Display-encoded, mean SAD/1000 on the 15 photographs of alphamatting.com is 5.05, scene-linear
    5.48. But the encoding clips: a foreground of 6.0 over 0.2 came back at 3.8. So above 1 the
    curve goes on in a straight line.
    """
    scene = inputs.scene
    if scene is None:
        return inputs.plate
    if choice == "linear":
        return scene
    return inputs.plate + SLOPE_OVER_WHITE * np.maximum(scene - 1, 0)


def _say_nothing(*text: object) -> None:
    """A retry with a stronger shift is normal for nearly flat pictures."""


@cache
def quiet_preconditioner() -> Callable[..., Any]:
    """pymatting's `ichol` without its output: stdout is for JSON lines.

    The same code with another `print`. pymatting itself stays unchanged for other users of it.
    """
    from pymatting.preconditioner.ichol import ichol

    names = {**ichol.__globals__, "print": _say_nothing}
    return FunctionType(ichol.__code__, names, ichol.__name__, ichol.__defaults__)


CARD = ModelCard(
    name="closed-form",
    title="Closed-form matting",
    summary="Any subject from a trimap, with no network: slow, and hard to beat on hair.",
    load=ClosedForm,
    needs=frozenset({"trimap"}),
    packages=("pymatting",),
    wants_scene=True,
    knobs=(
        Knob(
            "light", "choice", "display", choices=("display", "linear"),
            help="Light in which colours are taken to mix: display-encoded suits photographs, "
            "linear is exact for pictures that were composited in linear light.",
        ),
    ),
    tileable=True,
    tile_overlap=64,
    tile_side=2048,
    auto={"trimap": 20, "refine": 20},
    figures=(
        Figure("trimap", "SAD/1000", 5.05, "15 photographs of alphamatting.com, trimap 1, unknown region"),
        Figure("hair", "SAD/1000", 5.05, "15 photographs of alphamatting.com, trimap 1, unknown region"),
    ),
    papers=("Levin, Lischinski, Weiss: A Closed-Form Solution to Natural Image Matting, "
            "PAMI 2008",),
    limits="About 20 s a frame at 1080p on two cores; each frame is solved alone.",
)  # fmt: skip
