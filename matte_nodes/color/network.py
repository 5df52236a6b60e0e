# SPDX-License-Identifier: Apache-2.0
"""Transforms from plate and working space to the network's picture, and back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.fast import (
    CODE_TYPES,
    SLAB,
    Curve,
    Float,
    Pixels,
    all_codes,
    apply_matrix,
    as_float,
    by_slabs,
    look_up,
)
from matte_nodes.color.linear import linear_counterpart
from matte_nodes.color.transform import Transform, display, transform
from matte_nodes.errors import KnobValueError

# Above this linear value the soft view rolls off: 0.5 encodes to 0.735, so skin and greys are
# left alone and the range above is shared by all highlights.
_KNEE = np.float32(0.5)
_ROOM = np.float32((1 - 0.5) ** 2)


@dataclass(frozen=True)
class NetworkView:
    """How the network's picture is encoded.

    kind: "srgb" is sRGB texture encoding, clipped. "view" is the OCIO config's default display view
    (ACES SDR in the built-in configs). "soft" is sRGB with highlights rolled off, so that bright
    edges do not clip. exposure: stops, applied first, in working space.
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
    """Return the soft view's highlights: the identity to 0.5, then smoothly towards 1, never
    reached.

    y = 1 - (1-k)^2 / (x - 2k + 1), which meets the identity at the knee k with slope 1.
    """
    over = 1 - _ROOM / (np.maximum(linear, _KNEE) - 2 * _KNEE + 1)
    return np.where(linear > _KNEE, over, linear).astype(np.float32)


def roll_on(rolled: Float) -> Float:
    """Return the inverse of roll_off for values below 1; 2500 from 0.9999 on."""
    over = _ROOM / np.maximum(1 - rolled, np.float32(1e-4)) + 2 * _KNEE - 1
    return np.where(rolled > _KNEE, over, rolled).astype(np.float32)


