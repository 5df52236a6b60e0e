# SPDX-License-Identifier: Apache-2.0
"""Odd arrays, PIL images and tensors in Python."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import BadPlateError, InputError, MediaError
from matte_nodes.media.as_array import InputWarning
from tests.faults.rig import mask, odd, picture
from tests.faults.samples import (
    ADOBE,
    chunk,
    codes,
    gama,
    icc,
    png,
    seen,
)
from tests.made import write_image


@odd("Python", "A PIL image with another profile than sRGB, or another gamma", "refused",
     "Connect the file, or convert it.")  # fmt: skip
def test_pil_profiles(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    adobe = icc(ADOBE, 2.19921875, "A98")
    png(tmp_path / "a.png", chunk(b"iCCP", b"x\0\0" + zlib.compress(adobe)))
    png(tmp_path / "b.png", gama(1))
    png(tmp_path / "c.png", chunk(b"sRGB", b"\0"), gama(1 / 2.2))
    node = MatteNode("green-screen")
    for name, word in (("a.png", "adobergb"), ("b.png", "gamma")):
        with pytest.raises(InputError, match=word):
            node(image.open(tmp_path / name))
    assert node(image.open(tmp_path / "c.png")).alpha.sum() == 448


@odd("Python", "A PIL image that says that it is turned (EXIF)", "said", "As it lies.")
def test_turned_pil_image(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    turned = image.Exif()
    turned[0x0112] = 6
    image.fromarray(codes(picture())).save(tmp_path / "p.png", exif=turned.tobytes())
    with pytest.warns(InputWarning, match="exif_transpose"):
        found = MatteNode("green-screen")(image.open(tmp_path / "p.png"))
    assert found.alpha.shape == (48, 64)


@odd("Python", "A grey PIL image of 16 or 32 bits as the plate", "refused", "As a grey array.")
@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
def test_wide_grey_pil_images(mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(BadPlateError, match="grey"):
        MatteNode("green-screen")(image.new(mode, (64, 48), 30_000))


@odd("Python", "Bytes in the order of another machine (>f4, >u2)", "taken", "Their values.")
def test_byte_order() -> None:
    node, pixels = MatteNode("green-screen"), codes(picture()).astype(np.uint16) * 257
    expected = node(pixels).alpha
    assert np.array_equal(node(pixels.astype(">u2")).alpha, expected)
    linear = picture() ** 2
    assert np.array_equal(node(linear.astype(">f4")).alpha, node(linear).alpha)


@odd("Python", "A tensor without data (meta), sparse, of 8-bit floats", "refused", "Why is said.")
def test_tensors_that_are_no_arrays() -> None:
    torch = pytest.importorskip("torch")
    pixels = torch.from_numpy(picture())
    for tensor in (
        torch.empty(48, 64, 3, device="meta"),
        pixels.to_sparse(),
        pixels.to(torch.float8_e4m3fn),
    ):
        with pytest.raises(InputError, match="cannot be made an array"):
            MatteNode("green-screen")(tensor)


@odd("Python", "Floats from 0 to 255 that are no whole numbers", "said", "A warning.")
def test_codes_as_soft_floats() -> None:
    with pytest.warns(InputWarning, match="codes of 0 to 255"):
        MatteNode("green-screen")(picture() * 250 + 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sun = picture()
        sun[0, 0] = 3000
        MatteNode("green-screen")(sun)


@odd("Python", "A picture that was normalised for a network", "said", "A warning.")
@pytest.mark.parametrize("how", ["-1 to 1", "mean and deviation"])
def test_normalised_pictures(how: str) -> None:
    pixels = picture() * 2 - 1 if how == "-1 to 1" else (picture() - 0.45) / 0.22
    with pytest.warns(InputWarning, match="normalised"):
        MatteNode("green-screen")(pixels)


@odd("Python", "A mask of bool, or of wide integers (int64), connected to a shot", "taken",
     "As in a still.")  # fmt: skip
@pytest.mark.parametrize("kind", [bool, np.int64, np.uint32])
@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_other_types(kind: type, white: int) -> None:
    bound = seen(codes(picture()), (mask() * white).astype(kind))
    assert np.array_equal(bound.pixels(1), mask())


@odd("Python", "A mask of logits or of floats to 255", "said", "Clamped, with a warning.")
@pytest.mark.parametrize("how", ["logits", "codes"])
def test_masks_outside_their_range(how: str) -> None:
    values = mask() * 16 - 8 if how == "logits" else mask() * 255
    with pytest.warns(InputWarning, match="outside 0 to 1"):
        MatteNode("green-screen")(codes(picture()), segmentation=values)


@odd("Python", "Low codes as uint16", "said", "A warning.")
def test_low_codes_in_python() -> None:
    with pytest.warns(InputWarning, match="nearly black"):
        MatteNode("green-screen")(codes(picture()).astype(np.uint16))


def test_a_damaged_frame_leaves_its_message_to_its_turn(tmp_path: Path) -> None:
    write_image(tmp_path / "p.1.png", (picture() * 255).astype(np.uint16))
    whole = (tmp_path / "p.1.png").read_bytes()
    (tmp_path / "p.1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="damaged"):
        MatteNode("green-screen").connect(tmp_path / "p.#.png").at(1)
