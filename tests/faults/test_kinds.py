# SPDX-License-Identifier: Apache-2.0
"""More inputs of the kinds in `test_reported`, made here."""

from __future__ import annotations

import os
import random
import struct
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.errors import BadPlateError, ColorError, InputError, MatteError, MediaError
from matte_nodes.media import layers
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect
from matte_nodes.node.hint_meaning import InputWarning
from matte_nodes.shot.bind import guessed
from tests.faults.rig import HERE, SUBJECT, is_subject, mask, odd, picture, run
from tests.made import write_image
from tests.media.samples import number_of, numbered, write_movie, write_picture


def codes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """0 to 1 as 8-bit codes."""
    return (pixels * 255).round().astype(np.uint8)


def half(pixels: NDArray[Any]) -> NDArray[np.float16]:
    """As half floats."""
    return pixels.astype(np.float16)


def plate_and(folder: Path, hint: NDArray[Any], channels: str = "Y", name: str = "m.png") -> Path:
    """A PNG plate `p.png` and a hint beside it; returns the hint."""
    write_image(folder / "p.png", codes(picture()))
    write_image(folder / name, hint, channels)
    return folder / name


def write_parts(path: Path, parts: list[tuple[str, tuple[str, ...], NDArray[Any], str]]) -> None:
    """A multi-part EXR: name, channels, pixels, view of each part."""
    specs = []
    for name, channels, pixels, view in parts:
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(channels), oiio.HALF)
        spec.channelnames = channels
        spec.attribute("oiio:subimagename", name)
        if view:
            spec.attribute("view", view)
        specs.append(spec)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), specs), output.geterror()
    for number, (_, _, pixels, _) in enumerate(parts):
        if number:
            assert output.open(str(path), specs[number], "AppendSubimage")
        assert output.write_image(np.ascontiguousarray(pixels, np.float16))
    output.close()


def write_exr(
    path: Path,
    channels: list[tuple[str, int, int]],
    window: tuple[int, int, int, int],
    rows: list[bytes],
    *,
    display: tuple[int, int, int, int] | None = None,
    attributes: tuple[tuple[str, str, bytes], ...] = (),
) -> Path:
    """A half-float EXR without compression, byte by byte: channels are (name, x and y sampling)."""
    head = bytearray(struct.pack("<II", 20000630, 2))

    def attribute(name: str, kind: str, value: bytes) -> None:
        head.extend(name.encode() + b"\0" + kind.encode() + b"\0")
        head.extend(struct.pack("<I", len(value)) + value)

    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<IB3xII", 1, 0, x, y) for name, x, y in channels
    )
    attribute("channels", "chlist", listed + b"\0")
    attribute("compression", "compression", b"\0")
    attribute("dataWindow", "box2i", struct.pack("<4i", *window))
    attribute("displayWindow", "box2i", struct.pack("<4i", *(display or window)))
    attribute("lineOrder", "lineOrder", b"\0")
    attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0))
    attribute("screenWindowWidth", "float", struct.pack("<f", 1))
    for one in attributes:
        attribute(*one)
    head.append(0)
    at, table, data = len(head) + 8 * len(rows), b"", b""
    for y, row in enumerate(rows):
        table += struct.pack("<Q", at + len(data))
        data += struct.pack("<iI", window[1] + y, len(row)) + row
    path.write_bytes(bytes(head) + table + data)
    return path


# Hints


@odd("Hints", "A clean black and white mask in RGB, with an alpha of 1", "taken", "Its grey.")
@pytest.mark.parametrize("channels", ["RGB", "RGBA", "Y"])
def test_grey_masks(tmp_path: Path, channels: str) -> None:
    grey = np.repeat(codes(mask())[..., None], len(channels), axis=2)
    if "A" in channels:
        grey[..., 3] = 255
    hint = plate_and(tmp_path, grey, channels)
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))


@odd("Hints", "A cut-out (RGBA) as the mask", "taken", "Its alpha, in every frame.")
def test_cutout_as_mask(tmp_path: Path) -> None:
    cut = np.dstack([codes(picture()), codes(mask())])
    hint = plate_and(tmp_path, cut, "RGBA")
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))
    assert "alpha" in ran.said


@odd(
    "Hints",
    "A cut-out whose subject is out of the first frame",
    "taken",
    "Its alpha, also where it is all 0 or all 1.",
)
def test_cutout_that_begins_empty(tmp_path: Path) -> None:
    for n in range(3):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        alpha = codes(mask(n)) * (n > 0)
        write_image(tmp_path / f"m.{n + 1:04d}.png", np.dstack([codes(picture(n)), alpha]), "RGBA")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.####.png",
              "--segmentation-use", "garbage")  # fmt: skip
    assert ran.frame(1)["A"].max() == 0
    is_subject(ran.frame(2), 1)
    is_subject(ran.frame(3), 2)


@odd("Hints", "A photograph as the mask", "refused", "It has colours; the channel is asked for.")
@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
def test_photograph_as_mask(tmp_path: Path, channels: str) -> None:
    noisy = np.random.default_rng(0).random((48, 64, len(channels)), dtype=np.float32)
    if "A" in channels:
        noisy[..., 3] = 1
    hint = plate_and(tmp_path, codes(noisy), channels)
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("--segmentation-layer")
    assert run(tmp_path / "q", tmp_path / "p.png", *flags, "--segmentation-layer", "R").code == 0


@odd(
    "Hints",
    "A mask with the codes 0 and 1 of 16 bits, or some labels",
    "said",
    "Every label above 0 is the subject.",
)
@pytest.mark.parametrize(
    ("top", "kind"), [(1, np.uint16), (3, np.uint8), (12, np.uint8), (40, np.uint8)]
)
def test_labels_by_value(tmp_path: Path, top: int, kind: type) -> None:
    hint = plate_and(tmp_path, (mask() * top).astype(kind))
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))
    assert "label" in ran.said


