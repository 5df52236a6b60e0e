# SPDX-License-Identifier: Apache-2.0
"""Where pixels of a frame were in the frame before, and which of them a subject left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

    Codes = NDArray[np.uint8]

BAND = 0.025
"""Of the longer side: how far from the carried edge the new edge may lie."""

AGREE = 1.5
"""Pixels by which the flow there and back may miss before it is not believed."""

KNOWN = 0.3
"""Share of an object's pixels whose way must be known to say where the others went."""


def codes_of(plate: Float) -> Codes:
    """Return a plate 0..1 as 8-bit codes, (H, W, 3)."""
    return np.asarray(np.clip(np.rint(plate * 255), 0, 255), np.uint8)


@dataclass(frozen=True)
class Flow:
    """The flow between a frame and the one before. back, forth: (H, W, 2) float32 offsets in x and y,
    from this frame and to it. is_back, is_forth: (H, W) bool, where they are believed."""

    back: Float
    is_back: NDArray[np.bool_]
    forth: Float
    is_forth: NDArray[np.bool_]


def flow_between(here: Codes, before: Codes) -> Flow:
    """Return where each pixel was in the frame before, and where its pixels went.

    here, before: (H, W, 3) 8-bit codes. A flow is believed where following it there and back ends
    where it began.
    """
    grey_here, grey_before = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (here, before))
    if min(grey_here.shape) < 16:  # too small for DIS
        none, everywhere = (
            np.zeros((*grey_here.shape, 2), np.float32),
            np.ones_like(grey_here, bool),
        )
        return Flow(none, everywhere, none, everywhere)
    back = _flow(grey_here, grey_before)
    forth = _flow(grey_before, grey_here)
    return Flow(back, _believed(back, forth), forth, _believed(forth, back))


def _believed(one: Float, other: Float) -> NDArray[np.bool_]:
    """Whether a flow's way and the other's way back from there end where they began, (H, W) bool."""
    returned = one + _moved(other, one)
    agree = np.linalg.norm(returned, axis=2) <= AGREE + 0.1 * np.linalg.norm(one, axis=2)
    rows, columns = np.indices(agree.shape, dtype=np.float32)
    x, y = columns + one[..., 0], rows + one[..., 1]
    # What came in over the border was seen nowhere before.
    inside = (x > -1) & (y > -1) & (x < agree.shape[1]) & (y < agree.shape[0])
    return np.asarray(agree & inside, bool)


def carried(mask: Float, flow: Float) -> Float:
    """Return a mask (H, W) float32 of the frame before, as it lies in this frame."""
    return np.clip(_moved(mask, flow), 0, 1)


def left_behind(mask: Float, flow: Flow) -> NDArray[np.bool_]:
    """Return where the object of a mask cannot be now, (H, W) bool: it has moved away from there.

    mask: (H, W) float32, of the frame before. Where the background comes out behind an object, the
    flow back leads to the object. The flow of the object's own pixels says where they went; those
    without a flow to believe went as the others did. All of it has gone where a mask at the border
    has no flow to believe.
    """
    was = mask > 0.5
    known = was & flow.is_forth
    if known.sum() <= KNOWN * was.sum():
        edges = was[0].any() or was[-1].any() or was[:, 0].any() or was[:, -1].any()
        return np.full(was.shape, bool(edges)) & ~flow.is_back
    x, y = (float(np.median(flow.forth[..., axis][known])) for axis in (0, 1))
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = was.shape[1], was.shape[0]
    there = cv2.warpAffine(was.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST)
    rows, columns = np.nonzero(known)
    down = np.rint(rows + flow.forth[..., 1][known]).astype(int)
    right = np.rint(columns + flow.forth[..., 0][known]).astype(int)
    inside = (down >= 0) & (right >= 0) & (down < was.shape[0]) & (right < was.shape[1])
    there[down[inside], right[inside]] = 1
    side = 2 * max(2, round(BAND / 2 * max(was.shape))) + 1
    reached = cv2.dilate(there, np.ones((side, side), np.uint8)) > 0
    return np.asarray(~reached & ~flow.is_back, bool)


def _flow(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> Float:
    """Dense inverse search (Kroeger et al. 2016), from the first picture to the second."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(one, two, None), np.float32)


def _moved(picture: Float, flow: Float) -> Float:
    """Return the picture looked up at each pixel's place plus its flow; 0 outside."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return np.asarray(
        cv2.remap(picture, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )  # fmt: skip
