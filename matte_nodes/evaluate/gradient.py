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
    """(H, W) float64: squared difference of the two mattes' gradient magnitudes, pixel by pixel.

    The gradient is the response to first-order derivatives of a Gaussian of sigma 1.4. Each of the
    two 9 x 9 kernels is scaled to a root sum of squares of 1 (the benchmark's normalisation, which
    published figures hold); the picture goes on beyond its border as the border pixel is.
    """
    difference: NDArray[np.float64] = _magnitude(pred) - _magnitude(true)
    return np.square(difference)


def _magnitude(alpha: Float) -> NDArray[np.float64]:
    offset = np.arange(-REACH, REACH + 1, dtype=np.float64)
    smooth = np.exp(-(offset**2) / (2 * SIGMA**2))
    slope = offset * smooth
    # A product of two vectors of length 1 is a kernel of length 1.
    smooth /= np.linalg.norm(smooth)
    slope /= np.linalg.norm(slope)
    picture = alpha.astype(np.float64)
    border = cv2.BORDER_REPLICATE
    along_x = cv2.sepFilter2D(picture, cv2.CV_64F, slope, smooth, borderType=border)
    along_y = cv2.sepFilter2D(picture, cv2.CV_64F, smooth, slope, borderType=border)
    magnitude: NDArray[np.float64] = np.hypot(along_x, along_y)
    return magnitude