@odd("Hints", "A dark frame of a grey mask sequence", "taken", "Grey, as its other frames.")
def test_dark_frame_is_no_label(tmp_path: Path) -> None:
    for n in range(3):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        soft = codes(mask(n)) if n != 1 else np.full((48, 64), 1, np.uint8)
        write_image(tmp_path / f"m.{n + 1:04d}.png", soft, "Y")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.####.png",
              "--segmentation-use", "garbage")  # fmt: skip
    assert ran.frame(2)["A"].max() < 0.01
    is_subject(ran.frame(3), 2)


@odd("Hints", "The alpha of a WebM", "taken", "Its alpha.")
def test_webm_alpha(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        frame = av.VideoFrame(64, 48, "yuva420p")
        values = (150, 128, 128, codes(mask(n)))
        for plane, value in zip(frame.planes, values, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            rows[:, : plane.width] = value
        frames.append(frame)
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
    write_movie(tmp_path / "m.webm", frames, "libvpx-vp9", options={"lossless": "1"})
    clip = open_clip(tmp_path / "m.webm")
    assert clip.read(1).channels == ("R", "G", "B", "A")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.webm",
              "--segmentation-use", "garbage")  # fmt: skip
    for n in range(3):
        assert np.abs(ran.frame(n + 1)["A"] - mask(n)).max() < 0.02


@odd(
    "Hints",
    "A plate whose display window does not begin at 0, 0",
    "taken",
    "Hints are laid on the display window.",
)
def test_hint_on_the_display_window(tmp_path: Path) -> None:
    write_picture(
        tmp_path / "p.exr", half(picture()), data=(100, 50), display=Rect(100, 50, 64, 48)
    )
    write_image(tmp_path / "m.png", codes(mask()), "Y")
    shot = MatteNode("green-screen", segmentation_use="core").connect(
        tmp_path / "p.exr", segmentation=tmp_path / "m.png"
    )
    alpha = shot.at(1).alpha
    assert alpha.sum() == SUBJECT


@odd(
    "Hints",
    "Overscan: a data window larger than the display window",
    "taken",
    "Hints are laid on the display window.",
)
def test_hint_with_overscan(tmp_path: Path) -> None:
    wide = np.empty((68, 84, 3), np.float32)
    wide[:] = (0.1, 0.7, 0.15)
    wide[10:58, 10:74] = picture()
    write_picture(tmp_path / "p.exr", half(wide), data=(-10, -10), display=Rect(0, 0, 64, 48))
    write_image(tmp_path / "m.png", codes(mask()), "Y")
    shot = MatteNode("green-screen", segmentation_use="core").connect(
        tmp_path / "p.exr", segmentation=tmp_path / "m.png"
    )
    alpha = shot.at(1).alpha
    assert alpha.shape == (68, 84)
    assert np.array_equal(alpha[10:58, 10:74], mask())


@odd(
    "Hints",
    "Numbers shifted by one (0-3 beside 1-4)",
    "refused",
    "Both could be meant: by number, or first to first.",
)
def test_shifted_by_one(tmp_path: Path) -> None:
    for n in range(4):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        write_image(tmp_path / f"m.{n:04d}.png", codes(mask(n)), "Y")
    flags = ("--segmentation", tmp_path / "m.####.png", "--segmentation-use", "garbage")
    run(tmp_path / "a", tmp_path / "p.####.png", *flags).refused("--hint-offset")
    ran = run(tmp_path / "b", tmp_path / "p.####.png", *flags, "--hint-offset", "first")
    for n in range(4):
        is_subject(ran.frame(n + 1), n)


@odd("Hints", "A soft mask that is never above half of white", "said", "As it is, with a warning.")
def test_dim_mask(tmp_path: Path) -> None:
    soft = np.linspace(0, 0.3, 64, dtype=np.float32)[None].repeat(48, 0)
    hint = plate_and(tmp_path, codes(soft))
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    ran = run(tmp_path / "o", tmp_path / "p.png", *flags)
    assert "never above half" in ran.said
    run(tmp_path / "q", tmp_path / "p.png", *flags, "--strict").refused("never above half")


@odd("Hints", "A mask that is a movie of another rate", "said", "Frame is laid on frame.")
def test_movie_mask_of_another_rate(tmp_path: Path) -> None:
    for name, rate in (("p.mov", 25), ("m.mov", 50), ("same.mov", 25)):
        pixels = [picture(n) if name == "p.mov" else np.dstack([mask(n)] * 3) for n in range(4)]
        with av.open(str(tmp_path / name), "w") as container:
            stream: Any = container.add_stream("png", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
            for one in pixels:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(codes(one), "rgb24")))
            container.mux(stream.encode(None))
    flags = ("--segmentation-use", "garbage", "--segmentation")
    ran = run(tmp_path / "o", tmp_path / "p.mov", *flags, tmp_path / "m.mov")
    assert "has 50 frames a second, the plate 25" in ran.said
    for n in range(4):
        is_subject(ran.frame(n + 1), n)
    assert "a second" not in run(
        tmp_path / "q", tmp_path / "p.mov", *flags, tmp_path / "same.mov"
    ).said.replace("frames_per_second", "")


@odd("EXR", "Normals, depth or motion as R, G, B and no other picture", "refused", "Can be named.")
@pytest.mark.parametrize("name", ["N", "ViewLayer.Normal", "Queue_WorldDepth", "motion"])
@pytest.mark.parametrize("as_part", [True, False])
def test_data_pass_alone(tmp_path: Path, name: str, as_part: bool) -> None:
    channels = ("R", "G", "B") if as_part else tuple(f"{name}.{c}" for c in "RGB")
    path = tmp_path / "p.exr"
    write_parts(path, [(name if as_part else "", channels, picture(), "")])
    run(tmp_path / "o", path).refused(name, "data by its name", f"--layer {name}")
    is_subject(run(tmp_path / "q", path, "--layer", name).frame(1))


