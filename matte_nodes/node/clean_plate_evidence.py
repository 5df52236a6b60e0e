# SPDX-License-Identifier: Apache-2.0
"""What a clean plate proves of each pixel: the plate shows the place there, or surely something else.

Two kinds of evidence. Details tell in textured places, whatever the exposure is. Colours tell in flat
places: the clean plate, made lighter or darker, is still the clean plate, so that a shadow and another
exposure are no proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float, Inputs, ModelCard

WINDOW = 0.008  # of the longer side: where details are compared
DETAIL = 3.0  # least deviation of details, in 8-bit codes
ALIKE, OTHER = 0.8, 0.4  # correlations: the place is seen, and is surely not seen
NOISE = 2.5  # surely other details deviate so many times more than plate and clean plate do outside
DARKEST, BRIGHTEST = 0.3, 1.15  # of the clean plate's codes: deep shadow, and another exposure
COLOUR = 25  # 8-bit codes: how far a colour may be from every shadow of the clean plate
MOVED = 0.002  # of the longer side: how far the clean plate may lie off


@dataclass(frozen=True)
class Details:
    """What details say of the window round each pixel."""

    is_place: NDArray[np.bool_]
    """(H, W): the window shows the clean plate."""

    is_other: NDArray[np.bool_]
    """(H, W): the window does not show the clean plate."""

    strength: Float
    """(H, W): deviation of the window with more details, in 8-bit codes."""

    difference: Float
    """(H, W): deviation of the difference of both, in 8-bit codes."""


class Evidence:
    """Plate and clean plate of one frame, compared when somebody asks.

    plate, background: (H, W, 3) float32, display-encoded, 0..1, one over the other. All sums are
    of whole numbers, so their order, and with it the number of threads, changes nothing.
    """

    def __init__(self, plate: Float, background: Float) -> None:
        self._pictures = (plate, background)
        self.side = 2 * max(3, round(WINDOW * max(plate.shape[:2]) / 2)) + 1
        """The side of the window in which details are compared, in pixels."""

    @cached_property
    def details(self) -> Details:
        """The details round each pixel, compared."""
        import cv2

        def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
            summed = cv2.boxFilter(values, cv2.CV_64F, (self.side, self.side), normalize=False)
            return np.asarray(summed, np.float64)

        lights = []
        for picture in self._pictures:
            light = cv2.transform(picture, np.full((1, 3), 255 / 3, np.float32))
            lights.append(np.round(light).astype(np.float64))
        many = float(self.side**2)
        sums = [total(light) for light in lights]
        powers = [
            many * total(light * light) - one * one for light, one in zip(lights, sums, strict=True)
        ]
        shared = many * total(lights[0] * lights[1]) - sums[0] * sums[1]
        size = np.sqrt(powers[0] * powers[1])
        strongest = np.maximum(powers[0], powers[1])
        shown = powers[1] >= (DETAIL * many) ** 2
        seen = strongest >= (DETAIL * many) ** 2
        difference = np.sqrt(powers[0] + powers[1] - 2 * shared) / many
        return Details(
            shown & (shared >= ALIKE * size),
            seen & (shared < OTHER * size),
            (np.sqrt(strongest) / many).astype(np.float32),
            difference.astype(np.float32),
        )

    def proves_other(
        self, where: NDArray[np.bool_], sample: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return (H, W): where the plate surely does not show the clean plate, lit or shadowed.

        where: the pixels that are asked for; all others are False. sample: some pixels, most of
        them of the place; how far plate and clean plate differ there is the noise.
        """
        import cv2

        details = self.details
        noise = np.median(details.difference[sample]) if sample.any() else 0.0
        strong = details.is_other & (details.strength >= np.float32(NOISE * noise))
        # The edge of a shadow is a detail, too. Each of its pixels lies in a window beside the edge
        # that shows the place: other is only what no window shows.
        box = np.ones((self.side, self.side), np.uint8)
        other = (cv2.erode(strong.view(np.uint8), box) > 0) & where
        places = np.flatnonzero(where & ~other)
        other.reshape(-1)[places] = self._other_colour(places)
        return np.asarray(other)

    def _other_colour(self, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether no shadow and no exposure makes the clean plate's colour the plate's: (N,).

        places: (N,) pixels, row by row. A colour is the mean of 3 x 3 pixels. It may be that of any
        pixel of the clean plate near by: the clean plate may lie a little off.
        """
        seen, lowest, highest = (
            picture.reshape(-1, 3)[places].astype(np.float32) for picture in self._colours
        )
        darkest = ((seen - 9 * COLOUR) / np.maximum(highest, 1)).max(axis=1)
        brightest = ((seen + 9 * COLOUR) / np.maximum(lowest, 1)).min(axis=1)
        found: NDArray[np.bool_] = np.maximum(darkest, DARKEST) > np.minimum(brightest, BRIGHTEST)
        return found

    @cached_property
    def _colours(self) -> tuple[NDArray[np.uint16], ...]:
        """The plate, and the clean plate's lowest and highest near by: sums of 3 x 3 8-bit codes."""
        import cv2

        seen, clean = (
            cv2.boxFilter(cv2.convertScaleAbs(one, alpha=255), cv2.CV_16U, (3, 3), normalize=False)
            for one in self._pictures
        )
        reach = max(2, round(MOVED * max(clean.shape[:2])))
        box = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        lowest, highest = cv2.erode(clean, box), cv2.dilate(clean, box)
        return tuple(np.asarray(one, np.uint16) for one in (seen, lowest, highest))


def evidence_of(inputs: Inputs, card: ModelCard) -> Evidence | None:
    """Return the evidence of a frame: None for a model that needs no clean plate."""
    if inputs.background is None or "background" not in card.needs:
        return None
    return Evidence(inputs.plate, inputs.background)
