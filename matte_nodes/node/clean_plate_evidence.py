# SPDX-License-Identifier: Apache-2.0
"""What a clean plate proves of each pixel: the plate shows the place there, or something else.

Two kinds of evidence. Details tell in textured places, whatever the exposure is. Colours tell in flat
places: the clean plate, made lighter or darker, is still the clean plate, so that a shadow and another
exposure prove nothing.
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
NOISE = 2.0  # details that are missed deviate so many times more than noise
DARKEST, BRIGHTEST = 0.3, 1.15  # of the clean plate's codes: deep shadow, and another exposure
COLOUR = 25  # 8-bit codes: how far a colour may be from every shadow of the clean plate
MOST_OTHER = 0.45  # of the outside: another place has 0.49 to 0.94, 15 composites 0 to 0.36
FEW = 0.05  # of the outside: with fewer clear details it cannot be told whether they lie on each other
CLEAR = 2.0  # times the least deviation: details that are no noise
MOST_LOST = 0.8  # of the clear details outside: moved by 4 pixels 0.93, by 2 pixels of 1080p 0.62
GRID = 4  # every so many rows and columns of the outside are looked at
MOVED = 0.002  # of the longer side: how far the clean plate may lie off
THIRDS = np.full((1, 3), 255 / 3, np.float32)  # of red, green and blue, in 8-bit codes


@dataclass(frozen=True)
class Details:
    """What details say of the window round each pixel."""

    is_place: NDArray[np.bool_]
    """(H, W): the window shows the clean plate."""

    is_other: NDArray[np.bool_]
    """(H, W): the window does not show the clean plate."""


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
            light = cv2.transform(picture, THIRDS)
            lights.append(np.round(light).astype(np.float64))
        many = float(self.side**2)
        sums = [total(light) for light in lights]
        powers = [
            many * total(light * light) - one * one for light, one in zip(lights, sums, strict=True)
        ]
        shared = many * total(lights[0] * lights[1]) - sums[0] * sums[1]
        size = np.sqrt(powers[0] * powers[1])
        shown = powers[1] >= (DETAIL * many) ** 2
        seen = shown | (powers[0] >= (DETAIL * many) ** 2)
        return Details(shown & (shared >= ALIKE * size), seen & (shared < OTHER * size))

    def proves_other(
        self, where: NDArray[np.bool_], outside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return (H, W): where the plate surely does not show the clean plate, lit or shadowed.

        where: the pixels that are asked for; all others are False. outside: what is mostly the place.
        Where even that is not the clean plate's, the clean plate lies elsewhere or is of another
        place: it proves nothing.
        """
        sample = np.zeros_like(outside)
        sample[::GRID, ::GRID] = outside[::GRID, ::GRID]
        places = np.flatnonzero(sample)
        missed = self._missed_details(places)
        if missed is None:
            return np.zeros_like(where)
        other = missed & (where | sample)
        left = np.flatnonzero((where | sample) & ~other)
        other.reshape(-1)[left] = self._other_colour(left)
        if np.count_nonzero(other & sample) > MOST_OTHER * len(places):
            return np.zeros_like(where)
        return np.asarray(other & where)

    def _missed_details(self, places: NDArray[np.intp]) -> NDArray[np.bool_] | None:
        """Whether the clean plate has details round a pixel that the plate does not show: (H, W).

        None where the clean plate does not lie on the plate, by the pixels at `places`.

        Stricter than `details`. Details of the plate alone count for nothing: a shadow on a plain
        wall has edges, too. What is smooth in a window does not count: the rim of a soft shadow. And
        no window that holds the pixel may show them: at the edge of a hard shadow a window
        beside it does.
        """
        import cv2

        box = (self.side, self.side)
        lights = [cv2.convertScaleAbs(cv2.transform(one, THIRDS)) for one in self._pictures]
        seen, clean = (
            cv2.subtract(light, cv2.blur(light, box), dtype=cv2.CV_16S).clip(-127, 127)
            for light in lights
        )

        def total(one: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.float32]:
            summed = cv2.boxFilter(one * other, cv2.CV_32S, box, normalize=False)
            return np.asarray(summed, np.float32)

        shared, ours, theirs = total(seen, clean), total(seen, seen), total(clean, clean)
        noise, least = 0.0, float(self.side**2 * DETAIL**2)
        if len(places):
            ours_there, theirs_there, shared_there = (
                one.reshape(-1)[places] for one in (ours, theirs, shared)
            )
            has_details = theirs_there >= CLEAR**2 * least
            lost = has_details & (shared_there < OTHER * np.sqrt(ours_there * theirs_there))
            details = np.count_nonzero(has_details)
            if details >= FEW * len(places) and np.count_nonzero(lost) > MOST_LOST * details:
                return None
            noise = float(np.median(ours_there + theirs_there - 2 * shared_there))
        missed = theirs >= max(least, NOISE**2 * noise)
        missed &= shared < OTHER * np.sqrt(ours * theirs)
        return np.asarray(cv2.erode(missed.view(np.uint8), np.ones(box, np.uint8)) > 0)

    def _other_colour(self, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether no shadow and no exposure makes the clean plate's colour the plate's: (N,).

        places: (N,) pixels, row by row. A colour is the mean of 3 x 3 pixels. It may be that of any
        pixel of the clean plate near by: the clean plate may lie a little off.
        """
        import cv2

        reach = max(2, round(MOVED * max(self._pictures[0].shape[:2])))
        box = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        seen, clean = (
            cv2.blur(cv2.convertScaleAbs(one, alpha=255), (3, 3)) for one in self._pictures
        )
        seen, lowest, highest = (
            picture.reshape(-1, 3)[places]
            for picture in (seen, cv2.erode(clean, box), cv2.dilate(clean, box))
        )
        least, most = np.float32(DARKEST), np.float32(BRIGHTEST)
        for channel in range(3):  # a third of the time of all channels in one array
            code, low, high = (
                one[:, channel].astype(np.float32) for one in (seen, lowest, highest)
            )
            least = np.maximum(least, (code - COLOUR) / np.maximum(high, 1))
            most = np.minimum(most, (code + COLOUR) / np.maximum(low, 1))
        return np.asarray(least > most)


def evidence_of(inputs: Inputs, card: ModelCard) -> Evidence | None:
    """Return the evidence of a frame: None for a model that needs no clean plate."""
    if inputs.background is None or "background" not in card.needs:
        return None
    return Evidence(inputs.plate, inputs.background)
