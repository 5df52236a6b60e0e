# SPDX-License-Identifier: Apache-2.0
"""Sequences out: layouts, bit-exact foreground, windows, metadata, what cannot be written."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_nodes.errors import OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect
from matte_nodes.media.layouts import layer_name
from matte_nodes.media.writers import (
    LAYOUTS,
    OutputFrame,
    Writer,
    check_not_input,
    is_movie_output,
    open_writer,
)

from .samples import matte_frame, numbered, write_movie, write_sequence


def writer(spec: Path, **more: Any) -> Writer:
    options: dict[str, Any] = {"colorspace": "ACEScg", "provenance": {"model": "toy"}, "rate": None}
    return open_writer(spec, **{**options, **more})


def header(path: Path) -> Any:
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    return source.spec()


def test_nuke_layout_is_the_default_for_exr(tmp_path: Path) -> None:
    path = writer(tmp_path / "m.####.exr").write(matte_frame(1001))
    assert path == tmp_path / "m.1001.exr"
    spec = header(path)
    assert spec.channelnames == ("R", "G", "B", "A", "fg.R", "fg.G", "fg.B")
    assert str(spec.format) == "half"
    assert spec.getattribute("compression") == "zips"
    assert spec.alpha_channel == 3


def test_foreground_is_the_plate_bit_for_bit_where_alpha_is_one(tmp_path: Path) -> None:
    """Also above 1, below 0 and at the largest half."""
    frame = matte_frame(1, scale=9.0)
    frame.foreground[0, -1] = (65504, -3.5, 6.1e-5)
    path = writer(tmp_path / "m.####.exr").write(frame)
    main = open_clip(path).read(1).pixels
    straight = open_clip(path, layer="fg").read(1).pixels
    plate = frame.foreground.astype(np.float16)
    alpha = frame.alpha.astype(np.float16)
    assert np.array_equal(main[..., 3], alpha)
    assert np.array_equal(straight.view(np.uint16), plate.view(np.uint16))
    solid = alpha == 1
    assert solid.any()
    assert (alpha == 0).any()
    assert np.array_equal(main[solid][:, :3].view(np.uint16), plate[solid].view(np.uint16))
    assert not main[alpha == 0][:, :3].any()
    product = plate.astype(np.float32) * alpha[..., None].astype(np.float32)
    assert np.array_equal(main[..., :3], product.astype(np.float16))


@pytest.mark.parametrize(("layout", "layer"), [("nuke", "fg"), ("blender", "foreground")])
def test_what_half_cannot_hold_stays_finite(tmp_path: Path, layout: str, layer: str) -> None:
    """A light of 70000 in a 32-bit plate: an infinite pixel would spread in every blur."""
    frame = matte_frame(1)
    frame.foreground[0, -1] = (70000, -1e30, 65519)
    path = writer(tmp_path / "m.####.exr", layout=layout).write(frame)
    got = open_clip(path, layer=layer).read(1).pixels
    assert np.isfinite(got).all()
    assert got[0, -1].tolist() == [65504, -65504, 65504]


def test_hidden_infinities_do_not_spread(tmp_path: Path) -> None:
    frame = matte_frame(1)
    frame.foreground[0, 0] = np.inf
    assert frame.alpha[0, 0] == 0
    path = writer(tmp_path / "m.####.exr").write(frame)
    assert not open_clip(path).read(1).pixels[0, 0].any()


def test_extras_are_layers(tmp_path: Path) -> None:
    frame = matte_frame(1)
    trimap = np.full(frame.alpha.shape, 0.5, np.float32)
    frame = replace(frame, extras={"adapted_trimap": trimap, "2nd pass": frame.foreground})
    path = writer(tmp_path / "m.####.exr").write(frame)
    names = header(path).channelnames
    assert names[:4] == ("R", "G", "B", "A")
    assert {name for name in names[4:] if not name.startswith("fg.")} == {
        "adapted_trimap.A", "x_2nd_pass.R", "x_2nd_pass.G", "x_2nd_pass.B"
    }  # fmt: skip
    assert header(path).alpha_channel == 3
    layer = open_clip(path, layer="adapted_trimap").read(1)
    assert np.array_equal(layer.pixels[..., 0], trimap.astype(np.float16))


def test_extras_may_not_hide_a_layer(tmp_path: Path) -> None:
    frame = matte_frame(1)
    for extras in ({"fg": frame.alpha}, {"a b": frame.alpha, "a_b": frame.alpha}):
        with pytest.raises(OutputError, match="would overwrite the layer"):
            writer(tmp_path / "m.####.exr").write(replace(frame, extras=extras))


def test_blender_layout(tmp_path: Path) -> None:
    frame = replace(matte_frame(1), extras={"trimap": np.zeros((24, 32), np.float32)})
    path = writer(tmp_path / "m.####.exr", layout="blender").write(frame)
    spec = header(path)
    assert set(spec.channelnames) == {
        "R", "G", "B", "A", "foreground.R", "foreground.G", "foreground.B", "alpha.V", "trimap.V"
    }  # fmt: skip
    straight = open_clip(path, layer="foreground").read(1).pixels
    assert np.array_equal(straight, frame.foreground.astype(np.float16))
    alpha = open_clip(path, layer="alpha").read(1).pixels[..., 0]
    assert np.array_equal(alpha, frame.alpha.astype(np.float16))
    assert spec.getattribute("matte/association") == "premultiplied"
    shown = open_clip(path).read(1).pixels
    product = straight.astype(np.float32) * alpha.astype(np.float32)[..., None]
    assert np.array_equal(shown[..., 3], alpha)
    assert np.array_equal(shown[..., :3], product.astype(np.float16))


@pytest.mark.parametrize("extension", ["exr", "png", "tif", "tiff"])
def test_alpha_layout_comes_back(tmp_path: Path, extension: str) -> None:
    frame = matte_frame(1)
    path = writer(tmp_path / f"m.####.{extension}", layout="alpha").write(frame)
    spec = header(path)
    assert spec.channelnames == (("A",) if extension == "exr" else ("Y",))
    image = open_clip(path).read(1)
    assert image.channels == ("Y",)
    assert np.abs(image.floats()[..., 0] - frame.alpha).max() <= 0.5 / 65535
    assert image.floats().max() == 1


def test_alpha_is_the_default_of_png_and_covers_the_display_window(tmp_path: Path) -> None:
    frame = matte_frame(1, window=Rect(-2, 3, 8, 6), display=Rect(0, 0, 10, 12))
    path = writer(tmp_path / "m.####.png").write(frame)
    found = open_clip(path).read(1).floats()[..., 0]
    assert found.shape == (12, 10)
    assert np.allclose(found[3:9, 0:6], frame.alpha[:, 2:], atol=1e-5)
    assert not found[:3].any()


def test_windows_aspect_and_metadata_travel(tmp_path: Path) -> None:
    display = Rect(0, 0, 80, 48)
    data = Rect(-8, -8, 96, 64)
    frame = matte_frame(
        1001,
        window=data,
        display=display,
        pixel_aspect=2.0,
        metadata={
            "smpte:TimeCode": (0x01020304, 0),
            "framesPerSecond": (24000, 1001),
            "cameraModel": "ALEXA",
            "lens/focal": 35.0,
            "take": 3,
            "worldToCamera": tuple(map(float, range(16))),
            "odd": {"nested": 1},
        },
    )
    path = writer(tmp_path / "m.####.exr").write(frame)
    clip = open_clip(tmp_path / "m.####.exr")
    assert clip.display_window == display
    assert clip.canvas == data
    assert clip.pixel_aspect == 2.0
    assert clip.rate == Fraction(24000, 1001)
    carried = dict(frame.source.metadata)
    del carried["odd"]
    assert clip.read(1001).metadata == carried
    spec = header(path)
    types = {p.name: str(p.type) for p in spec.extra_attribs}
    assert types["smpte:TimeCode"] == "timecode"
    assert types["framesPerSecond"] == "rational"
    assert types["worldToCamera"] == "matrix"


def test_every_file_names_space_association_and_provenance(tmp_path: Path) -> None:
    path = writer(tmp_path / "m.####.exr", provenance={"model": "toy", "matte/knobs": "a=1"}).write(
        matte_frame(1)
    )
    spec = header(path)
    assert spec.getattribute("matte/model") == "toy"
    assert spec.getattribute("matte/knobs") == "a=1"
    assert spec.getattribute("matte/association") == "premultiplied"
    assert spec.getattribute("matte/colorspace") == "ACEScg"
    assert spec.getattribute("colorInteropID") == "lin_ap1_scene"
    assert open_clip(path).colorspace == "ACEScg"
    png = writer(tmp_path / "m.####.png").write(matte_frame(1))
    assert header(png).getattribute("matte/model") == "toy"
    tiff = writer(tmp_path / "m.####.tif").write(matte_frame(1))
    assert "matte/model=toy" in header(tiff).getattribute("ImageDescription")


def test_a_rate_is_written(tmp_path: Path) -> None:
    writer(tmp_path / "m.####.exr", rate=Fraction(25)).write(matte_frame(1))
    assert open_clip(tmp_path / "m.####.exr").rate == 25


def test_one_file_takes_one_frame(tmp_path: Path) -> None:
    still = writer(tmp_path / "m.exr")
    assert still.write(matte_frame(7)) == tmp_path / "m.exr"
    still.write(matte_frame(7))
    with pytest.raises(OutputError, match=r"frames 7 and 8 .* m\.####\.exr"):
        still.write(matte_frame(8))


def test_exists_and_overwrite(tmp_path: Path) -> None:
    first = writer(tmp_path / "m.####.exr")
    assert not first.exists(1)
    first.write(matte_frame(1))
    assert first.exists(1)
    assert not first.ordered
    first.write(matte_frame(1))
    with pytest.raises(OutputError, match="frame 1 is already there"):
        writer(tmp_path / "m.####.exr", overwrite=False).write(matte_frame(1))


def test_folders_are_made(tmp_path: Path) -> None:
    assert writer(tmp_path / "a" / "b" / "m.####.exr").write(matte_frame(1)).is_file()


@pytest.mark.parametrize(
    ("name", "layout", "said"),
    [
        ("m.####.bmp", "auto", "cannot be written"),
        ("m.####.jpg", "auto", "--over"),
        ("m.####", "auto", "cannot be written"),
        ("m.####.exr", "fancy", "no layout 'fancy'"),
        ("m.####.png", "nuke", "layout nuke is written as .exr"),
        ("m.exr", "movie", "layout movie is written as .mov, .mkv"),
        ("", "auto", "is a folder"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, name: str, layout: str, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        writer(tmp_path / name, layout=layout)


def test_output_equal_to_input(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path / "in", [1, 2])
    clip = open_clip(pattern)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for spec in (
        pattern,
        pattern.replace("####", "%04d"),
        str(tmp_path / "link" / "plate.####.exr"),
    ):
        with pytest.raises(OutputError, match="would overwrite the input"):
            check_not_input(spec, clip)
    check_not_input(tmp_path / "in" / "matte.####.exr", clip)
    still = open_clip(tmp_path / "in" / "plate.0001.exr")
    with pytest.raises(OutputError):
        check_not_input(tmp_path / "in" / "plate.####.exr", still)
    movie = write_movie(tmp_path / "p.mov", [numbered(1)], "mjpeg", pix_fmt="yuvj420p")
    with pytest.raises(OutputError):
        check_not_input(movie, open_clip(movie))


def test_which_outputs_are_movies() -> None:
    assert is_movie_output("a.mov")
    assert is_movie_output("a.MKV")
    assert not is_movie_output("a.####.exr")


def test_layouts_are_documented() -> None:
    assert set(LAYOUTS) == {
        "nuke",
        "blender",
        "alpha",
        "array",
        "cutout",
        "cryptomatte",
        "over",
        "movie",
    }
    assert all(layout.help and layout.extensions for layout in LAYOUTS.values())


@pytest.mark.parametrize("name", ["a", "A1", "obj_01", "0", "été", "a.b", "", "-"])
def test_layer_names_begin_with_a_letter(name: str) -> None:
    clean = layer_name(name)
    assert clean[0].isalpha()
    assert clean.isascii()
    assert "." not in clean


def test_written_from_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    out = writer(tmp_path / "m.####.exr")
    frames: list[OutputFrame] = [matte_frame(n) for n in range(1, 17)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(out.write, frames))
    clip = open_clip(tmp_path / "m.####.exr")
    assert list(clip.frames) == list(range(1, 17))
    for frame in frames:
        alpha = clip.read(frame.frame).pixels[..., 3]
        assert np.array_equal(alpha, frame.alpha.astype(np.float16))


def test_a_billion_missing_frames_cost_nothing(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path / "in", [1, 999_999_999])
    clip = open_clip(pattern)
    assert len(clip.frames) == 999_999_999
    assert clip.canvas.width == 8
    check_not_input(tmp_path / "out" / "m.####.exr", clip)
    with pytest.raises(OutputError):
        check_not_input(pattern, clip)
