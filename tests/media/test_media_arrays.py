# SPDX-License-Identifier: Apache-2.0
"""ArrayClip and paste."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media.clip import ArrayClip, paste
from matte_nodes.media.image import Image, Rect

WINDOWS = st.builds(
    Rect, st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 6), st.integers(1, 6)
)


def test_one_array_several_and_by_number() -> None:
    one = np.zeros((4, 5, 3), np.float32)
    assert list(ArrayClip(one).frames) == [1]
    assert list(ArrayClip([one, one], first=1001).frames) == [1001, 1002]
    assert list(ArrayClip({7: one, 3: one}).frames) == [3, 7]
    assert list(ArrayClip(np.zeros((3, 4, 5, 3), np.uint8)).frames) == [1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "names"),
    [((4, 5), "Y"), ((4, 5, 1), "Y"), ((4, 5, 3), "RGB"), ((4, 5, 4), "RGBA")],
)
def test_channels(shape: tuple[int, ...], names: str) -> None:
    image = ArrayClip(np.zeros(shape, np.uint8)).read(1)
    assert image.channels == tuple(names)
    assert image.pixels.shape == (4, 5, len(names))
    assert image.alpha_associated is (False if "A" in names else None)


def test_pixels_are_not_copied() -> None:
    array = np.zeros((4, 5, 3), np.float32)
    assert np.shares_memory(ArrayClip(array).read(1).pixels, array)


@pytest.mark.parametrize(
    "arrays",
    [
        np.zeros((4, 5, 5), np.float32),
        np.zeros((4, 5, 3), np.int64),
        np.zeros((0, 5, 3), np.float32),
        np.zeros(4, np.float32),
        [],
        [np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8)],
    ],
)
def test_what_is_not_a_clip(arrays: Any) -> None:
    with pytest.raises(MediaError):
        ArrayClip(arrays)


def test_missing_frame_and_stamp() -> None:
    clip = ArrayClip([np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)], name="mine")
    with pytest.raises(MissingFrameError, match="mine: there is no frame 3"):
        clip.read(3)
    assert clip.stamp(1) != clip.stamp(2)
    assert clip.stamp(1) == ArrayClip(np.zeros((2, 2), np.uint8)).stamp(1)
    assert clip.stamp(1) != ArrayClip(np.zeros((2, 2), np.float16)).stamp(1)


def test_floats_reach_exactly_one() -> None:
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535)):
        codes = np.arange(white + 1, dtype=np.int64).astype(dtype).reshape(1, -1)
        values = ArrayClip(codes).read(1).floats()
        assert values.dtype == np.float32
        assert (values.min(), values.max()) == (0, 1)


@given(WINDOWS, WINDOWS)
def test_paste_puts_every_pixel_at_its_place(data: Rect, canvas: Rect) -> None:
    random = np.random.default_rng(0)
    pixels = random.random((data.height, data.width, 2)).astype(np.float16)
    result = paste(Image(pixels, ("Y", "A"), data, data), canvas, fill=-1)
    assert result.dtype == np.float16
    assert result.shape == (canvas.height, canvas.width, 2)
    for y in range(canvas.height):
        for x in range(canvas.width):
            row, column = y + canvas.y - data.y, x + canvas.x - data.x
            inside = 0 <= row < data.height and 0 <= column < data.width
            expected = pixels[row, column] if inside else (-1, -1)
            assert tuple(result[y, x]) == tuple(expected)


@given(WINDOWS, WINDOWS)
def test_union_holds_both(a: Rect, b: Rect) -> None:
    union = a.union(b)
    assert union == b.union(a)
    assert union.holds(a)
    assert union.holds(b)


def test_paste_does_not_copy_what_fits() -> None:
    window = Rect(2, 3, 5, 4)
    pixels = np.zeros((4, 5, 1), np.uint8)
    assert paste(Image(pixels, ("Y",), window, window), window) is pixels
