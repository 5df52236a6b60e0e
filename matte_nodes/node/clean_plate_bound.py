# SPDX-License-Identifier: Apache-2.0
"""How far a segmentation reaches where a clean plate proves more of the subject than it covers.

A rough segmentation misses a raised arm, a pencil in a hand, and has holes. Where the model finds alpha
there, and the plate surely does not show the clean plate, and both hang together with the
segmentation, this is the subject: the bound is measured from there, too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.node.hints import distance_to, fade

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.node.clean_plate_evidence import Evidence

LEAST = 0.05  # alpha above this is a part of something


def distances(alpha: Float, segmentation: Float, margin: float, evidence: Evidence | None) -> Float:
    """Return how far each pixel is from the subject, as the bound of a segmentation counts it.

    alpha, segmentation: (H, W) float32 0..1. margin: pixels that the bound keeps. evidence: plate
    and clean plate, or None. Returns (H, W) float32, pixels: to the segmentation (its 0.5 level), or to
    what the clean plate adds to it, if that is nearer. A part of the alpha that has no pixel in common
    with what is added keeps its distance to the segmentation.
    """
    import cv2

    mask = segmentation >= 0.5
    away = distance_to(mask)
    if evidence is None or not mask.any():
        return away
    parts = alpha > LEAST
    cut = parts & (away > margin)
    if not cut.any():
        return away
    added = _added(parts, mask, evidence)
    if not added.any():
        return away
    # Only round what would be cut: the distances of a whole picture of 1080p take 17 ms.
    reach = math.ceil(margin + fade(margin))
    left, top, wide, high = cv2.boundingRect(cut.view(np.uint8))
    near = np.s_[
        max(0, top - reach) : top + high + reach, max(0, left - reach) : left + wide + reach
    ]
    count, labels = cv2.connectedComponents(parts.view(np.uint8), connectivity=8)
    apart = parts[near] & ~_labels_of(labels, added, count)[labels[near]]
    # The faint rim of a thing apart goes with it.
    box = np.ones((evidence.side, evidence.side), np.uint8)
    rim = (cv2.dilate(apart.view(np.uint8), box) > 0) & (apart | ~parts[near])
    away[near] = np.where(rim, away[near], np.minimum(away[near], distance_to(added[near])))
    return away


def _added(
    parts: NDArray[np.bool_], mask: NDArray[np.bool_], evidence: Evidence
) -> NDArray[np.bool_]:
    """What surely is not the place and hangs together with the mask: (H, W)."""
    import cv2

    outside = ~mask
    other = evidence.proves_other(parts & outside, outside)
    path = parts & (mask | other)
    count, labels = cv2.connectedComponents(path.view(np.uint8), connectivity=8)
    return np.asarray(_labels_of(labels, mask & path, count)[labels] & outside)


def _labels_of(
    labels: NDArray[np.int32], where: NDArray[np.bool_], count: int
) -> NDArray[np.bool_]:
    """Which of the labels lie there, (count,); the label 0 is nothing."""
    found = np.zeros(count, np.bool_)
    found[labels[where]] = True
    found[0] = False
    return found
