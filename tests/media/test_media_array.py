# SPDX-License-Identifier: Apache-2.0
"""Pictures as .npy files, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.errors import MediaError, OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.sequence_writer import is_whole
from matte_nodes.media.writers import open_writer

from .samples import matte_frame


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", ">f4", "<f2"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_a_clip_of_arrays(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    pictures = [(rng.random(shape) * 200).astype(kind) for _ in range(2)]
    for number, picture in enumerate(pictures, 1001):
        np.save(tmp_path / f"p.{number}.npy", picture)
    clip = open_clip(tmp_path / "p.####.npy")
    assert tuple(clip.frames) == (1001, 1002)
    image = clip.read(1002)
    assert image.pixels.dtype == np.dtype(kind).newbyteorder("=")
    assert np.array_equal(image.pixels, pictures[1].reshape(5, 7, -1))
    assert image.channels == {1: ("Y",), 3: tuple("RGB"), 4: tuple("RGBA")}[image.pixels.shape[2]]
    assert image.alpha_associated is (False if shape[-1] == 4 else None)
    assert (image.data_window.width, image.display_window.height) == (7, 5)


def test_in_the_order_of_columns(tmp_path: Path) -> None:
    picture = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    np.save(tmp_path / "p.npy", np.asfortranarray(picture))
    assert np.array_equal(open_clip(tmp_path / "p.npy").read(1).pixels, picture)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 4, 2), np.float32), np.zeros((3, 4, 3)), np.zeros(5, np.float32),
     np.zeros((0, 4, 3), np.float32), np.zeros((2, 2, 2, 3), np.float32),
     np.zeros((3, 4, 3), np.complex64), np.float32(1)],
    ids=["two channels", "double", "a row", "empty", "four axes", "complex", "a number"],
)  # fmt: skip
def test_what_is_no_picture(tmp_path: Path, wrong: Any) -> None:
    np.save(tmp_path / "p.npy", wrong)
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(tmp_path / "p.npy").read(1)


def test_objects_are_not_unpacked(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(MediaError, match="no array"):
        open_clip(tmp_path / "p.npy").read(1)


@pytest.mark.parametrize("left", [0, 5, 60, 200])
def test_cut_short(tmp_path: Path, left: int) -> None:
    path = tmp_path / "p.npy"
    np.save(path, np.zeros((8, 8, 3), np.float32))
    path.write_bytes(path.read_bytes()[:left])
    assert not is_whole(path)
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(path).read(1)


def test_a_layer_of_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(MediaError, match="no layer"):
        open_clip(tmp_path / "p.npy", layer="beauty").read(1)


def test_the_array_layout(tmp_path: Path) -> None:
    frame = matte_frame(7, 12, 16)
    writer = open_writer(tmp_path / "m.####.npy", colorspace="ACEScg", provenance={}, rate=None)
    path = writer.write(frame)
    writer.close()
    assert path.name == "m.0007.npy"
    found = np.load(path)
    assert found.dtype == np.float32
    shown, data = frame.source.display_window, frame.window
    inside = found[
        data.y - shown.y : data.y - shown.y + data.height,
        data.x - shown.x : data.x - shown.x + data.width,
    ]
    assert found.shape == (shown.height, shown.width, 4)
    assert np.array_equal(inside[..., 3], frame.alpha)
    assert np.array_equal(inside[..., :3], frame.foreground)
    assert is_whole(path)


def test_the_layout_fits_no_other_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="layout array"):
        open_writer(tmp_path / "m.exr", layout="array", colorspace="", provenance={}, rate=None)
