# SPDX-License-Identifier: Apache-2.0
"""The gradient error of Rhemann et al., "A Perceptually Motivated Online Benchmark", CVPR 2009."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

SIGMA = 1.4
REACH = 4
"""Pixels each way: where a Gaussian of sigma 1.4 falls below 0.01 (3.6 pixels), rounded up."""


def gradient_error(pred: Float, true: Float) -> NDArray[np.float64]:
    """Return the squared difference of the mattes' gradient magnitudes per pixel, (H, W) float64.

    The gradient is the response to first derivatives of a Gaussian of sigma 1.4. Each 9 x 9 kernel
    is scaled to a root sum of squares of 1, as the benchmark and published figures do. Border
    pixels are repeated outside the picture.
    """
    difference: NDArray[np.float64] = _magnitude(pred) - _magnitude(true)
    return np.square(difference)


def _magnitude(alpha: Float) -> NDArray[np.float64]:
    offset = np.arange(-REACH, REACH + 1, dtype=np.float64)
    smooth = np.exp(-(offset**2) / (2 * SIGMA**2))
    slope = offset * smooth
    # The outer product of two unit vectors is a kernel of norm 1.
    smooth /= np.linalg.norm(smooth)
    slope /= np.linalg.norm(slope)
    picture = alpha.astype(np.float64)
    border = cv2.BORDER_REPLICATE
    along_x = cv2.sepFilter2D(picture, cv2.CV_64F, slope, smooth, borderType=border)
    along_y = cv2.sepFilter2D(picture, cv2.CV_64F, smooth, slope, borderType=border)
    magnitude: NDArray[np.float64] = np.hypot(along_x, along_y)
    return magnitude
