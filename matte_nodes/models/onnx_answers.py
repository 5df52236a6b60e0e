# SPDX-License-Identifier: Apache-2.0
"""The answer of an ONNX file made an alpha, or an error that says what the answer looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from matte_nodes.errors import ModelError

if TYPE_CHECKING:
    from matte_nodes.card import Float

Activation = Literal["none", "sigmoid", "min-max"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
"""What turns the file's answer into alpha: nothing, 1 / (1 + exp(-x)), or a stretch from its
smallest to its largest value."""

ROUNDING = 0.02
"""How far outside 0..1 an alpha may lie: networks that do not clip, and half precision."""
_FLAT = 1e-5
_EMPTY = 1e-3
"""An alpha below this everywhere is of a frame without a subject, which is no error."""
_LARGEST_LOGIT = 60.0


def alpha_of(answer: Float, activation: str, file: str, *, hinted: bool = False) -> Float:
    """Return alpha (H, W) float32, 0..1, from a file's answer (H, W).

    file: its name, for errors. hinted: a trimap or a clean plate was given, so that all of a plate
    may be known. Raises ModelError for values that are not finite, that are constant, or that lie
    outside of 0..1 after the activation.
    """
    if not np.isfinite(answer).all():
        raise ModelError(
            f"{file}: the answer has values that are not finite. Half precision overflows so: run "
            "a float32 file."
        )
    low, high = float(answer.min()), float(answer.max())
    alpha: Float = answer
    if activation == "sigmoid":
        bounded = np.clip(answer, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        alpha = np.asarray(1 / (1 + np.exp(-bounded)), np.float32)
    elif activation == "min-max":
        alpha = (answer - low) / max(high - low, _FLAT)
    elif low < -ROUNDING or high > 1 + ROUNDING:
        raise ModelError(
            f"{file}: the answer has values from {low:.3g} to {high:.3g}, and alpha is 0 to 1. "
            f"{looks_like(low, high)}"
        )
    if high - low < _FLAT:
        if activation == "min-max":
            alpha = np.full_like(answer, high)  # there is nothing to stretch
        shown = float(alpha.mean())
        if shown > _EMPTY and not (hinted and shown > 1 - _EMPTY):
            raise ModelError(
                f"{file}: the answer is {low:.3g} everywhere: it is no matte. The scale, the mean or "
                "the order of channels in the declaration may be wrong, or another output is alpha."
            )
    return np.asarray(alpha, np.float32).clip(0, 1)


def looks_like(low: float, high: float) -> str:
    """What values in this range seem to be, and what to do, as a sentence."""
    if low >= -1 and 100 < high <= 256:
        return "These look like 8-bit values: convert the file so that it divides them by 255."
    if low < 0 < high or high > 1:
        return (
            'These look like logits: set "activation" to "sigmoid" in the declaration ("min-max", '
            "if its authors stretch the answer)."
        )
    return 'Set "activation" in the declaration: "sigmoid" for logits, "min-max" for a stretch.'