class NetworkEncoder:
    """Transforms plate and working space to the network's picture, and back. Thread-safe."""

    def __init__(
        self, config: ColorConfig, to_working: Transform, working: str, view: NetworkView
    ) -> None:
        self._config, self._working, self._view = config, working, view
        self._to_working = to_working
        self._gain = np.float32(2.0**view.exposure)
        self._tables: dict[np.dtype[Any], Float] = {}
        self._lock = threading.Lock()
        if view.kind == "view":
            return
        # A config of an own pipeline may have no space of that name: then the curve is our own, over
        # linear Rec.709, or over the space that the config works in where it has no such name.
        srgb = config.find("srgb_tx")
        linear = linear_counterpart(config, srgb) if srgb else _linear_of(config)
        self._to_linear = transform(config, working, linear)
        self._srgb, self._linear = srgb, linear

    @cached_property
    def id(self) -> str:
        """The ids of the transforms to the network's picture and back; "" for a built-in config."""
        if self._view.kind == "view":
            return self._config.view_processors(self._working)
        config, srgb, linear = self._config, self._srgb, self._linear
        ways = [(linear, self._working)]
        ways += [(linear, srgb), (srgb, linear)] if srgb else []
        made = [self._to_linear.id, *(config.processor(a, b) for a, b in ways if a != b)]
        return " ".join(filter(None, [*made, "" if srgb else BUILT_IN_CURVE]))

    # Made when first asked for: two threads at once would make the same twice, which is no harm.

    @cached_property
    def _encode(self) -> Curve:
        if self._srgb is None:
            return _bounded(srgb_encoded, root=True)
        return _bounded(transform(self._config, self._linear, self._srgb).exact, root=True)

    @cached_property
    def _decode(self) -> Curve:
        soft = self._view.kind == "soft"
        if self._srgb is None:
            return _bounded(srgb_decoded, root=False, soft=soft)
        decoding = transform(self._config, self._srgb, self._linear)
        return _bounded(decoding.exact, root=False, soft=soft)

    @cached_property
    def _from_linear(self) -> Transform:
        return transform(self._config, self._linear, self._working)

    def plate(self, pixels: Pixels) -> Float:
        """Return the network's picture of plate pixels (H, W, 3) of any code type: float32, 0..1,
        never NaN.
        """
        if pixels.dtype in CODE_TYPES and self._one_curve():
            return look_up(pixels, self._table(pixels.dtype))
        return self.encode(self._to_working(pixels))

    def reduced(self, pixels: Pixels, size: tuple[int, int]) -> Float:
        """Return `plate(pixels)` reduced by area to (height, width), without a picture of full size.

        A few rows at a time are encoded and made narrower, then all of them lower: the mean of the
        same numbers, to 1e-6. The plate must be at least as large on both sides.
        """
        import cv2

        height, width = pixels.shape[:2]
        narrow = np.empty((height, size[1], 3), np.float32)
        step = max(1, SLAB // width)
        for row in range(0, height, step):
            seen = self.plate(pixels[row : row + step])
            narrow[row : row + step] = cv2.resize(
                seen, (size[1], len(seen)), interpolation=cv2.INTER_AREA
            )
        found = cv2.resize(narrow, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        return np.asarray(found, np.float32)

    def _one_curve(self) -> bool:
        """Whether the transform from the plate's codes is one curve for all channels."""
        if self._view.kind == "view" or not self._to_linear.identity:
            return False
        return self._to_working.identity or self._to_working.one_curve

    def _table(self, dtype: np.dtype[Any]) -> Float:
        with self._lock:
            if dtype not in self._tables:
                to = self._to_working
                working = all_codes(dtype) if to.identity else to.table(dtype)
                seen = self.encode(np.repeat(working.reshape(1, -1, 1), 3, axis=2))
                self._tables[dtype] = np.ascontiguousarray(seen[0, :, 0])
            return self._tables[dtype]

    def encode(self, working: Float) -> Float:
        """Return the network's picture of working space: (H, W, 3) float32 in 0..1, never NaN."""
        if self._view.kind == "view":
            seen = display(self._config, self._working, working * self._gain)
            return np.clip(np.nan_to_num(seen, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
        if self._to_linear.matrix is None:
            # A config whose linear spaces differ by more than primaries.
            working = self._to_linear(working)
        return by_slabs(self._encode_slab, working)

    def _encode_slab(self, pixels: Float) -> Float:
        matrix = self._to_linear.matrix
        if matrix is not None and not self._to_linear.identity:
            pixels = apply_matrix(pixels, matrix * self._gain)
        elif self._gain != 1:
            pixels = pixels * self._gain
        if self._view.kind == "soft":
            pixels = roll_off(pixels)
        return self._encode.nearest(pixels)

    def decode(self, encoded: Float) -> Float:
        """Return working space for a network's output (H, W, 3) float32. Clipped values stay
        clipped.

        "soft" and exposure are undone. "view" uses the inverse of the config's view, which restores
        only colours inside the display's gamut.
        """
        if self._view.kind == "view":
            bounded = np.clip(np.nan_to_num(encoded), 0, 1).astype(np.float32)
            return display(self._config, self._working, bounded, inverse=True) / self._gain
        linear = by_slabs(self._decode_slab, as_float(encoded))
        if self._from_linear.matrix is None:
            return self._from_linear(linear)
        return linear

    def _decode_slab(self, encoded: Float) -> Float:
        linear = self._decode.nearest(encoded)
        matrix = self._from_linear.matrix
        if matrix is not None and not self._from_linear.identity:
            return apply_matrix(linear, matrix / self._gain)
        if self._gain != 1:
            linear /= self._gain
        return linear


BUILT_IN_CURVE = "sRGB curve of IEC 61966-2-1"


def srgb_encoded(linear: Float) -> Float:
    """Return the sRGB curve of IEC 61966-2-1 for values of 0..1."""
    curve = 1.055 * linear.clip(0, 1).astype(np.float64) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve).astype(np.float32)


def srgb_decoded(encoded: Float) -> Float:
    """Return the inverse of `srgb_encoded` for values of 0..1."""
    curve = ((encoded.clip(0, 1).astype(np.float64) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, curve).astype(np.float32)


def _linear_of(config: ColorConfig) -> str:
    """Return a config's linear Rec.709, else its scene_linear role. Raises ColorError."""
    found = config.find("lin_rec709") or config.role("scene_linear")
    return found or config.resolve("srgb_tx")


def _bounded(to: Callable[[Float], Float], *, root: bool, soft: bool = False) -> Curve:
    """Return the sRGB curve in one direction, with exact ends (OCIO's own curve ends at 1.00002)."""
    table = to(np.repeat(Curve.places(root)[:, None], 3, axis=1))[:, 0]
    table = np.clip(table, 0, 1)
    table[0], table[-1] = 0.0, 1.0
    return Curve(roll_on(table) if soft else table, root=root)
