# SPDX-License-Identifier: Apache-2.0
"""solve_foreground: what holds for every input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matte_nodes.errors import DeviceError
from matte_nodes.foreground import premultiply, solve_foreground

Float = NDArray[np.float32]
SIZES = [(1, 1), (7, 5), (1, 9), (9, 1), (2, 2), (33, 47)]


def mixture(seed: int, height: int, width: int, scale: float = 1.0) -> tuple[Float, Float]:
    """A random plate (some of it negative, some far above 1) and alpha with solid parts."""
    rng = np.random.default_rng(seed)
    plate = (rng.normal(0.5, 2, (height, width, 3)) * scale).astype(np.float32)
    alpha = np.clip(rng.normal(0.5, 0.6, (height, width)), 0, 1).astype(np.float32)
    return plate, alpha


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40))
def test_known_pixels_are_exact_and_all_are_finite(seed: int, height: int, width: int) -> None:
    plate, alpha = mixture(seed, height, width)
    before = plate.copy()
    solved = solve_foreground(plate, alpha)
    assert solved.dtype == np.float32
    assert solved.shape == plate.shape
    assert solved[alpha == 1].tobytes() == plate[alpha == 1].tobytes()
    assert not solved[alpha == 0].any()
    assert np.isfinite(solved).all()
    assert plate.tobytes() == before.tobytes()
    assert not np.shares_memory(solved, plate)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.floats(-2, 8, width=32), min_size=3, max_size=3),
    st.lists(st.floats(-2, 8, width=32), min_size=3, max_size=3),
)
def test_constant_colours_are_recovered(
    seed: int, foreground: list[float], background: list[float]
) -> None:
    alpha = mixture(seed, 32, 32)[1]
    alpha[0, :2] = 1, 0  # both colours are seen somewhere
    front, back = np.float32(foreground), np.float32(background)
    plate = (alpha[..., None] * front + (1 - alpha[..., None]) * back).astype(np.float32)
    solved = solve_foreground(plate, alpha)
    error = np.abs(solved - front)[alpha > 0].max()
    assert error <= 2e-3 * max(1.0, float(np.abs(front - back).max()))


@pytest.mark.parametrize("factor", [0.25, 8.0, 1024.0])
def test_scaling_the_plate_scales_the_answer(factor: float) -> None:
    plate, alpha = mixture(5, 40, 50)
    small, large = (
        solve_foreground(plate, alpha),
        solve_foreground(plate * np.float32(factor), alpha),
    )
    assert np.array_equal(large, small * np.float32(factor))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_alpha_of_one_value_at_every_size(size: tuple[int, int], value: float) -> None:
    plate = mixture(3, *size)[0]
    alpha = np.full(size, value, np.float32)
    solved = solve_foreground(plate, alpha)
    if value in (0.0, 1.0):
        assert solved.tobytes() == (plate * np.float32(value) + np.float32(0)).tobytes()
    assert np.isfinite(solved).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hints", [(), ("start",), ("background",), ("start", "background")])
def test_hints_keep_the_promises_at_every_size(
    size: tuple[int, int], hints: tuple[str, ...]
) -> None:
    plate, alpha = mixture(4, *size)
    given_: dict[str, Any] = {name: mixture(7, *size)[0] for name in hints}
    solved = solve_foreground(plate, alpha, **given_)
    assert solved[alpha == 1].tobytes() == plate[alpha == 1].tobytes()
    assert not solved[alpha == 0].any()
    assert np.isfinite(solved).all()


def test_the_number_of_threads_changes_no_bit() -> None:
    rng = np.random.default_rng(1)
    plate = rng.random((300, 400, 3), dtype=np.float32)
    alpha = np.clip(rng.random((300, 400), dtype=np.float32) * 1.2 - 0.1, 0, 1)
    once = solve_foreground(plate, alpha, threads=1)
    for threads in (2, 3, 7, 0):
        assert solve_foreground(plate, alpha, threads=threads).tobytes() == once.tobytes()


def test_views_that_are_not_contiguous_are_taken() -> None:
    plate, alpha = mixture(9, 20, 30)
    flipped = solve_foreground(plate[::-1, ::2], alpha[::-1, ::2])
    copied = solve_foreground(plate[::-1, ::2].copy(), alpha[::-1, ::2].copy())
    assert flipped.tobytes() == copied.tobytes()


def test_a_plate_without_negative_light_gives_none() -> None:
    rng = np.random.default_rng(2)
    plate = rng.random((60, 60, 3), dtype=np.float32) ** 4
    alpha = np.clip(rng.random((60, 60), dtype=np.float32) * 1.3 - 0.15, 0, 1)
    assert solve_foreground(plate, alpha).min() >= 0


def test_premultiplied_is_foreground_times_alpha() -> None:
    plate, alpha = mixture(6, 5, 4)
    product = premultiply(plate, alpha)
    assert product.dtype == np.float32
    assert np.array_equal(product, plate * alpha[..., None])


def test_a_device_that_is_not_there_is_an_error() -> None:
    plate, alpha = mixture(8, 6, 6)
    with pytest.raises(DeviceError, match="warp9"):
        solve_foreground(plate, alpha, device="warp9")
