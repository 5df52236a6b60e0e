# SPDX-License-Identifier: Apache-2.0
"""Movie codes against ITU-R BT.601, BT.709 and BT.2020 computed here, and what tags mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes.media.clip import open_clip

from .samples import write_movie

WEIGHTS = {"709": (0.2126, 0.0722), "601": (0.299, 0.114), "2020": (0.2627, 0.0593)}
MATRIX = {"709": 1, "601": 6, "2020": 9}
BLOCK = 16


def patches() -> NDArray[Any]:
    """Primaries, black, white, greys and random colours, (4, 8, 3), 0..1."""
    colours = np.random.default_rng(0).random((4, 8, 3))
    colours[0] = [
        [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5] * 3, [0.18] * 3, [1, 1, 0]
    ]  # fmt: skip
    return colours


def encoded(colours: NDArray[Any], matrix: str, bits: int, full: bool, form: str) -> av.VideoFrame:
    """Y'CbCr codes of R'G'B' patches by the formulas of the recommendations."""
    red, blue = WEIGHTS[matrix]
    luma = colours @ np.array([red, 1 - red - blue, blue])
    cb = (colours[..., 2] - luma) / (2 * (1 - blue))
    cr = (colours[..., 0] - luma) / (2 * (1 - red))
    unit, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        codes = [luma * top, cb * top + 128 * unit, cr * top + 128 * unit]
    else:
        codes = [(219 * luma + 16) * unit, (224 * cb + 128) * unit, (224 * cr + 128) * unit]
    dtype = np.uint8 if bits == 8 else np.dtype("<u2")
    picture = av.VideoFrame(colours.shape[1] * BLOCK, colours.shape[0] * BLOCK, form)
    for plane, values in zip(picture.planes, codes, strict=True):
        size = plane.height // colours.shape[0], plane.width // colours.shape[1]
        rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
        drawn = np.kron(np.rint(values).clip(0, top), np.ones(size))
        rows[:, : plane.width] = drawn.astype(dtype)
    picture.color_range = 2 if full else 1
    return picture


def read_patches(path: Path) -> tuple[NDArray[Any], Any]:
    clip = open_clip(path)
    image = clip.read(1)
    half = BLOCK // 2
    return image.floats()[half::BLOCK, half::BLOCK], clip


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize(
    ("bits", "form"),
    [(8, "yuv420p"), (8, "yuv444p"), (10, "yuv420p10le"), (10, "yuv422p10le"), (12, "yuv444p12le")],
)
def test_matrix_and_range(tmp_path: Path, matrix: str, full: bool, bits: int, form: str) -> None:
    def tags(container: Any, stream: Any) -> None:
        stream.codec_context.colorspace = MATRIX[matrix]
        stream.codec_context.color_range = 2 if full else 1

    picture = encoded(patches(), matrix, bits, full, form)
    path = write_movie(tmp_path / "p.mkv", [picture], "ffv1", setup=tags)
    found, clip = read_patches(path)
    assert clip.read(1).pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    # Rounding of the codes: half a code of luma, and of chroma through factors up to 1.9.
    assert np.abs(found - patches()).max() < 2.0 / 2**bits + (0.5 / 255 if bits == 8 else 0)
    assert tuple(found[0, 0]) == (0, 0, 0)
    assert tuple(found[0, 1]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("width", "height", "matrix"), [(640, 480, "601"), (1280, 720, "709"), (720, 576, "601")]
)
def test_untagged_goes_by_size(tmp_path: Path, width: int, height: int, matrix: str) -> None:
    colour = np.array([[[0.8, 0.2, 0.1]]])
    block = encoded(
        np.broadcast_to(colour, (height // BLOCK, width // BLOCK, 3)), matrix, 8, False, "yuv444p"
    )
    path = write_movie(tmp_path / "p.mkv", [block], "ffv1")
    found, clip = read_patches(path)
    assert np.abs(found - colour).max() < 1.5 / 255
    assert clip.colorspace == {"601": "bt601", "709": "bt709"}[matrix]


@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix", "said"),
    [
        (1, 1, 1, "bt709"),
        (6, 6, 6, "bt601"),
        (9, 14, 9, "bt2020"),
        (9, 1, 9, "bt2020"),
        (9, 2, 9, "bt2020"),
        (1, 13, 1, "srgb"),
        (9, 16, 9, "pq"),
        (9, 18, 9, "hlg"),
        (1, 8, 1, "lin_rec709_scene"),
        (2, 2, 1, "bt709"),
        (2, 2, 2, "bt601"),
        (1, 9, 1, "log100"),
        (1, 4, 1, "bt470m"),
        (12, 13, 1, "smpte432/srgb"),
        (12, 1, 1, "smpte432/bt709"),
    ],
)
def test_colour_space_by_tag(
    tmp_path: Path, primaries: int, transfer: int, matrix: int, said: str
) -> None:
    def tags(container: Any, stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc = primaries, transfer
        context.colorspace = matrix

    picture = encoded(patches(), "709", 8, False, "yuv420p")
    picture.color_primaries, picture.color_trc, picture.colorspace = primaries, transfer, matrix
    path = write_movie(tmp_path / "p.mkv", [picture], "ffv1", setup=tags)
    assert open_clip(path).colorspace == said


def test_rgb_and_grey_movies(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    picture = av.VideoFrame.from_ndarray(codes, format="rgb24").reformat(format="bgr0")
    clip = open_clip(write_movie(tmp_path / "p.mkv", [picture], "ffv1"))
    assert np.array_equal(clip.read(1).pixels, codes)
    assert clip.colorspace == "srgb"
    grey = av.VideoFrame.from_ndarray(codes[..., 0], format="gray")
    grey.color_range = 2

    def full(container: Any, stream: Any) -> None:
        stream.codec_context.color_range = 2

    image = open_clip(write_movie(tmp_path / "g.mkv", [grey], "ffv1", setup=full)).read(1)
    assert image.channels == ("Y",)
    assert np.array_equal(image.pixels[..., 0], codes[..., 0])


def test_motion_jpeg_is_full_range(tmp_path: Path) -> None:
    picture = encoded(patches(), "601", 8, True, "yuvj444p")
    path = write_movie(
        tmp_path / "p.mov", [picture], "mjpeg", options={"qmin": "1", "qmax": "1", "q:v": "1"}
    )
    found, clip = read_patches(path)
    assert np.abs(found - patches()).max() < 6 / 255
    assert clip.colorspace == "srgb"
