# SPDX-License-Identifier: Apache-2.0
"""What all models with a `Bank` share: a step in two parts, and the answer from masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import Inputs, KnobValue, Memory, Prediction
from matte_nodes.media.resize import resized

if TYPE_CHECKING:
    from matte_nodes.card import Float

MASK = "/mask"


class MaskCarrier:
    """A model that carries masks from frame to frame: see `matte_nodes.card.Carrier`.

    A state has the mask of each object as `NAME/mask`, (h, w) uint8. A subclass writes `advance`.
    """

    def advance(self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]) -> Memory:
        """Return the memory after this frame, from the memory of the frame beside it."""
        raise NotImplementedError

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return the mask of this frame, from its own marks and the frame before."""
        following = self.advance(inputs, memory, knobs)
        masks = {
            name[: -len(MASK)]: np.asarray(tensor, np.float32) / np.float32(255)
            for name, tensor in following.items()
            if name.endswith(MASK)
        }
        return self.answer(inputs, masks, knobs), following

    def turned(self, memory: Memory) -> Memory:
        """Return the state of a key frame as a chain in the other direction begins with it."""
        return memory

    def answer(
        self, inputs: Inputs, masks: Mapping[str, Float], knobs: Mapping[str, KnobValue]
    ) -> Prediction:
        """Return the union at full size, and each object's share of it as `alpha.NAME`.

        masks: (h, w) float32 0..1 by object, at the working size. One object has no share.
        """
        from matte_nodes.select.edge import full_size
        from matte_nodes.select.shares import dealt

        del knobs
        size = inputs.plate.shape[:2]
        names = inputs.points.objects if inputs.points else tuple(masks)
        found = {
            name: full_size(masks[name], resized(inputs.plate, _size(masks[name])), inputs.plate)
            if name in masks
            else np.zeros(size, np.float32)
            for name in names
        }
        total = sum(found.values(), np.zeros(size, np.float32))
        union = np.minimum(total, 1).astype(np.float32)
        if len(found) < 2:
            return Prediction(union)
        parts = dealt(union, np.stack([*found.values()]))
        names = tuple(f"alpha.{name}" for name in found)
        return Prediction(union, extras=dict(zip(names, parts, strict=True)))


def painted(inputs: Inputs, size: tuple[int, ...]) -> Float | None:
    """Return a painted key of this frame at a (height, width).

    It is a mask, or a trimap in which 0.5 is undecided. None: nothing was painted.
    """
    drawn = inputs.segmentation if inputs.segmentation is not None else inputs.trimap
    return None if drawn is None else resized(drawn, (size[0], size[1]))


def _size(mask: Float) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]
