# SPDX-License-Identifier: Apache-2.0
"""Sequences and stills: windows, types, channels by name, what a file says of itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect

from .samples import plate, write_picture, write_sequence


def test_half_comes_back_bit_for_bit(tmp_path: Path) -> None:
    pixels = plate(dtype="float32") * 8 - 1
    pixels[0, 0] = (65504, -0.0, 1e-7)
    halves = pixels.astype(np.float16)
    write_picture(tmp_path / "p.1001.exr", halves, compression="zips")
    image = open_clip(tmp_path / "p.####.exr").read(1001)
    assert image.pixels.dtype == np.float16
    assert np.array_equal(image.pixels.view(np.uint16), halves.view(np.uint16))
    assert image.channels == ("R", "G", "B")
    assert image.alpha_associated is None


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("p.exr", "float32"),
        ("p.png", "uint8"),
        ("p.png", "uint16"),
        ("p.tif", "uint8"),
        ("p.tif", "uint16"),
        ("p.tif", "float32"),
        ("p.dpx", "uint16"),
    ],
)
def test_native_types_are_kept(tmp_path: Path, name: str, dtype: str) -> None:
    pixels = plate(dtype=dtype)
    clip = open_clip(write_picture(tmp_path / name, pixels))
    image = clip.read(1)
    assert list(clip.frames) == [1]
    assert image.pixels.dtype == dtype
    assert np.array_equal(image.pixels, pixels)
    assert clip.colorspace == ""


def test_ten_bit_dpx_is_full_range(tmp_path: Path) -> None:
    pixels = np.array([[[0, 65535, 32768]]], np.uint16).repeat(4, 0).repeat(4, 1)
    path = write_picture(tmp_path / "p.dpx", pixels, **{"oiio:BitsPerSample": 10})
    found = open_clip(path).read(1).pixels
    assert found.min() == 0
    assert found.max() == 65535
    assert abs(int(found[0, 0, 2]) - 32768) <= 64


def test_jpeg_still(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    image = open_clip(write_picture(tmp_path / "photo.jpg", pixels)).read(1)
    assert np.abs(image.pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """Orientation n says which stored corner is the top left one of the scene (EXIF 2.3, 4.6.4)."""
    scene = np.zeros((16, 32, 3), np.uint8)
    scene[:8, :16] = 255  # the top left quarter is white
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a[:, ::-1], -1),
        8: lambda a: np.rot90(a, -1),
    }
    stored = turns[orientation](scene)
    path = write_picture(tmp_path / "p.jpg", stored, Orientation=orientation)
    clip = open_clip(path)
    assert clip.display_window == Rect(0, 0, 32, 16)
    found = clip.read(1).pixels
    assert found.shape == scene.shape
    assert np.abs(found.astype(int) - scene).mean() < 8


def test_channels_are_taken_by_name(tmp_path: Path) -> None:
    """OpenImageIO reorders channels; a Z between R and B must not become a colour."""
    pixels = np.arange(4 * 4 * 8, dtype=np.float32).reshape(4, 4, 8)
    names = ("B", "G", "R", "A", "Z", "fg.R", "fg.G", "fg.B")
    path = write_picture(tmp_path / "p.exr", pixels, names)
    image = open_clip(path).read(1)
    assert image.channels == ("R", "G", "B", "A")
    assert np.array_equal(image.pixels, pixels[..., [2, 1, 0, 3]])
    assert image.alpha_associated is True
    layer = open_clip(path, layer="fg").read(1)
    assert layer.channels == ("R", "G", "B")
    assert np.array_equal(layer.pixels, pixels[..., 5:8])


@pytest.mark.parametrize("name", ["Y", "A", "Z", "alpha.V"])
def test_one_channel_is_grey(tmp_path: Path, name: str) -> None:
    pixels = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5, 1)
    image = open_clip(write_picture(tmp_path / "p.exr", pixels, (name,))).read(1)
    assert image.channels == ("Y",)
    assert np.array_equal(image.pixels, pixels)


def test_grey_sixteen_bit_plate(tmp_path: Path) -> None:
    pixels = (np.arange(48, dtype=np.uint16) * 1300).reshape(6, 8, 1)
    image = open_clip(write_picture(tmp_path / "p.png", pixels, ("Y",))).read(1)
    assert image.channels == ("Y",)
    assert np.array_equal(image.pixels, pixels)


def test_no_picture_channels_is_an_error(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "p.exr", plate()[..., :2], ("N.x", "N.y"))
    with pytest.raises(MediaError, match=r"no R, G, B.*N\.x, N\.y"):
        open_clip(path).read(1)
    with pytest.raises(MediaError, match="no layer 'beauty'"):
        open_clip(path, layer="beauty").read(1)


def test_straight_alpha_is_not_multiplied(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 200, np.uint8)
    pixels[..., 3] = 51
    path = write_picture(tmp_path / "p.png", pixels, **{"oiio:UnassociatedAlpha": 1})
    image = open_clip(path).read(1)
    assert np.array_equal(image.pixels, pixels)
    assert image.alpha_associated is False


def test_windows_aspect_and_canvas(tmp_path: Path) -> None:
    display = Rect(0, 0, 20, 10)
    write_picture(
        tmp_path / "p.1.exr", plate(1), data=(-3, 2), display=display, PixelAspectRatio=2.0
    )
    write_picture(tmp_path / "p.2.exr", plate(2, 4, 30), data=(0, -1), display=display)
    clip = open_clip(tmp_path / "p.#.exr")
    assert clip.display_window == display
    assert clip.canvas == Rect(-3, -1, 33, 11)
    assert clip.pixel_aspect == 2.0
    assert clip.read(1).data_window == Rect(-3, 2, 8, 6)
    assert clip.read(2).data_window == Rect(0, -1, 30, 4)
    assert not clip.is_movie


def test_metadata_that_travels_and_that_does_not(tmp_path: Path) -> None:
    path = write_picture(
        tmp_path / "p.exr",
        plate(),
        **{
            "smpte:TimeCode": ("timecode", (0x01020304, 0)),
            "framesPerSecond": ("rational", (24000, 1001)),
            "cameraModel": "ALEXA",
            "nuke/note": "take 3",
            "worldToCamera": ("matrix", tuple(map(float, range(16)))),
            "matte/model": "old",
            "compression": "piz",
            "chromaticities": (
                "float[8]",
                (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
            ),
        },
    )
    clip = open_clip(path)
    assert clip.read(1).metadata == {
        "smpte:TimeCode": (0x01020304, 0),
        "framesPerSecond": (24000, 1001),
        "cameraModel": "ALEXA",
        "nuke/note": "take 3",
        "worldToCamera": tuple(map(float, range(16))),
    }
    assert clip.rate == Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, ""),
        ({"oiio:ColorSpace": "ACEScg"}, "lin_ap1_scene"),
        ({"matte/colorspace": "ARRI LogC4"}, "ARRI LogC4"),
        ({"acesImageContainerFlag": 1, "compression": "none"}, "lin_ap0_scene"),
        (
            {"chromaticities": ("float[8]", (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329))},
            "lin_rec709_scene",
        ),
        (
            {"chromaticities": ("float[8]", (0.7, 0.3, 0.2, 0.7, 0.1, 0.1, 0.3, 0.3))},
            "chromaticities 0.7 0.3 0.2 0.7 0.1 0.1 0.3 0.3",
        ),
        ({"chromaticities": ("float[8]", (0.0,) * 8)}, ""),
    ],
)
def test_what_an_exr_says_of_its_colours(
    tmp_path: Path, attributes: dict[str, object], said: str
) -> None:
    clip = open_clip(write_picture(tmp_path / "p.exr", plate(), **attributes))
    assert clip.colorspace == said
    assert clip.read(1).colorspace == said


def test_frames_negative_large_and_gaps(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [-2, 0, 3, 100000])
    assert list(open_clip(pattern, missing="skip").frames) == [-2, 0, 3, 100000]
    clip = open_clip(pattern)
    assert (clip.frames[0], clip.frames[-1], len(clip.frames)) == (-2, 100000, 100003)
    with pytest.raises(MissingFrameError, match=r"plate\.####\.exr: frame 2 has no file"):
        clip.read(2)
    with pytest.raises(MissingFrameError, match="there is no frame 100001"):
        clip.read(100001)
    held = open_clip(pattern, missing="hold")
    assert np.array_equal(held.read(2).pixels, held.read(0).pixels)
    assert held.stamp(2) == held.stamp(0)
    with pytest.raises(MissingFrameError):
        held.read(-3)


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [1, 2])
    clip = open_clip(pattern)
    first = clip.stamp(1)
    assert first == clip.stamp(1) != clip.stamp(2)
    write_picture(tmp_path / "plate.0001.exr", plate(7, 9, 9))
    assert clip.stamp(1) != first


def test_mixed_sizes_name_both_frames(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [1, 2])
    write_picture(tmp_path / "plate.0003.exr", plate(3, 5, 5))
    with pytest.raises(MediaError, match="frame 3 is 5x5, frame 1 is 8x6"):
        _ = open_clip(pattern).canvas
    with pytest.raises(MediaError, match="frame 3"):
        open_clip(pattern).read(3)


def test_a_size_that_changes_after_the_scan(tmp_path: Path) -> None:
    clip = open_clip(write_sequence(tmp_path, [1, 2]))
    assert clip.canvas == Rect(0, 0, 8, 6)
    write_picture(tmp_path / "plate.0002.exr", plate(3, 5, 5))
    with pytest.raises(MediaError, match="frame 2 is 5x5"):
        clip.read(2)


def test_truncated_exr_in_mid_sequence(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path, [1, 3])
    path = write_picture(tmp_path / "plate.0002.exr", plate(2, 6, 8), compression="zips")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 60])
    clip = open_clip(pattern)
    clip.read(1)
    with pytest.raises(MediaError, match=r"frame 2: .*plate\.0002\.exr: .*damaged or not whole"):
        clip.read(2)
    clip.read(3)


@pytest.mark.parametrize("content", [b"", b"\x76\x2f\x31\x01", b"not a picture", b"\0" * 400])
def test_files_that_are_no_pictures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.exr"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"p\.exr"):
        open_clip(path).read(1)


def test_folder_with_one_sequence(tmp_path: Path) -> None:
    write_sequence(tmp_path, [1001, 1002])
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.0001.exr").touch()
    (tmp_path / ".matte-00000000-1-0.tmp").touch()
    assert list(open_clip(tmp_path).frames) == [1001, 1002]


def test_folder_with_more_lists_what_it_holds(tmp_path: Path) -> None:
    write_sequence(tmp_path, [1001, 1002])
    write_sequence(tmp_path, [1], name="matte")
    with pytest.raises(
        MediaError, match=r"more than one clip \(matte\.####\.exr, plate\.####\.exr\)"
    ):
        open_clip(tmp_path)


def test_folder_with_one_unnumbered_still(tmp_path: Path) -> None:
    write_picture(tmp_path / "photo.png", plate(dtype="uint8"))
    assert list(open_clip(tmp_path).frames) == [1]


def test_no_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable in a script: `matte run "$PLATE"`."""
    write_sequence(tmp_path, [1, 2])
    monkeypatch.chdir(tmp_path)
    assert list(open_clip(".").frames) == [1, 2]
    with pytest.raises(MediaError, match="No clip was given"):
        open_clip("")


def test_empty_folder_and_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no pictures and no movies"):
        open_clip(tmp_path)
    with pytest.raises(MediaError, match="no such file"):
        open_clip(tmp_path / "plate.exr")
    with pytest.raises(MediaError, match="no file matches"):
        open_clip(tmp_path / "plate.####.exr")


def test_a_numbered_file_is_a_still_numbered_one(tmp_path: Path) -> None:
    write_sequence(tmp_path, [1042, 1043])
    assert list(open_clip(tmp_path / "plate.1042.exr").frames) == [1]
