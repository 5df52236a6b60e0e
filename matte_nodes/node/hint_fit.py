# SPDX-License-Identifier: Apache-2.0
"""Whether a hint of another frame still fits: it does not where it cuts through the matte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.node.clean_plate_bound import distances
from matte_nodes.node.clean_plate_evidence import evidence_of
from matte_nodes.node.frame import Complaint

if TYPE_CHECKING:
    from matte_nodes.card import Float, Inputs, KnobValue, ModelCard

MOST_CUT = 0.06  # of the subject's size (the root of its area): a wrist is 0.1, a lock of hair 0.03
MOST_CROSSED = 0.12  # of the unknown band's rim
LEAST_RIM = 50  # pixels: less tells nothing


def held_segmentation(
    alpha: Float,
    inputs: Inputs,
    card: ModelCard,
    knobs: Mapping[str, KnobValue],
    frame: int,
    source: int,
) -> Complaint | None:
    """A complaint where the bound of a segmentation cuts through the model's alpha (H, W).

    frame: of the plate. source: the frame that the segmentation was made for. What a clean plate
    adds to the segmentation is not cut, and not complained of.
    """
    segmentation = inputs.segmentation
    if segmentation is None or knobs["segmentation_use"] == "core":
        return None
    margin, evidence = 0.0, None
    if knobs["segmentation_use"] == "bound":
        margin, evidence = float(knobs["segmentation_margin"]), evidence_of(inputs, card)
    away, inside = distances(alpha, segmentation, margin, evidence), alpha > 0.5
    area = np.count_nonzero(inside)
    if not area:
        return None
    cut = np.count_nonzero(inside & (away > margin) & (away <= margin + 1)) / math.sqrt(area)
    if cut <= MOST_CUT:
        return None
    return Complaint(
        "segmentation fit",
        f"the segmentation of frame {source} does not fit frame {frame} any more: it cuts through "
        f"the subject. Add a mask at frame {frame}, raise --segmentation-margin, or give a mask "
        "for each frame (--segmentation-model).",
    )


def held_trimap(alpha: Float, inputs: Inputs, frame: int, source: int) -> Complaint | None:
    """A complaint where the subject leaves the unknown band of a trimap; see held_segmentation."""
    import cv2

    trimap = inputs.trimap
    if trimap is None:
        return None
    unknown = (trimap > 0) & (trimap < 1)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    beside_empty, beside_solid = (
        unknown & (cv2.dilate((trimap == value).astype(np.uint8), cross) > 0) for value in (0, 1)
    )
    rim = np.count_nonzero(beside_empty) + np.count_nonzero(beside_solid)
    if rim < LEAST_RIM:
        return None
    wrong = np.count_nonzero(beside_empty & (alpha > 0.5))
    wrong += np.count_nonzero(beside_solid & (alpha < 0.5))
    if wrong <= MOST_CROSSED * rim:
        return None
    return Complaint(
        "trimap fit",
        f"the trimap of frame {source} does not fit frame {frame} any more: at {wrong / rim:.0%} "
        f"of its rim the subject's edge lies outside the grey. Draw a trimap at frame {frame}, or "
        "make one from a mask of each frame (--refine).",
    )
