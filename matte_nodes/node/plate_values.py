# SPDX-License-Identifier: Apache-2.0
"""Finds plates whose numbers look like something else than colours, to warn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_CODES = 4095
"""Codes of 12 bits: as 16-bit codes the brightest is 6 % of white, and 0.5 % as linear light."""
_STEP = 16
"""One pixel of 256 is looked at."""
_CODES_FROM, _CODES_TO, _USUAL = 32.0, 65535.0, 2.0
"""Light of 32 is the sun's; that half of a picture is brighter than twice white is no exposure."""
_BELOW, _SHARE = -0.05, 0.25
"""Noise and colours out of gamut are less far below 0, and are not a quarter of a picture."""


def highest_code(pixels: NDArray[Any]) -> int:
    """Return the highest code of a picture (H, W, C) of uint16 where all are low; else 0."""
    if pixels.dtype != np.uint16:
        return 0
    colours = pixels[..., :3]
    if int(colours[::_STEP, ::_STEP].max(initial=0)) > LOW_CODES:
        return 0
    highest = int(colours.max(initial=0))
    return highest if highest <= LOW_CODES else 0


def low_codes_text(highest: int) -> str:
    """Return what to say of a picture of 16 bits without a code above this."""
    bits = max(8, highest.bit_length())
    return (
        f"has 16 bits and no code above {highest}, so it is nearly black; if it holds codes of "
        f"{bits} bits, write them so that white is 65535"
    )


def doubts(pixels: NDArray[Any]) -> str:
    """Return what is odd about a picture of floats (H, W, 3), and what to do; "" for nothing."""
    if pixels.dtype.kind != "f":
        return ""
    some = pixels[::_STEP, ::_STEP].astype(np.float32)
    below = (some < _BELOW).any(axis=2).mean()
    if below > _SHARE:
        return (
            f"{100 * below:.0f} % of the pixels are below 0, as in pictures that were normalised for a "
            "network. Give light: scene-linear values from 0, without the mean taken off."
        )
    high = float(some.max())
    if some.min() >= 0 and _CODES_FROM < high <= _CODES_TO and np.median(some) > _USUAL:
        return (
            f"Half of the values are above {float(np.median(some)):.3g}, as in codes of 0 to 255 that "
            "were made floats. Give uint8 or uint16, or scene-linear light where white is 1."
        )
    return ""
