# SPDX-License-Identifier: Apache-2.0
"""Data sets on disk: what belongs together, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_nodes.errors import InputError, MediaError
from matte_nodes.evaluate import find_items, read_colour, read_matte


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path: Path, pixels: np.ndarray, form: str = "uint8", alpha: int = -1) -> Path:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], form)
    if alpha >= 0:
        spec.alpha_channel = alpha
        spec["oiio:UnassociatedAlpha"] = 1
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(pixels.astype(np.float32))
    out.close()
    return path


def test_stills_are_matched_by_stem_whatever_their_type(tmp_path):
    touch(tmp_path, "plate/GT02.jpg", "plate/GT01.png", "alpha/GT01.exr", "alpha/GT02.PNG")
    items = find_items(tmp_path)
    assert [item.name for item in items] == ["GT01", "GT02"]
    assert items[0].paths("plate") == (tmp_path / "plate/GT01.png",)
    assert items[0].paths("alpha") == (tmp_path / "alpha/GT01.exr",)
    assert items[0].paths("trimap") == ()
    assert items[0].frames[0].number is None
    assert not items[0].sequence


def test_sequences_are_matched_by_name_and_number(tmp_path):
    touch(tmp_path, *(f"plate/walk/p.{n:04d}.png" for n in (1009, 1010, 1011)))
    touch(tmp_path, *(f"alpha/walk/{n}.exr" for n in (1009, 1010, 1011)))
    touch(tmp_path, "background/walk.exr")
    (item,) = find_items(str(tmp_path))
    assert item.sequence
    assert [frame.number for frame in item.frames] == [1009, 1010, 1011]
    assert item.frames[1].files["alpha"] == tmp_path / "alpha/walk/1010.exr"
    assert set(item.paths("background")) == {tmp_path / "background/walk.exr"}


def test_other_files_are_passed_over(tmp_path):
    touch(tmp_path, "plate/a.png", "alpha/a.png", "plate/.DS_Store", "alpha/notes.txt")
    touch(tmp_path, "plate/s/1.png", "alpha/s/1.png", "alpha/s/readme.md", "alpha/.s/1.png")
    assert [item.name for item in find_items(tmp_path)] == ["a", "s"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["plate/a.png"], "alpha/"),
        (["alpha/a.png"], "plate/"),
        (["plate/x.txt", "alpha/a.png"], "no pictures"),
        (["plate/a.png", "plate/b.png", "alpha/a.png"], "plate/b.png"),
        (["plate/a.png", "alpha/a.png", "alpha/b.png"], "alpha/b.png"),
        (["plate/a.png", "alpha/a.png", "trimap/b.png"], "trimap/b.png"),
        (["plate/a.png", "alpha/a.png", "trimap/.keep"], "trimap/a"),
        (["plate/a.png", "plate/a.jpg", "alpha/a.png"], "a.jpg and .*a.png"),
        (["plate/a.png", "plate/a/1.png", "alpha/a.png"], "a.png and .*a"),
        (["plate/s/1.png", "plate/s/01.png", "alpha/s/1.png"], "01.png and .*1.png"),
        (["plate/s/1.png", "plate/s/2.png", "alpha/s/1.png"], "s/2.png"),
        (["plate/s/1.png", "alpha/s/1.png", "alpha/s/2.png"], "alpha/s/2.png"),
        (["plate/s/1.png", "alpha/s.png"], "alpha/s.png"),
        (["plate/s/1.png", "alpha/s/1.png", "alpha/t/1.png"], "alpha/t"),
        (["plate/s/one.png", "alpha/s/1.png"], "no frame number"),
        (["plate/s/x.txt", "alpha/s/1.png"], "contains no frames"),
        (["plate/a.mov", "alpha/a.png"], "a movie"),
    ],
)
def test_what_does_not_match_is_named(tmp_path, names, words):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=words):
        find_items(tmp_path)


def test_matte_of_one_channel_keeps_its_codes(tmp_path):
    pixels = np.array([[[0.0], [51 / 255], [1.0]]])
    matte = read_matte(write(tmp_path / "grey.png", pixels))
    assert matte.dtype == np.float32
    assert matte.tolist() == [[0.0, np.float32(51 / 255), 1.0]]


def test_matte_in_three_equal_channels_or_in_alpha(tmp_path):
    grey = np.repeat([[[0.2], [0.6]]], 3, axis=2)
    assert read_matte(write(tmp_path / "rgb.png", grey))[0] == pytest.approx([0.2, 0.6])
    solid = np.concatenate([grey, np.ones((1, 2, 1))], axis=2)
    assert read_matte(write(tmp_path / "solid.png", solid, alpha=3))[0] == pytest.approx([0.2, 0.6])
    held = np.concatenate([grey[..., ::-1] * [1, 0, 0], [[[0.4], [0.0]]]], axis=2)
    assert read_matte(write(tmp_path / "held.png", held, alpha=3))[0] == pytest.approx([0.4, 0.0])


def test_a_colour_picture_is_no_matte_and_a_broken_file_no_picture(tmp_path):
    colour = write(tmp_path / "colour.png", np.array([[[0.2, 0.4, 0.6]]]))
    with pytest.raises(MediaError, match=r"colour\.png"):
        read_matte(colour)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"broken\.png"):
        read_matte(broken)


def test_foreground_stays_straight_and_unbounded(tmp_path):
    pixels = np.array([[[0.8, 0.4, 0.2, 0.4]]])
    path = write(tmp_path / "fg.png", pixels, alpha=3)
    assert read_colour(path)[0, 0] == pytest.approx([0.8, 0.4, 0.2])
    bright = write(tmp_path / "fg.exr", np.array([[[6.0, 0.5, -0.25]]]), "half")
    assert read_colour(bright)[0, 0] == pytest.approx([6.0, 0.5, -0.25])
    assert read_colour(write(tmp_path / "grey.png", np.full((1, 1, 1), 0.2))).shape == (1, 1, 3)