@odd("Hints", "Mask arrays of labels 0 to 2, or of 8-bit codes as uint16", "said", "A warning.")
@pytest.mark.parametrize(("top", "kind"), [(2, np.uint8), (255, np.uint16), (128, np.uint8)])
def test_dim_arrays_as_masks(top: int, kind: type) -> None:
    node = MatteNode("green-screen", segmentation_use="garbage")
    with pytest.warns(InputWarning, match=f"never above {top} of"):
        node(codes(picture()), segmentation=(mask() * top).astype(kind))


@odd("Hints", "A mask of black and half grey (128 of 255)", "said", "Above 0 is the subject.")
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_half_grey_mask(tmp_path: Path, kind: type) -> None:
    grey = np.iinfo(kind).max // 2 + 1
    hint = plate_and(tmp_path, (mask() * grey).astype(kind))
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    ran = run(tmp_path / "o", tmp_path / "p.png", *flags)
    is_subject(ran.frame(1))
    assert "labels" in ran.said


@odd("Hints", "Depth alone as a mask (Z)", "refused", "It can be named.")
@pytest.mark.parametrize("name", ["Z", "depth"])
def test_depth_as_mask(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "p.1001.png", codes(picture()))
    write_parts(tmp_path / "m.1001.exr", [("", (name,), 1 + 100 * mask()[..., None], "")])
    flags = ("--segmentation", tmp_path / "m.####.exr", "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.####.png", *flags).refused("not clear", name)
    named = run(tmp_path / "q", tmp_path / "p.####.png", *flags, "--segmentation-layer", name)
    assert named.code == 0


@odd("Hints", "A trimap of floats with the codes 0, 1, 2 or -1, 0, 1", "refused", "Codes are told.")
@pytest.mark.parametrize("first", [0, -1])
def test_coded_float_trimap(tmp_path: Path, first: int) -> None:
    write_image(tmp_path / "p.png", codes(picture()))
    coded = np.full((48, 64), first, np.float32) + mask()
    coded[8:16, 34:38] = first + 2
    np.save(tmp_path / "t.npy", coded)
    flags = ("--trimap", tmp_path / "t.npy", "--model", "closed-form")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("codes", "unknown as 0.5")


@odd("Hints", "A trimap without unknown, or with codes beside black and white", "said", "As it is.")
@pytest.mark.parametrize("grey", [0, 1, 254])
def test_trimap_without_unknown(tmp_path: Path, grey: int) -> None:
    trimap = (mask() * 255).astype(np.uint8)
    trimap[0, 0] = grey
    hint = plate_and(tmp_path, trimap, name="t.png")
    flags = ("--trimap", hint, "--model", "closed-form")
    assert "has no unknown" in run(tmp_path / "o", tmp_path / "p.png", *flags).said
    run(tmp_path / "q", tmp_path / "p.png", *flags, "--strict").refused("has no unknown")


@odd(
    "Hints",
    "A part of the file that is the mask, beside the picture's part",
    "refused",
    "Where the picture's alpha is 1: the mask is listed.",
)
def test_mask_in_a_part(tmp_path: Path) -> None:
    write_image(tmp_path / "p.1001.png", codes(picture()))
    solid = np.dstack([picture(), np.ones((48, 64), np.float32)])
    write_parts(tmp_path / "m.1001.exr", [("rgba", ("R", "G", "B", "A"), solid, ""),
                                          ("roto", ("A",), mask()[..., None], "")])  # fmt: skip
    flags = ("--segmentation", tmp_path / "m.####.exr", "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.####.png", *flags).refused("roto")
    named = run(tmp_path / "q", tmp_path / "p.####.png", *flags, "--segmentation-layer", "roto")
    is_subject(named.frame(1001))


@odd("Hints", "Mask arrays of bool, of 0 and 1, of 0 and 255", "taken", "As masks.")
@pytest.mark.parametrize("scale", [True, 1, 255])
def test_arrays_as_masks(scale: int) -> None:
    kind = bool if scale is True else np.uint8
    given = (mask() * scale).astype(kind)
    node = MatteNode("green-screen", segmentation_use="garbage")
    assert node(codes(picture()), segmentation=given).alpha.sum() == SUBJECT


@odd("Hints", "A mask array far outside 0 to 1", "said", "Clamped, with a warning.")
def test_wild_array() -> None:
    node = MatteNode("green-screen", segmentation_use="core")
    matte = node(codes(picture()), segmentation=mask() * np.float32(64992) - 3)
    assert matte.alpha.min() >= 0
    assert matte.alpha.max() <= 1


@odd("Hints", "Grey with an alpha that is the mask (white paint on nothing)", "taken", "Its alpha.")
@pytest.mark.parametrize("name", ["m.png", "m.exr"])
def test_grey_with_alpha(tmp_path: Path, name: str) -> None:
    both = np.dstack([np.ones((48, 64), np.float32), mask()])
    write_image(tmp_path / "p.png", codes(picture()))
    write_image(tmp_path / name, codes(both) if name == "m.png" else both, "YA")
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", tmp_path / name,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))


@odd("Hints", "A grey mask under an alpha of 0", "refused", "The channel is asked for.")
def test_grey_under_nothing(tmp_path: Path) -> None:
    clear = np.repeat(codes(mask())[..., None], 4, axis=2)
    clear[..., 3] = 0
    hint = plate_and(tmp_path, clear, "RGBA")
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("--segmentation-layer")
    named = run(tmp_path / "q", tmp_path / "p.png", *flags, "--segmentation-layer", "R")
    is_subject(named.frame(1))


# EXR


@odd("EXR", "A depth part first, the picture second", "taken", "The picture.")
def test_depth_part_first(tmp_path: Path) -> None:
    depth = np.ones((48, 64, 1), np.float32)
    write_parts(
        tmp_path / "p.1001.exr",
        [("depth", ("Z",), depth, ""), ("rgba", ("R", "G", "B"), picture(), "")],
    )
    is_subject(run(tmp_path / "o", tmp_path / "p.####.exr").frame(1001))


