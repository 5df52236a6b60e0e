# SPDX-License-Identifier: Apache-2.0
"""The per-pixel metrics: SAD, MAD, MSE, foreground MSE and dtSSD, with Grad and Conn.

Every metric takes float32 arrays in 0..1 and a `region`: a bool (H, W) mask, or None for the whole
picture. Empty sums are 0; empty means are None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.evaluate.connectivity import connectivity_error
from matte_nodes.evaluate.gradient import gradient_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

    Mask = NDArray[np.bool_]


def sad(pred: Float, true: Float, region: Mask | None = None) -> float:
    """Sum of absolute differences / 1000."""
    return thousands(_difference(pred, true, region, np.abs))


def mad(pred: Float, true: Float, region: Mask | None = None) -> float | None:
    """Mean absolute difference over the region's pixels, in alpha units (0..1)."""
    return _mean(_difference(pred, true, region, np.abs))


def mse(pred: Float, true: Float, region: Mask | None = None) -> float | None:
    """Mean squared difference over the region's pixels, in alpha units squared."""
    return _mean(_difference(pred, true, region, np.square))


def grad(pred: Float, true: Float, region: Mask | None = None) -> float:
    """Gradient error / 1000 (Rhemann et al., CVPR 2009): see `gradient.gradient_error`."""
    _check(pred, true, region)
    return thousands(gradient_error(pred, true), region)


def conn(pred: Float, true: Float, region: Mask | None = None) -> float:
    """Connectivity error / 1000 (Rhemann et al., CVPR 2009): see `connectivity_error`."""
    _check(pred, true, region)
    return thousands(connectivity_error(pred, true), region)


def fg_mse(
    pred_fg: Float, true_fg: Float, true_alpha: Float, region: Mask | None = None
) -> float | None:
    """Mean squared difference of straight foregrounds where the true alpha is above 0.

    pred_fg, true_fg: (H, W, 3), both in one encoding; the unit is that encoding squared. The mean
    is over pixels and channels, not weighted by alpha. Returns None where the region holds no
    subject.
    """
    if pred_fg.shape != true_fg.shape or pred_fg.shape[:2] != true_alpha.shape:
        raise InputError(
            f"Foregrounds of {pred_fg.shape} and {true_fg.shape} and an alpha of "
            f"{true_alpha.shape} cannot be compared: they must be of one size."
        )
    subject = true_alpha > 0 if region is None else (true_alpha > 0) & region
    difference = pred_fg[subject].astype(np.float64) - true_fg[subject]
    return _mean(np.square(difference))


def dtssd(
    pred: Float, pred_before: Float, true: Float, true_before: Float, region: Mask | None = None
) -> float | None:
    """Temporal incoherence of a pair of neighbouring frames, x 100 (Erofeev et al., BMVC 2015).

    The root of the mean over the region of ((pred - pred_before) - (true - true_before))^2. The
    paper takes the root of a sum; published video matting tables divide it by the root of the pixel
    count, so that it does not grow with the picture. We do the same. A sequence's dtSSD is the mean
    over its pairs.
    """
    _check(pred, true, region)
    _check(pred_before, true_before, region)
    _check(pred, pred_before, region)
    change = _of(pred.astype(np.float64) - pred_before, region)
    error = change - _of(true.astype(np.float64) - true_before, region)
    mean = _mean(np.square(error))
    return None if mean is None else 100 * float(np.sqrt(mean))


def thousands(errors: NDArray[np.float64], region: Mask | None = None) -> float:
    """Return the sum of an error map over the region, divided by 1000."""
    return float(_of(errors, region).sum()) / 1000


def _difference(pred: Float, true: Float, region: Mask | None, of: np.ufunc) -> NDArray[np.float64]:
    _check(pred, true, region)
    difference: NDArray[np.float64] = of(_of(pred, region).astype(np.float64) - _of(true, region))
    return difference


def _of(values: NDArray[np.floating], region: Mask | None) -> NDArray[np.floating]:
    return values if region is None else values[region]


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None


def _check(pred: Float, true: Float, region: Mask | None) -> None:
    if pred.shape != true.shape or (region is not None and region.shape != true.shape):
        shapes = f"{pred.shape} and {true.shape}" + (
            f", region {region.shape}" if region is not None else ""
        )
        raise InputError(f"Mattes of {shapes} cannot be compared: they must be of one size.")
    for name, matte in (("predicted", pred), ("true", true)):
        if matte.dtype.kind != "f":
            raise InputError(f"The {name} matte holds {matte.dtype}: give floats in 0..1.")
        if not np.isfinite(matte).all():
            raise InputError(f"The {name} matte has pixels that are not finite (NaN or Inf).")
