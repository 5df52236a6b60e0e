# SPDX-License-Identifier: Apache-2.0
"""Odd EXR files: parts, layers, views, windows, colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import MediaError
from matte_nodes.media import layers
from matte_nodes.media.clip import open_clip
from tests.faults.rig import is_subject, odd, picture, run
from tests.faults.samples import (
    half,
    write_as_is,
    write_exr,
    write_parts,
)
from tests.media.samples import write_picture


@odd("EXR", "Normals, depth or motion as R, G, B and no other picture", "refused", "Can be named.")
@pytest.mark.parametrize("name", ["N", "ViewLayer.Normal", "Queue_WorldDepth", "motion"])
@pytest.mark.parametrize("as_part", [True, False])
def test_data_pass_alone(tmp_path: Path, name: str, as_part: bool) -> None:
    channels = ("R", "G", "B") if as_part else tuple(f"{name}.{c}" for c in "RGB")
    path = tmp_path / "p.exr"
    write_parts(path, [(name if as_part else "", channels, picture(), "")])
    run(tmp_path / "o", path).refused(name, "data by its name", f"--layer {name}")
    is_subject(run(tmp_path / "q", path, "--layer", name).frame(1))


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


@odd("EXR", "A named colour space beside the chromaticities of another", "said", "The name.")
def test_name_against_chromaticities(tmp_path: Path) -> None:
    from tests.media.samples import write_picture

    corners = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    path = write_picture(tmp_path / "p.exr", picture().astype(np.float16),
                         colorInteropID="lin_ap1_scene", chromaticities=("float[8]", corners))  # fmt: skip
    ran = run(tmp_path / "o", path)
    assert ran.code == 0
    assert "chromaticities of another space" in ran.said
    run(tmp_path / "s", path, "--strict").refused("chromaticities of another space")


@odd("EXR", "Whole numbers (uint) as R, G, B", "refused", "They are ids, not colours.")
def test_uint_colours(tmp_path: Path) -> None:
    write_as_is(tmp_path / "p.exr", (picture() * 1000).astype(np.uint32))
    run(tmp_path / "o", tmp_path / "p.exr").refused("uint", "ids")