@odd(
    "EXR",
    "Two parts that are pictures alike (left, right without views)",
    "refused",
    "They are listed; `--layer` names one.",
)
def test_two_like_parts(tmp_path: Path) -> None:
    both = [(name, ("R", "G", "B"), picture(n), "") for n, name in enumerate(("key", "fill"))]
    write_parts(tmp_path / "p.1001.exr", both)
    run(tmp_path / "a", tmp_path / "p.####.exr").refused("key", "fill", "--layer")
    ran = run(tmp_path / "b", tmp_path / "p.####.exr", "--layer", "fill")
    is_subject(ran.frame(1001), 1)


@odd(
    "EXR",
    "Stereo: views as parts or as channels (left.R, right.R)",
    "taken",
    "The first view, or that of `--stereo-view`.",
)
@pytest.mark.parametrize("kind", ["parts", "channels", "hero"])
def test_views(tmp_path: Path, kind: str) -> None:
    left, right = picture(0), picture(1)
    path = tmp_path / "p.1001.exr"
    if kind == "parts":
        write_parts(path, [("rgba.left", ("R", "G", "B"), left, "left"),
                           ("rgba.right", ("R", "G", "B"), right, "right")])  # fmt: skip
    else:
        prefix = "left." if kind == "channels" else ""
        names = (*(prefix + c for c in "RGB"), *("right." + c for c in "RGB"))
        write_picture(path, half(np.dstack([left, right])), names,
                      multiView=("string[2]", ("left", "right")))  # fmt: skip
    for view, n in (("", 0), ("left", 0), ("right", 1)):
        flags = ("--stereo-view", view) if view else ()
        is_subject(run(tmp_path / f"o{view}", tmp_path / "p.####.exr", *flags).frame(1001), n)
    run(tmp_path / "x", tmp_path / "p.####.exr", "--stereo-view", "middle").refused("left", "right")


@odd("EXR", "Nuke's rgba.R beside other layers", "taken", "rgba.")
def test_rgba_layer(tmp_path: Path) -> None:
    names = (*("diffuse." + c for c in "RGB"), *("rgba." + c for c in "RGB"))
    both = np.dstack([picture(3), picture(0)])
    write_picture(tmp_path / "p.1001.exr", half(both), names)
    ran = run(tmp_path / "o", tmp_path / "p.####.exr")
    is_subject(ran.frame(1001), 0)
    other = run(tmp_path / "d", tmp_path / "p.####.exr", "--layer", "diffuse")
    is_subject(other.frame(1001), 3)


@odd("EXR", "Layers alone, none of which is the picture by its name", "refused", "They are listed.")
def test_layers_alike(tmp_path: Path) -> None:
    names = (*("key." + c for c in "RGB"), *("fill." + c for c in "RGB"))
    write_picture(tmp_path / "p.1001.exr", half(np.dstack([picture(), picture()])), names)
    run(tmp_path / "o", tmp_path / "p.####.exr").refused("key", "fill", "--layer")


@odd("EXR", "Luminance and chroma (Y, RY, BY)", "taken", "R, G, B.")
def test_luminance_chroma(tmp_path: Path) -> None:
    rgb = picture()
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    red, blue = (rgb[..., 0] - luma) / luma, (rgb[..., 2] - luma) / luma
    rows = []
    for y in range(48):
        row = b""
        if y % 2 == 0:
            row += blue[y, ::2].astype("<f2").tobytes() + red[y, ::2].astype("<f2").tobytes()
        rows.append(row + luma[y].astype("<f2").tobytes())
    path = write_exr(
        tmp_path / "p.1001.exr", [("BY", 2, 2), ("RY", 2, 2), ("Y", 1, 1)], (0, 0, 63, 47), rows
    )
    pixels = open_clip(path).read(1).floats()
    assert pixels.shape == (48, 64, 3)
    assert pixels[24, 50] == pytest.approx((0.1, 0.7, 0.15), abs=2e-3)
    assert pixels[20, 10] == pytest.approx((0.8, 0.15, 0.1), abs=5e-3)
    assert run(tmp_path / "o", tmp_path / "p.####.exr").code == 0


@odd("EXR", "Chromaticities of a known space", "taken", "That space.")
@pytest.mark.parametrize(
    ("corners", "space"),
    [
        ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), "Linear P3-D65"),
        ((0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767), "ACEScg"),
        ((0.684, 0.313, 0.221, 0.848, 0.0861, -0.102, 0.3127, 0.329), "Linear ARRI Wide Gamut 3"),
    ],
)
def test_chromaticities(tmp_path: Path, corners: tuple[float, ...], space: str) -> None:
    path = write_picture(tmp_path / "p.exr", half(picture()), chromaticities=("float[8]", corners))
    assert MatteNode("green-screen").connect(path).color.plate == space


@odd("EXR", "Chromaticities of no known space", "refused", "`--colorspace` says what is meant.")
def test_unknown_chromaticities(tmp_path: Path) -> None:
    corners = (0.7, 0.3, 0.2, 0.7, 0.1, 0.1, 0.3, 0.3)
    write_picture(tmp_path / "p.1.exr", half(picture()), chromaticities=("float[8]", corners))
    run(tmp_path / "a", tmp_path / "p.#.exr").refused("chromaticities", "--colorspace")
    assert run(tmp_path / "b", tmp_path / "p.#.exr", "--colorspace", "lin_rec709").code == 0


def test_a_layer_that_is_named_but_not_there() -> None:
    part = layers.Part(0, "", "", ("R", "G", "B", "mask.A"))
    with pytest.raises(MediaError, match=r"no layer 'roto'.*mask\.A"):
        layers.choose([part], layer="roto")
    assert layers.choose([part], layer="mask").indices == (3,)
    assert layers.choose([part], layer="B", purpose="mask").indices == (2,)


