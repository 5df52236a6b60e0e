# SPDX-License-Identifier: Apache-2.0
"""One OCIO transform, found out by probing and then applied the fast way.

OpenColorIO is the truth. What it does between two spaces is looked at once with a few colours:
nothing, a 3x3 matrix, one curve a channel, or anything else. Matrices go through cv2.transform;
curves of 8 bit, 16 bit and half codes through tables that OCIO itself filled, so that each code
has exactly OCIO's value; the rest goes to OCIO. At 1280x720 on one thread OCIO takes 90 ms, a
matrix 0.4 ms, a table 1 to 2 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.color.config import ColorConfig
from matte_nodes.errors import ColorError

Float = NDArray[np.float32]
Pixels = NDArray[Any]

# Probes stay where curves are gentle: OCIO's own fast maths is off by about 2e-5 of the value.
_TOLERANCE = 1e-4


def as_float(pixels: Pixels) -> Float:
    """Codes as numbers: (H, W, C) uint8, uint16 (full range is 1.0), float16 or float32.

    A float32 array comes back as it is, not copied.
    """
    if pixels.dtype == np.float32:
        return pixels
    if pixels.dtype in (np.uint8, np.uint16, np.float16):
        return look_up(pixels, all_codes(pixels.dtype))
    if pixels.dtype == np.float64:
        return pixels.astype(np.float32)
    raise ColorError(
        f"Pixels of type {pixels.dtype} are not known: give uint8, uint16, float16 or float32."
    )


@lru_cache(maxsize=3)
def all_codes(dtype: np.dtype[Any]) -> Float:
    """The number that each code of an 8 or 16 bit type stands for: (256,) or (65536,)."""
    if dtype == np.float16:
        with np.errstate(invalid="ignore"):
            return np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    top = int(np.iinfo(dtype).max)
    return (np.arange(top + 1) / top).astype(np.float32)


def look_up(codes: Pixels, table: Float) -> Float:
    """table[codes] for 8 or 16 bit codes; table: (N,) or one column a channel (N, C)."""
    import cv2

    indices = codes.view(np.uint16) if codes.dtype == np.float16 else codes
    indices = np.ascontiguousarray(indices)
    if table.ndim == 1:
        if indices.dtype == np.uint8 or _wide_lut():
            return np.asarray(cv2.LUT(indices, table), dtype=np.float32).reshape(indices.shape)
        return np.asarray(np.take(table, indices), dtype=np.float32)
    out = np.empty(indices.shape, np.float32)
    for channel in range(indices.shape[-1]):
        out[..., channel] = np.take(table[:, channel], indices[..., channel])
    return out


@lru_cache(maxsize=1)
def _wide_lut() -> bool:
    """Whether this OpenCV looks up 16 bit codes (5.0 does: 1.8 ms where numpy takes 4.5)."""
    import cv2

    try:
        probe = cv2.LUT(np.array([[65535]], np.uint16), np.arange(65536, dtype=np.float32))
    except cv2.error:
        return False
    return bool(probe[0, 0] == 65535)


def _image_call(call: Callable[[Any, Any], Any], pixels: Float) -> Float:
    """Run one ImageBufAlgo call on (..., 3) floats and give its pixels back."""
    import OpenImageIO

    flat = np.ascontiguousarray(pixels.reshape(1, -1, 3) if pixels.ndim != 3 else pixels)
    result = call(OpenImageIO.ImageBufAlgo, OpenImageIO.ImageBuf(flat))
    if result.has_error:
        raise ColorError(f"OpenColorIO could not make the transform: {result.geterror()}")
    return np.asarray(result.get_pixels(OpenImageIO.FLOAT), np.float32).reshape(pixels.shape)


def convert(config: ColorConfig, source: str, target: str, pixels: Float) -> Float:
    """(..., 3) float32 from one colour space to another by OCIO itself."""
    return _image_call(
        lambda algo, image: algo.colorconvert(image, source, target, colorconfig=config.argument),
        pixels,
    )


def display(config: ColorConfig, source: str, pixels: Float, *, inverse: bool = False) -> Float:
    """(..., 3) float32 from a space through the config's default display view, or back."""
    screen, view = config.default_view()
    return _image_call(
        lambda algo, image: algo.ociodisplay(
            image, screen, view, source, inverse=inverse, colorconfig=config.argument
        ),
        pixels,
    )


