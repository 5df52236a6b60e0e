# SPDX-License-Identifier: Apache-2.0
"""What a network sees of a plate, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.transform import (
    Float,
    Pixels,
    all_codes,
    apply_matrix,
    as_float,
    display,
    linear_counterpart,
    look_up,
    transform,
)
from matte_nodes.errors import KnobValueError

# Above this linear value the soft view rolls off: 0.5 encodes to 0.735, so skin and greys are
# left alone and the range above is shared by all highlights.
_KNEE = 0.5
_CODES = np.float32(65535)


@dataclass(frozen=True)
class NetworkView:
    """What the network sees.

    kind: "srgb" is sRGB texture encoding, clipped; "view" is the OCIO config's default display
    view (ACES SDR in the built-in configs); "soft" is sRGB with highlights rolled off, so that
    bright edges do not clip. exposure: stops, applied in working space before all of these.
    """

    kind: Literal["srgb", "view", "soft"] = "srgb"
    exposure: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("srgb", "view", "soft"):
            raise KnobValueError(
                f'Unknown network view "{self.kind}": choose "srgb", "view" or "soft".'
            )
        if not math.isfinite(self.exposure) or abs(self.exposure) > 32:
            raise KnobValueError(
                f"Network exposure {self.exposure} is not usable: give stops from -32 to 32."
            )


def roll_off(linear: Float) -> Float:
    """The soft view's highlights: the identity to 0.5, then smoothly towards 1 (never reached).

    y = 1 - (1-k)^2 / (x - 2k + 1), which meets the identity at the knee k with slope 1.
    """
    over = (1 - _KNEE) ** 2 / (np.maximum(linear, _KNEE) - 2 * _KNEE + 1)
    return np.where(linear > _KNEE, 1 - over, linear).astype(np.float32)


def roll_on(rolled: Float) -> Float:
    """The inverse of roll_off for values below 1."""
    over = (1 - _KNEE) ** 2 / np.maximum(1 - rolled, 1e-4)
    return np.where(rolled > _KNEE, over + 2 * _KNEE - 1, rolled).astype(np.float32)


class NetworkEncoder:
    """Working space to what the network sees, and back. Thread-safe."""

    def __init__(self, config: ColorConfig, working: str, view: NetworkView) -> None:
        self.config, self.working, self.view = config, working, view
        self.gain = np.float32(2.0**view.exposure)
        if view.kind == "view":
            return
        srgb = config.resolve("srgb_tx")
        linear = linear_counterpart(config, srgb)
        self._curve = transform(config, linear, srgb)
        self._decode = transform(config, srgb, linear)
        self._to_linear = transform(config, working, linear)
        self._from_linear = transform(config, linear, working)

    @cached_property
    def _encode_table(self) -> Float:
        """The encoding at 65536 places, evenly in the root of the (rolled off) linear value.

        The root spreads the places as the curve needs them: the largest error is 1.1e-5.
        """
        places = (np.arange(65536) / 65535).astype(np.float32) ** 2
        table = self._curve.exact(np.repeat(places[:, None], 3, axis=1))[:, 0]
        table = np.clip(table, 0, 1).astype(np.float32)
        # OCIO's fast maths ends at 1.00002 and the like; black and white are exact.
        table[0], table[-1] = 0.0, 1.0
        return table

    @cached_property
    def _decode_table(self) -> Float:
        codes = all_codes(np.dtype(np.uint16))
        table = self._decode.exact(np.repeat(codes[:, None], 3, axis=1))[:, 0].copy()
        table[0], table[-1] = 0.0, 1.0
        return roll_on(table) if self.view.kind == "soft" else table

    def encode(self, working: Pixels) -> Float:
        """(H, W, 3) working space, any code type -> (H, W, 3) float32 in 0..1, never NaN."""
        import cv2

        pixels = as_float(working)
        if self.view.kind == "view":
            seen = display(self.config, self.working, pixels * self.gain)
            return np.clip(np.nan_to_num(seen, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
        matrix = self._to_linear.matrix
        if matrix is None:
            pixels = self._to_linear(pixels) * self.gain
        elif not self._to_linear.identity or self.gain != 1:
            pixels = apply_matrix(pixels, matrix * self.gain)
        else:
            pixels = np.ascontiguousarray(pixels)
        if self.view.kind == "soft":
            pixels = roll_off(pixels)
        # fmax takes the number where the other is NaN: what is not a number is black.
        bounded = np.fmin(np.fmax(pixels, np.float32(0)), np.float32(1))
        codes = cv2.multiply(cv2.sqrt(bounded), float(_CODES), dtype=cv2.CV_16U)
        return look_up(codes.reshape(pixels.shape), self._encode_table)

    def decode(self, encoded: Float) -> Float:
        """(H, W, 3) float32 as the network gives it -> working space, as far as it was not clipped.

        "soft" and exposure are undone; "view" goes through the inverse of the config's view,
        which brings colours inside the display's gamut back and only those.
        """
        import cv2

        if self.view.kind == "view":
            bounded = np.clip(np.nan_to_num(encoded), 0, 1).astype(np.float32)
            return display(self.config, self.working, bounded, inverse=True) / self.gain
        bounded = np.fmin(np.fmax(encoded, np.float32(0)), np.float32(1)).astype(np.float32)
        codes = cv2.multiply(np.ascontiguousarray(bounded), float(_CODES), dtype=cv2.CV_16U)
        linear = look_up(codes.reshape(encoded.shape), self._decode_table)
        matrix = self._from_linear.matrix
        if matrix is None:
            return self._from_linear(linear / self.gain)
        if self._from_linear.identity and self.gain == 1:
            return linear
        return apply_matrix(linear, matrix / self.gain)
