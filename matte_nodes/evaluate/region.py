# SPDX-License-Identifier: Apache-2.0
"""The unknown region: from the trimap, or from the true alpha without a trimap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from matte_nodes.errors import HintSizeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

RegionSource = Literal["trimap", "true alpha, grown 10 px"]
GROWN = 10


def unknown_region(
    true_alpha: Float, trimap: Float | None = None
) -> tuple[NDArray[np.bool_], RegionSource]:
    """Return the unknown pixels as a bool (H, W) mask, and their source.

    With a trimap: where it is between 0 and 1. Without: where the true alpha is neither 0 nor 1, or
    jumps from one to the other between neighbours, grown by a disc of 10 pixels. Raises
    HintSizeError if the trimap differs in size from the alpha.
    """
    if trimap is not None:
        if trimap.shape != true_alpha.shape:
            raise HintSizeError(
                f"The trimap is {trimap.shape}, the true alpha {true_alpha.shape}: "
                "they must be of one size."
            )
        return (trimap > 0) & (trimap < 1), "trimap"
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edge = cv2.dilate(true_alpha, cross) != cv2.erode(true_alpha, cross)
    soft = (true_alpha > 0) & (true_alpha < 1)
    y, x = np.ogrid[-GROWN : GROWN + 1, -GROWN : GROWN + 1]
    disc = (x * x + y * y <= GROWN * GROWN).astype(np.uint8)
    grown = cv2.dilate((edge | soft).astype(np.uint8), disc)
    return grown.astype(np.bool_), "true alpha, grown 10 px"
