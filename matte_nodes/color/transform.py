# SPDX-License-Identifier: Apache-2.0
"""One OCIO transform, found out by probing and then applied the fast way.

OpenColorIO is the truth. What it does between two spaces is looked at once with a few colours:
nothing, a 3x3 matrix, one curve a channel, or anything else. Matrices go through cv2.transform;
curves of 8 bit, 16 bit and half codes through tables that OCIO itself filled, so that each code
has exactly OCIO's value; curves of float32 through a table with straight lines between, and OCIO
itself for what is outside 0..1; the rest goes to OCIO. At 1280x720 on one thread OCIO takes
90 ms, a matrix 0.4 ms, a table 1 to 2 ms, a curve of float32 9 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.fast import (
    CODE_TYPES,
    Curve,
    Float,
    Pixels,
    all_codes,
    apply_matrix,
    as_float,
    by_slabs,
    look_up,
)
from matte_nodes.errors import ColorError

# OCIO's own fast maths is off by about 2e-5 of the value.
_TOLERANCE = 1e-4


def _image_call(call: Callable[[Any, Any], Any], pixels: Float) -> Float:
    """Run one ImageBufAlgo call on (..., 3) floats and return its pixels."""
    import OpenImageIO

    flat = np.ascontiguousarray(pixels.reshape(1, -1, 3) if pixels.ndim != 3 else pixels)
    result = call(OpenImageIO.ImageBufAlgo, OpenImageIO.ImageBuf(flat))
    if result.has_error:
        raise ColorError(f"OpenColorIO could not make the transform: {result.geterror()}")
    return np.asarray(result.get_pixels(OpenImageIO.FLOAT), np.float32).reshape(pixels.shape)


def convert(config: ColorConfig, source: str, target: str, pixels: Float) -> Float:
    """Convert (..., 3) float32 from one colour space to another by OCIO itself."""
    if config.engine is not None:
        return config.engine.convert(source, target).apply(pixels)
    return _image_call(
        lambda algo, image: algo.colorconvert(image, source, target, **config.keywords),
        pixels,
    )


def display(config: ColorConfig, source: str, pixels: Float, *, inverse: bool = False) -> Float:
    """Convert (..., 3) float32 from a space through the config's default display view, or back."""
    if config.engine is not None:
        return config.engine.display(source, inverse=inverse).apply(pixels)
    screen, view = config.default_view()
    return _image_call(
        lambda algo, image: algo.ociodisplay(
            image, screen, view, source, inverse=inverse, **config.keywords
        ),
        pixels,
    )


def by_file(path: str, pixels: Float) -> Float:
    """Return (..., 3) float32 as a table in a file of OCIO's makes of them."""
    return _image_call(lambda algo, image: algo.ociofiletransform(image, path), pixels)


class Transform:
    """An OCIO transform between two spaces of a config, for (H, W, 3) pixels of any code type.

    `matrix` is the 3x3 of a linear transform, else None. `separable` states that each channel of
    the result depends on that channel alone. id: names all the numbers in it, with those of LUT
    files; "" for a built-in config. Thread-safe.
    """

    def __init__(self, config: ColorConfig, source: str, target: str) -> None:
        self.config, self.source, self.target = config, source, target
        self.identity = source == target
        self.id = "" if self.identity else config.processor(source, target)
        self.matrix: Float | None = np.eye(3, dtype=np.float32) if self.identity else None
        self.separable = self.identity
        self._tables: dict[np.dtype[Any], Float] = {}
        self._curve: Curve | None = None
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
        unit = np.eye(3, dtype=np.float32)
        bytes_ = np.repeat(all_codes(np.dtype(np.uint8))[:, None], 3, axis=1)
        answers = self.exact(np.concatenate([unit, colors, far, grey, bytes_]))
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
        """Convert (..., 3) float32 by OCIO itself."""
        return pixels if self.identity else convert(self.config, self.source, self.target, pixels)

    def table(self, dtype: np.dtype[Any]) -> Float:
        """Return OCIO's value of every code of a type: (N,), or (N, 3) where the channels differ."""
        with self._lock:
            if dtype not in self._tables:
                codes = all_codes(dtype)
                self._tables[dtype] = _one_column(self.exact(np.repeat(codes[:, None], 3, axis=1)))
            return self._tables[dtype]

    @property
    def one_curve(self) -> bool:
        """Whether the transform is the same curve for every channel."""
        return self.separable and not self.identity and self.table(CODE_TYPES[0]).ndim == 1

    def curve(self) -> Curve:
        """Return the curve on 0..1 of a transform that is one curve."""
        with self._lock:
            if self._curve is None:
                root = self.config.says_linear(self.source)
                places = Curve.places(root)
                filled = self.exact(np.repeat(places[:, None], 3, axis=1))
                self._curve = Curve(filled[:, 0], root=root)
            return self._curve

    def __call__(self, pixels: Pixels) -> Float:
        """Return the pixels in the target space, float32; a new array unless nothing changes."""
        if self.identity:
            return as_float(pixels)
        if self.matrix is not None:
            return apply_matrix(as_float(pixels), self.matrix)
        if self.separable and pixels.dtype in CODE_TYPES:
            return look_up(pixels, self.table(pixels.dtype))
        floats = as_float(pixels)
        return self._by_curve(floats) if self.one_curve else self.exact(floats)

    def _by_curve(self, pixels: Float) -> Float:
        out = by_slabs(self.curve().between, pixels)
        inside = bool(pixels.size) and float(pixels.min()) >= 0 and float(pixels.max()) <= 1
        if not inside:
            outside = ~((pixels >= 0) & (pixels <= 1)).all(axis=-1)
            out[outside] = self.exact(pixels[outside])
        return out


def _one_column(table: Float) -> Float:
    same = np.array_equal(table, table[:, :1].repeat(3, axis=1), equal_nan=True)
    return np.ascontiguousarray(table[:, 0] if same else table)


@lru_cache(maxsize=64)
def transform(config: ColorConfig, source: str, target: str) -> Transform:
    """Return the transform between two canonical spaces, made once for the process."""
    return Transform(config, source, target)
