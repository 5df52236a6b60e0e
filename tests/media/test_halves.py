# SPDX-License-Identifier: Apache-2.0
"""Half floats by OpenCV have the bits of numpy's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.media import halves

EVERY = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)


def same_bits(left: Any, right: Any) -> bool:
    """Whether two arrays of halves or floats have the same bits; any NaN equals any other."""
    nan = np.isnan(left) & np.isnan(right)
    kind = {2: np.uint16, 4: np.uint32}[left.dtype.itemsize]
    return bool(left.dtype == right.dtype and ((left.view(kind) == right.view(kind)) | nan).all())


def test_every_half_is_read_as_numpy_reads_it() -> None:
    with np.errstate(invalid="ignore"):
        assert same_bits(halves.to_float(EVERY), EVERY.astype(np.float32))


@pytest.mark.parametrize("shape", [(300, 401), (300, 401, 3), (300, 40, 7)])
def test_floats_are_rounded_as_numpy_rounds_them(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    floats = (rng.normal(size=shape) * 10.0 ** rng.integers(-9, 6, shape)).astype(np.float32)
    floats.flat[:6] = [0.0, -0.0, 65519.9, 65520.0, np.inf, 0.99985]
    with np.errstate(over="ignore"):
        assert same_bits(halves.to_half(floats), floats.astype(np.float16))


def test_a_product_of_halves_is_rounded_once() -> None:
    rng = np.random.default_rng(2)
    left = (rng.random((200, 300)) * 40).astype(np.float16)
    right = rng.random((200, 300)).astype(np.float16)
    right[:20], right[20:40] = 0, 1
    expected = (left.astype(np.float32) * right.astype(np.float32)).astype(np.float16)
    assert same_bits(halves.product(left, right), expected)
    assert same_bits(halves.product(left, right)[20:40], left[20:40])


def test_an_opencv_without_half_floats_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    floats = np.random.default_rng(3).normal(size=(50, 60, 3)).astype(np.float32) * 1e5
    by_opencv = halves.to_half(floats), halves.bounded(floats)
    square = halves.product(by_opencv[1][..., 0].copy(), by_opencv[1][..., 1].copy())

    def refuse(*args: Any, **more: Any) -> Any:
        raise cv2.error("no half floats")

    monkeypatch.setattr(cv2, "subtract", refuse)
    halves._by_opencv.cache_clear()
    try:
        assert not halves._by_opencv()
        assert same_bits(halves.to_half(floats), by_opencv[0])
        assert same_bits(halves.bounded(floats), by_opencv[1])
        with np.errstate(over="ignore"):
            again = halves.product(by_opencv[1][..., 0], by_opencv[1][..., 1])
        assert same_bits(again, square)
    finally:
        halves._by_opencv.cache_clear()


def test_a_light_over_65504_is_the_largest_half_and_nan_stays() -> None:
    bright = np.array([[7e4, -7e4, 1.0, np.inf]], np.float32)
    assert halves.bounded(bright).tolist() == [[65504.0, -65504.0, 1.0, 65504.0]]
    assert np.isnan(halves.to_half(np.array([[np.nan]], np.float32)))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_pixel_that_is_not_finite_is_seen(bad: float) -> None:
    plate = np.full((30, 40, 3), 65504, np.float16)
    assert halves.is_finite(plate)
    plate[17, 3, 1] = bad
    assert not halves.is_finite(plate)


@pytest.mark.parametrize("shape", [(0, 3), (1, 0, 3), (5,)])
def test_empty_and_flat_arrays(shape: tuple[int, ...]) -> None:
    made = halves.to_half(np.zeros(shape, np.float32))
    assert made.shape == shape
    assert made.dtype == np.float16
    assert halves.to_float(made).shape == shape
    assert halves.is_finite(made)