# Stills


def icc(primaries: tuple[float, ...], gamma: float, name: str) -> bytes:
    """A small display profile: matrix columns (D50) and a gamma."""

    def s15(number: float) -> bytes:
        return struct.pack(">i", round(number * 65536))

    text = name.encode()
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" * 79}
    for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), range(3), strict=True):
        tags[key] = b"XYZ " + bytes(4) + b"".join(s15(primaries[3 * column + i]) for i in range(3))
    for key in (b"rTRC", b"gTRC", b"bTRC"):
        tags[key] = b"para" + bytes(8) + s15(gamma)
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", key, at + len(data), len(value))
        data += padded
    body = struct.pack(">I", len(tags)) + table + data
    head = bytearray(128)
    head[0:4] = struct.pack(">I", 128 + len(body))
    head[8:12] = b"\x02\x10\0\0"
    head[12:24] = b"mntrRGB XYZ "
    head[36:40] = b"acsp"
    return bytes(head) + body


ADOBE = (0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457)
ODD = (0.5, 0.3, 0.1, 0.3, 0.6, 0.1, 0.1, 0.1, 0.6)


@odd("Stills", "ICC profile of Adobe RGB", "taken", "Adobe RGB, by its numbers, whatever its name.")
def test_adobe_rgb(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ADOBE, 2.19921875, "A98"), np.uint8)
    path = write_picture(
        tmp_path / "p.png", codes(picture()), ICCProfile=(f"uint8[{len(profile)}]", profile)
    )
    assert guessed(open_clip(path)) == "g22_adobergb_scene"
    assert MatteNode("green-screen").connect(path).color.plate == "Gamma 2.2 Encoded AdobeRGB"


@odd(
    "Stills",
    "An ICC profile of no known space (a monitor, a scanner)",
    "refused",
    "The profile is named; `--colorspace` says what is meant.",
)
def test_unknown_profile(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ODD, 2.0, "My Scanner"), np.uint8)
    path = write_picture(
        tmp_path / "p.png", codes(picture()), ICCProfile=(f"uint8[{len(profile)}]", profile)
    )
    run(tmp_path / "a", path).refused("My Scanner", "--colorspace")
    assert run(tmp_path / "b", path, "--colorspace", "srgb_tx").code == 0


@odd("Stills", "HEIC of a phone, AVIF, with a reader (pi-heif, Pillow)", "taken", "As shown.")
@pytest.mark.parametrize("name", ["photo.heic", "ten.heic", "photo.avif", "turned.avif"])
def test_heic(tmp_path: Path, name: str) -> None:
    has_reader(name)
    ran = run(tmp_path, HERE / "heif" / name)
    assert ran.code == 0, ran.said
    assert "(by its tag)" in ran.said
    is_subject(ran.frame(1))


@odd("Stills", "HEIC with the profile of Display P3", "taken", "Display P3.")
def test_heic_p3(tmp_path: Path) -> None:
    has_reader("p3.heic")
    assert open_clip(HERE / "heif" / "p3.heic").colorspace == "srgb_p3d65_scene"
    is_subject(run(tmp_path, HERE / "heif" / "p3.heic").frame(1))


@odd("Stills", "HEIC of HLG", "refused", "Named; `--colorspace` says what is meant.")
def test_heic_hlg(tmp_path: Path) -> None:
    has_reader("hlg.heic")
    run(tmp_path, HERE / "heif" / "hlg.heic").refused("hlg", "--colorspace")


