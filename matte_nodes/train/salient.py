# SPDX-License-Identifier: Apache-2.0
"""Backgrounds without subjects: photographs in which a detector finds one are left out (RSSN)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import WeightsError
from matte_nodes.shot.matte_node import MatteNode

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.train.data import Material

# A subject: surely inside over this part of the picture, and most of the mask sure of itself.
LEAST, MOST = 0.01, 0.7
DECIDED = 0.8


def without_subjects(
    material: Material, detector: str, tell: Callable[[str], None] = lambda message: None
) -> Material:
    """Return the material with those of its photographs as backgrounds in which no subject is found.

    detector: a model without hints ("u2netp"); "" leaves all as it is. Textures of foregrounds
    may still come from every photograph. Raises WeightsError when the model's weights are not
    here, or when a subject is found in every photograph.
    """
    if not detector or not material.photographs:
        return material

    node = MatteNode(detector, device="cpu")
    pool = material.photographs if material.backgrounds is None else material.backgrounds
    kept = [picture for picture in pool if not has_subject(node(picture).alpha)]
    tell(f"{len(kept)} of {len(pool)} photographs show no subject and are backgrounds")
    if not kept:
        raise WeightsError(
            f"{detector} finds a subject in every one of {len(pool)} photographs: give others, or "
            'set plain = "" in the recipe.'
        )
    return replace(material, backgrounds=kept)


def has_subject(mask: Float) -> bool:
    """Whether a saliency mask (H, W) 0..1 shows a subject: an object it is sure of, not a haze.

    These networks stretch their answer to 0..1, so that something is always white; over a picture
    without a subject the mask is grey over large parts, or white over most of it.
    """
    inside = float((mask > 0.7).mean())
    decided = float(((mask < 0.15) | (mask > 0.7)).mean())
    return LEAST < inside < MOST and decided > DECIDED


def shares(masks: Sequence[Float]) -> np.ndarray:
    """Return (N, 2): of each mask the parts that are inside, and decided.

    To look at the thresholds.
    """
    return np.array(
        [[(m > 0.7).mean(), ((m < 0.15) | (m > 0.7)).mean()] for m in masks], np.float32
    )
