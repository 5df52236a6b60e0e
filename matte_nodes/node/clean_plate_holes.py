# SPDX-License-Identifier: Apache-2.0
"""Closes the holes that a clean plate makes where the subject has the colour of the place.

A matte from a clean plate compares colours. A face before houses of its colour so gets holes. The
details tell the truth: where the clean plate shows a window and the plate smooth skin, the
plate does not show the place. A see-through hole (between arm and body) shows the place's
details, and stays open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.node.clean_plate_evidence import Evidence

SOLID = 0.95  # alpha from here on is the subject
NOTCH = 0.01  # of the longer side: a narrower gap in the edge counts as a hole, too


def close_holes(alpha: Float, evidence: Evidence, segmentation: Float | None = None) -> Float:
    """Alpha with holes in the subject set to 1; the same array where there are none.

    alpha: (H, W) float32 0..1. evidence: plate and clean plate. segmentation: (H, W) float32 0..1,
    or None.

    A hole is a part below 0.95 that the subject encloses. It is closed where most of it surely
    does not show the clean plate; and where the segmentation covers it, unless more of it shows
    the clean plate than surely does not. With a segmentation, narrow gaps in the edge are closed like holes where the
    segmentation covers them and the plate surely does not show the clean plate.
    """
    import cv2

    open_parts = (alpha < SOLID).astype(np.uint8)
    count, labels = cv2.connectedComponents(open_parts, connectivity=8)
    outside = _touching_border(labels, count)
    candidates = np.flatnonzero(~outside)
    solid = None if segmentation is None else segmentation >= 0.5
    if len(candidates) < 2 and solid is None:  # label 0 is the subject itself
        return alpha
    details = evidence.details
    sizes = np.bincount(labels.ravel(), minlength=count)
    # Near the rim of a hole a window shows the subject too: where there is an inside, that counts.
    box = np.ones((evidence.side, evidence.side), np.uint8)
    inside = cv2.erode(open_parts, box) > 0
    inner = _counted(labels, inside, count)
    other, place = (
        np.where(inner > 0, _counted(labels, where & inside, count), _counted(labels, where, count))
        for where in (details.is_other, details.is_place)
    )
    closed = 2 * other > np.where(inner > 0, inner, sizes)
    if solid is not None:
        covered = _counted(labels, solid, count)
        closed |= (covered >= 0.98 * sizes) & (place <= other)
    closed &= ~outside
    closed[0] = False
    holes = closed[labels]
    if solid is not None:
        holes |= _notches(open_parts, solid & outside[labels], details.is_other)
    return np.where(holes, np.float32(1), alpha) if holes.any() else alpha


def _notches(
    open_parts: NDArray[np.uint8], allowed: NDArray[np.bool_], is_other: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Narrow gaps in the subject's edge where they are allowed, if most of a gap is no place."""
    import cv2

    reach = max(2, round(NOTCH * max(open_parts.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    closed = cv2.morphologyEx(
        1 - open_parts, cv2.MORPH_CLOSE, disc, borderType=cv2.BORDER_REPLICATE
    )
    gaps = (closed > 0) & (open_parts > 0) & allowed
    count, labels = cv2.connectedComponents(gaps.astype(np.uint8), connectivity=4)
    filled = 2 * _counted(labels, is_other, count) > np.bincount(labels.ravel(), minlength=count)
    filled[0] = False
    return np.asarray(filled[labels])


def _touching_border(labels: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    touching = np.zeros(count, np.bool_)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touching[np.unique(side)] = True
    return touching


def _counted(labels: NDArray[np.int32], where: NDArray[np.bool_], count: int) -> NDArray[Any]:
    """How many pixels of each label are so."""
    return np.bincount(labels[where], minlength=count)