@odd("Stills", "HEIC, AVIF, without a reader", "refused", "What to install, or to convert with.")
@pytest.mark.parametrize(("name", "reader"), [("a.heic", "pi-heif"), ("a.avif", "pillow>=11.3")])
def test_heic_without_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: str
) -> None:
    for module in ("pi_heif", "pillow_heif", "PIL.Image", "PIL.features"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes((HERE / "heif" / f"photo{Path(name).suffix}").read_bytes())
    run(tmp_path / "o", tmp_path / name).refused("pip install", reader, "PNG")


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif"])
@pytest.mark.parametrize("how", ["cut", "empty", "zeros"])
def test_damaged_heic(tmp_path: Path, name: str, how: str) -> None:
    has_reader(name)
    whole = (HERE / "heif" / name).read_bytes()
    spoilt = {"cut": whole[: len(whole) // 2], "empty": b"", "zeros": whole[:40] + bytes(400)}[how]
    (tmp_path / name).write_bytes(spoilt)
    run(tmp_path / "o", tmp_path / name).refused(name)


def has_reader(name: str) -> None:
    pytest.importorskip("PIL" if name.endswith("avif") else "pi_heif")


@odd("Stills", "A still PNG, GIF and WebP", "taken", "One frame.")
@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp"])
def test_still_that_could_be_animated(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, codes(picture()))
    clip = open_clip(tmp_path / name)
    assert list(clip.frames) == [1]
    assert not clip.is_movie


@odd("Stills", "A sequence whose files say different colour spaces", "said", "As the first file.")
def test_mixed_profiles(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ADOBE, 2.19921875, "A98"), np.uint8)
    write_picture(tmp_path / "p.1.png", codes(picture()))
    write_picture(tmp_path / "p.2.png", codes(picture(1)),
                  ICCProfile=(f"uint8[{len(profile)}]", profile))  # fmt: skip
    assert "all frames are taken as frame 1" in run(tmp_path / "o", tmp_path / "p.#.png").said


@odd(
    "Stills",
    "gAMA of 1/1.8, of 1/2.2, of no known curve",
    "taken",
    "The curve; one that is not known is refused.",
)
@pytest.mark.parametrize(("gamma", "space"), [(1.8, "g18"), (2.2, "g22"), (3.1, "")])
def test_gama_chunks(tmp_path: Path, gamma: float, space: str) -> None:
    import zlib

    write_image(tmp_path / "a.png", codes(picture()))
    data = (tmp_path / "a.png").read_bytes()
    body = b"gAMA" + struct.pack(">I", round(100_000 / gamma))
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    plain = b"\x89PNG\r\n\x1a\n"
    at, kept = 8, b""
    while at < len(data):  # whatever the writer says of colours is left out
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] not in (b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"cICP"):
            kept += data[at : at + 12 + size]
            kept += chunk if data[at + 4 : at + 8] == b"IHDR" else b""
        at += 12 + size
    (tmp_path / "a.png").write_bytes(plain + kept)
    if space:
        assert guessed(open_clip(tmp_path / "a.png")).startswith(space)
        assert run(tmp_path / "o", tmp_path / "a.png").code == 0
    else:
        run(tmp_path / "o", tmp_path / "a.png").refused("--colorspace")


@odd("Stills", "A TIFF of several pages", "said", "The first page.")
def test_pages(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(64, 48, 3, oiio.UINT8)
    output = oiio.ImageOutput.create(str(tmp_path / "p.tif"))
    assert output.open(str(tmp_path / "p.tif"), (spec, spec, spec)), output.geterror()
    for n in range(3):
        if n:
            assert output.open(str(tmp_path / "p.tif"), spec, "AppendSubimage")
        assert output.write_image(codes(picture(n)))
    output.close()
    ran = run(tmp_path / "o", tmp_path / "p.tif")
    is_subject(ran.frame(1), 0)
    assert "pages" in ran.said
    run(tmp_path / "q", tmp_path / "p.tif", "--strict").refused("pages")


@odd("Stills", "Negative and mixed numbers (-2, -1, 0, 7, 10)", "taken", "By number.")
def test_negative_numbers(tmp_path: Path) -> None:
    for number in ("-002", "-001", "0000", "0007", "0010"):
        write_image(tmp_path / f"p.{number}.png", codes(picture()))
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--missing", "skip", "--frames", "-2-7")
    assert ran.code == 0, ran.said
    assert ran.frames == [-2, -1, 0, 7]


@odd("Stills", "One frame under two spellings (p.1.png, p.0001.png)", "refused", "Both are named.")
def test_two_spellings(tmp_path: Path) -> None:
    for name in ("p.1.png", "p.0001.png", "p.0002.png"):
        write_image(tmp_path / name, codes(picture()))
    run(tmp_path / "o", tmp_path / "p.####.png").refused("p.1.png", "p.0001.png")


@odd("Stills", "A stray file with a date for its number", "refused", "The gap is named, at once.")
def test_stray_date(tmp_path: Path) -> None:
    for number in ("1", "2", "3", "20261128"):
        write_image(tmp_path / f"p.{number}.png", codes(picture()))
    began = time.monotonic()
    run(tmp_path / "o", tmp_path / "p.#.png").refused("4-20261127")
    assert time.monotonic() - began < 30


# Movies


@odd(
    "Movies",
    "A damaged stream",
    "taken",
    "The same pixels in every order: a frame is always decoded from its own key frame.",
)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "2"}),
        ("a.mkv", "libx264", {"x264-params": "open-gop=1:bframes=3:log-level=-1"}),
        ("a.ts", "mpeg2video", {"bf": "2"}),
        ("a.avi", "mpeg4", {}),
        ("a.webm", "libvpx-vp9", {}),
    ],
)
def test_damaged_streams(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    base = np.random.default_rng(0).integers(30, 220, (48, 64), np.uint8)
    frames = []
    for n in range(30):
        frame = numbered(0)
        rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(48, -1)
        rows[:, :64] = np.roll(base, (2 * n, 3 * n), (0, 1))
        frames.append(frame)
    path = write_movie(tmp_path / name, frames, codec, options={**options, "g": "10"})
    whole = path.read_bytes()
    tried = 0
    for seed in range(6):
        chance = random.Random(seed)
        data = bytearray(whole)
        at = chance.randrange(len(data) // 4, len(data) * 3 // 4)
        data[at : at + 8] = chance.randbytes(8)
        path.write_bytes(data)
        try:
            clip = open_clip(path)
        except MediaError:
            continue
        tried += 1
        straight = {n: pixels_or_error(clip, n) for n in clip.frames}
        again = open_clip(path)
        order = list(again.frames)
        chance.shuffle(order)
        for n in order:
            assert np.array_equal(pixels_or_error(again, n), straight[n]), (seed, n)
    assert tried


def pixels_or_error(clip: Any, frame: int) -> NDArray[Any]:
    """The pixels of a frame; an empty array where it cannot be read."""
    try:
        return np.asarray(clip.read(frame).pixels)
    except MediaError:
        return np.empty(0)


@odd("Movies", "MPEG program and transport streams, MXF, in any order", "taken", "Every frame.")
@pytest.mark.parametrize("name", ["a.mpg", "a.ts", "a.mxf", "a.vob"])
def test_mpeg_streams(tmp_path: Path, name: str) -> None:
    pictures = [numbered(n) for n in range(1, 31)]
    path = write_movie(tmp_path / name, pictures, "mpeg2video", options={"g": "9", "bf": "2"})
    clip = open_clip(path)
    shown = [number_of(clip.read(n)) for n in clip.frames]
    assert shown == list(range(1, 31))
    order = list(clip.frames)
    random.Random(2).shuffle(order)
    assert [number_of(clip.read(n)) for n in order] == order


@odd("Movies", "A stale duration in Matroska (cut without encoding)", "taken", "All its frames.")
def test_stale_duration(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "a.mkv", [numbered(n) for n in range(1, 25)], "ffv1")
    with av.open(str(source)) as whole, av.open(str(tmp_path / "cut.mkv"), "w") as cut:
        stream = whole.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        copy.metadata["DURATION"] = "00:00:59.000000000"
        for packet in list(whole.demux(stream))[:6]:
            packet.stream = copy
            cut.mux(packet)
    clip = open_clip(tmp_path / "cut.mkv")
    assert [number_of(clip.read(n)) for n in clip.frames] == [1, 2, 3, 4, 5, 6]


@odd("Movies", "Pixel aspect of another program's Matroska", "taken", "Its pixel aspect.")
def test_aspect_of_matroska(tmp_path: Path) -> None:
    def wide(container: Any, stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    source = write_movie(tmp_path / "a.mov", [numbered(1)], "libx264", setup=wide)
    with av.open(str(source)) as whole, av.open(str(tmp_path / "a.mkv"), "w") as out:
        copy = out.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    assert open_clip(tmp_path / "a.mkv").pixel_aspect == 2


@odd("Movies", "Tagged P3: with the sRGB curve", "taken", "Display P3.")
def test_movie_p3(tmp_path: Path) -> None:
    clip = open_clip(tagged(tmp_path / "a.mkv", primaries=12, transfer=13))
    assert MatteNode("green-screen").connect(clip).color.plate == "sRGB Encoded P3-D65"


@odd("Movies", "Tagged P3: with another curve", "refused", "`--colorspace` says what is meant.")
@pytest.mark.parametrize("transfer", [1, 4])
def test_movie_p3_of_another_curve(tmp_path: Path, transfer: int) -> None:
    clip = open_clip(tagged(tmp_path / "a.mkv", primaries=12, transfer=transfer))
    with pytest.raises(ColorError, match="colorspace"):
        guessed(clip)


def tagged(path: Path, *, primaries: int, transfer: int) -> Path:
    """A movie of one frame with these tags."""

    def setup(container: Any, stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, 1

    frame = numbered(1)
    frame.color_primaries, frame.color_trc, frame.colorspace = primaries, transfer, 1
    return write_movie(path, [frame], "ffv1", setup=setup)


@odd("Movies", "`--rate` of a movie", "taken", "Its frames, at that rate.")
@pytest.mark.parametrize(
    ("told", "rate"),
    [("23.976", Fraction(24000, 1001)), ("50", 50), ("24000/1001", Fraction(24000, 1001))],
)
def test_rate_of_a_movie(tmp_path: Path, told: str, rate: Fraction) -> None:
    ran = run(tmp_path, HERE / "hint_numbering" / "plate.mov", "--rate", told, output="out.mov")
    assert ran.code == 0, ran.said
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].average_rate == rate


@odd("Movies", "A rate that is none (0, -5, fast)", "refused", "What a rate looks like.")
@pytest.mark.parametrize("rate", ["0", "-5", "fast", "1/0"])
def test_bad_rate(tmp_path: Path, rate: str) -> None:
    run(tmp_path, HERE / "hint_numbering" / "plate.mov", "--rate", rate).refused("24000/1001")


# Numbers and bombs


@odd(
    "Numbers",
    "A small EXR with a canvas of 100,064 square",
    "refused",
    "Before anything is allocated; MATTE_MAX_PIXELS raises the limit.",
)
def test_union_canvas(tmp_path: Path) -> None:
    rows = [half(np.zeros((3, 64))).tobytes()] * 48
    write_exr(
        tmp_path / "p.1.exr", [("B", 1, 1), ("G", 1, 1), ("R", 1, 1)],
        (100_000, 100_000, 100_063, 100_047), rows, display=(0, 0, 63, 47),
    )  # fmt: skip
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("MATTE_MAX_PIXELS")


@odd("Numbers", "A PNG of 30,000 square", "refused", "Before anything is allocated.")
def test_large_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    run(tmp_path / "o", tmp_path / "p.png").refused("png header claims")
    with (tmp_path / "p.png").open("ab") as file:  # now as large as such a picture may be
        file.truncate(100 << 20)
    run(tmp_path / "o", tmp_path / "p.png").refused("30000x30000", "MATTE_MAX_PIXELS")
    monkeypatch.setenv("MATTE_MAX_PIXELS", "100")
    write_image(tmp_path / "q.png", codes(picture()))
    run(tmp_path / "q", tmp_path / "q.png").refused("limit of 100")
    monkeypatch.setenv("MATTE_MAX_PIXELS", "many")
    assert run(tmp_path / "r", tmp_path / "q.png").code == 2


@odd("Numbers", "An EXR with 50,000 attributes", "refused", "Before the reader sees them.")
def test_many_attributes(tmp_path: Path) -> None:
    rows = [half(np.zeros((3, 64))).tobytes()] * 48
    write_exr(
        tmp_path / "p.1.exr", [("B", 1, 1), ("G", 1, 1), ("R", 1, 1)], (0, 0, 63, 47), rows,
        attributes=tuple((f"a{n}", "int", bytes(4)) for n in range(50_000)),
    )  # fmt: skip
    began = time.monotonic()
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("attributes")
    assert time.monotonic() - began < 30


@odd("Numbers", "Plate values of 3e38", "refused", "The pixel is named.")
def test_huge_values(tmp_path: Path) -> None:
    pixels = picture().copy()
    pixels[5, 7, 1] = 3e38
    write_image(tmp_path / "p.1.exr", pixels)
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("7,5")
    with pytest.raises(BadPlateError, match="7,5"):
        MatteNode("green-screen")(pixels)


@odd("Numbers", "NaN or Inf in a mask", "refused", "The mask is named.")
def test_mask_that_is_not_finite(tmp_path: Path) -> None:
    bad = mask()
    bad[3, 3] = np.nan
    write_image(tmp_path / "p.png", codes(picture()))
    write_image(tmp_path / "m.exr", bad, "A")
    run(tmp_path / "o", tmp_path / "p.png", "--segmentation", tmp_path / "m.exr",
        "--segmentation-use", "core").refused("finite")  # fmt: skip


@odd("Numbers", "A pipe or a device as an input", "refused", "At once.")
@pytest.mark.parametrize("kind", ["pipe", "device", "pipe in a pattern", "hint"])
def test_pipes(tmp_path: Path, kind: str) -> None:
    write_image(tmp_path / "p.0001.png", codes(picture()))
    os.mkfifo(tmp_path / "p.0002.png")
    sources = {
        "pipe": tmp_path / "p.0002.png",
        "device": Path("/dev/zero"),
        "pipe in a pattern": tmp_path / "p.####.png",
        "hint": tmp_path / "p.0001.png",
    }
    flags = ("--segmentation", tmp_path / "p.0002.png") if kind == "hint" else ()
    run(tmp_path / "o", sources[kind], *flags).refused("pipe")


@odd("Numbers", "Deep JSON, Infinity as a frame number in a manifest", "taken", "Left out.")
def test_odd_manifest(tmp_path: Path) -> None:
    plate = HERE / "houdini_parts_N_first" / "plate.####.exr"
    assert run(tmp_path / "o", plate).code == 0
    manifest = next((tmp_path / "o").glob("*.jsonl"))
    deep = "[" * 100_000 + "]" * 100_000
    with manifest.open("a") as file:
        file.write(f'{{"frame": Infinity}}\n{{"frame": NaN}}\n{deep}\n[1]\n7\n')
    ran = run(tmp_path / "o", plate)
    assert ran.code == 0, ran.said


@odd(
    "Numbers",
    "An npz that unpacks to gigabytes, or says it is larger than it is",
    "refused",
    "Before anything is unpacked.",
)
def test_npz_bombs(tmp_path: Path) -> None:
    import io
    import zipfile

    from matte_nodes.checkpoints.read import read_tensors

    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 26,)}
        )
        archive.writestr("w.npy", header.getvalue() + bytes(1 << 28))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        )
        archive.writestr("w.npy", header.getvalue() + bytes(16))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(MatteError, match=name):
            read_tensors(tmp_path / name)