class Transform:
    """What OCIO does between two spaces of a config, on (H, W, 3) pixels of any code type.

    `matrix` is the 3x3 where the transform is linear, else None; `separable` says that each
    channel of the result depends on that channel alone. Safe in several threads.
    """

    def __init__(self, config: ColorConfig, source: str, target: str) -> None:
        self.config, self.source, self.target = config, source, target
        self.identity = source == target
        self.matrix: Float | None = np.eye(3, dtype=np.float32) if self.identity else None
        self.separable = self.identity
        self._tables: dict[np.dtype[Any], Float] = {}
        self._lock = threading.Lock()
        if not self.identity:
            self._probe()

    def _probe(self) -> None:
        # One call of OCIO for all probes: a config is parsed at each call.
        # Inside 0..1: configs may clamp outside, and curves differ inside.
        colors = np.random.default_rng(7).random((64, 3), dtype=np.float32)
        grey = np.repeat(colors.reshape(-1, 1), 3, axis=1)  # each channel's value as a grey
        # Linear also far outside 0..1, where highlights and saturated colours are.
        far = (colors - 0.5) * 1000
        bytes_ = np.repeat(all_codes(np.dtype(np.uint8))[:, None], 3, axis=1)
        answers = self.exact(
            np.concatenate([np.eye(3, dtype=np.float32), colors, far, grey, bytes_])
        )
        unit, got, got_far, got_grey, got_bytes = np.split(answers, [3, 67, 131, 131 + 192])
        alone = got_grey.reshape(64, 3, 3)[:, [0, 1, 2], [0, 1, 2]]
        self.separable = bool(np.allclose(got, alone, rtol=_TOLERANCE, atol=_TOLERANCE / 10))
        self._tables[np.dtype(np.uint8)] = _one_column(got_bytes)
        seen = np.concatenate([colors, far]).astype(np.float64)
        wrong = np.abs(np.concatenate([got, got_far]) - seen @ unit.astype(np.float64))
        size = np.abs(seen).max(axis=1, keepdims=True)
        if bool((wrong <= _TOLERANCE / 10 * size).all()):
            self.matrix = np.ascontiguousarray(unit.T, np.float32)

    def exact(self, pixels: Float) -> Float:
        """(..., 3) float32 through OCIO itself."""
        return convert(self.config, self.source, self.target, pixels)

    def table(self, dtype: np.dtype[Any]) -> Float:
        """OCIO's value of every code of a type: (N,), or (N, 3) where the channels differ."""
        with self._lock:
            if dtype not in self._tables:
                codes = all_codes(dtype)
                self._tables[dtype] = _one_column(self.exact(np.repeat(codes[:, None], 3, axis=1)))
            return self._tables[dtype]

    def __call__(self, pixels: Pixels) -> Float:
        """The pixels in the target space, float32; a new array unless nothing changes."""
        if self.identity:
            return as_float(pixels)
        if self.matrix is not None:
            return apply_matrix(as_float(pixels), self.matrix)
        if self.separable and pixels.dtype in (np.uint8, np.uint16, np.float16):
            return look_up(pixels, self.table(pixels.dtype))
        return self.exact(as_float(pixels))


def _one_column(table: Float) -> Float:
    same = np.array_equal(table, table[:, :1].repeat(3, axis=1), equal_nan=True)
    return np.ascontiguousarray(table[:, 0] if same else table)


def apply_matrix(pixels: Float, matrix: Float) -> Float:
    """matrix @ colour for each pixel of (H, W, 3)."""
    import cv2

    source = np.ascontiguousarray(pixels)
    return np.asarray(cv2.transform(source, matrix), np.float32).reshape(pixels.shape)


@lru_cache(maxsize=64)
def _transform(path: str, cache_id: str, source: str, target: str) -> Transform:
    return Transform(ColorConfig(path), source, target)


def transform(config: ColorConfig, source: str, target: str) -> Transform:
    """The transform between two canonical spaces; made once for all plates of the process."""
    return _transform(config.path, config.cache_id, source, target)


def _is_curves_then_matrix(config: ColorConfig, space: str, linear: str) -> bool:
    """Whether a space is a linear one behind one curve a channel, by additivity of channels."""
    colors = np.random.default_rng(8).random((64, 1, 3), dtype=np.float32)
    alone = colors * np.eye(3, dtype=np.float32)  # (64, channel, rgb): one channel, others 0
    answers = convert(config, space, linear, np.concatenate([alone, colors, colors * 0], axis=1))
    together = answers[:, :3].sum(axis=1) - 2 * answers[:, 4]
    return bool(np.allclose(together, answers[:, 3], rtol=_TOLERANCE, atol=_TOLERANCE))


@lru_cache(maxsize=64)
def _linear_counterpart(path: str, cache_id: str, space: str) -> str:
    config = ColorConfig(path)
    if config.says_linear(space):
        return space
    candidates = config.kin(space)
    scene = config.role("scene_linear")
    if candidates and transform(config, space, candidates[0]).separable:
        return candidates[0]
    if scene is None or _is_curves_then_matrix(config, space, scene):
        for name in candidates[1:]:
            if transform(config, space, name).separable:
                return name
    if scene is None:
        raise ColorError(
            f"The OCIO config {path} has no scene_linear role and no linear space with the "
            f'primaries of "{space}": name a linear output space or use another config.'
        )
    return scene


def linear_counterpart(config: ColorConfig, space: str) -> str:
    """The scene-linear space that belongs to a space.

    The space itself where it is linear; else the first linear space of the config that differs
    from it by one curve a channel, which is to say has the same primaries (sRGB texture ->
    linear Rec.709, ARRI LogC3 -> linear ARRI Wide Gamut 3); else the scene_linear role.
    """
    return _linear_counterpart(config.path, config.cache_id, space)