# What is said


@odd("Hints", "Everything told or tagged", "taken", "`--strict` passes.")
def test_strict_passes(tmp_path: Path) -> None:
    ran = run(
        tmp_path, HERE / "hint_numbering" / "plate.####.exr", "--strict",
        "--colorspace", "lin_rec709",
        "--segmentation", HERE / "hint_numbering" / "roto.####.png",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    facts = ran.facts(1001)
    assert facts["matte/inputs"] == (
        "plate: plate.####.exr, Linear Rec.709 (sRGB) (as told); segmentation: roto.####.png"
    )
    assert "matte/assumed" not in facts
    start = ran.events[0]
    assert [taken["input"] for taken in start["inputs"]] == ["plate", "segmentation"]


def test_what_was_taken_in_python(tmp_path: Path) -> None:
    write_image(tmp_path / "p.png", codes(picture()))
    shot = MatteNode("green-screen").connect(tmp_path / "p.png")
    assert "assumed" in shot.inputs[0].line
    with pytest.raises(InputError, match="--colorspace"):
        MatteNode("green-screen").connect(tmp_path / "p.png", strict=True)


@odd("Stills", "Floats that hold codes (0 to 255)", "refused", "Give integers, or divide.")
@pytest.mark.parametrize("name", ["p.exr", "p.tif", "p.npy"])
def test_codes_as_floats(tmp_path: Path, name: str) -> None:
    ramp = codes(picture())
    ramp[0, :, 0] = np.arange(64)
    values = ramp.astype(np.float32)
    if name == "p.npy":
        np.save(tmp_path / name, values)
    else:
        write_as_is(tmp_path / name, values)
    run(tmp_path / "o", tmp_path / name).refused("whole numbers", "divide by 255")


@odd(
    "Stills", "Integers of 32 bits (TIFF)", "taken", "As 16 bits; small codes of a picture refused."
)
@pytest.mark.parametrize("kind", [np.uint32, np.int32])
def test_integers_of_32_bits(tmp_path: Path, kind: type) -> None:
    full = picture().clip(0, 1) * np.float64(np.iinfo(kind).max)
    write_as_is(tmp_path / "p.tif", full.astype(kind))
    write_image(tmp_path / "q.png", codes(picture()))
    wide, narrow = run(tmp_path / "a", tmp_path / "p.tif"), run(tmp_path / "b", tmp_path / "q.png")
    is_subject(wide.frame(1))
    assert np.abs(wide.frame(1)["fg.R"] - narrow.frame(1)["fg.R"]).max() < 0.02
    write_as_is(tmp_path / "small.tif", codes(picture()).astype(kind))
    run(tmp_path / "c", tmp_path / "small.tif").refused("32 bits", "8 or 16 bits")
    write_as_is(tmp_path / "m.tif", mask()[..., None].astype(kind))
    flags = ("--segmentation", tmp_path / "m.tif", "--segmentation-use", "garbage")
    ran = run(tmp_path / "d", tmp_path / "q.png", *flags)
    is_subject(ran.frame(1))
    assert "labels" in ran.said


@odd("Movies", "A raw stream of JPEG pictures (.mjpeg, .mjpg)", "taken", "All of its frames.")
@pytest.mark.parametrize("name", ["p.mjpeg", "p.MJPG"])
def test_motion_jpeg(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as stream:
        for n in range(4):
            write_image(tmp_path / "one.jpg", codes(picture(n)))
            stream.write((tmp_path / "one.jpg").read_bytes())
    ran = run(tmp_path / "o", tmp_path / name)
    assert ran.frames == [1, 2, 3, 4]
    assert len({ran.frame(n)["A"].tobytes() for n in ran.frames}) == 4


def write_as_is(path: Path, pixels: NDArray[Any]) -> None:
    """A file of just these values: floats stay floats, and integers of 32 bits what they are."""
    buffer = oiio.ImageBuf(np.ascontiguousarray(pixels))
    assert buffer.write(str(path))
