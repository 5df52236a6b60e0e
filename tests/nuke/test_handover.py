# SPDX-License-Identifier: Apache-2.0
"""When the file of a Read is handed over as it is, and each trap in which it must be rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made import attributes_of, plate_sequence, read_named, scenes
from tests.nuke.desk import Desk


def test_a_plain_read_is_handed_over(desk: Desk) -> None:
    desk.open()
    desk.press()
    assert desk.rendered() == []
    assert desk.text("state").startswith("done")


def test_through_a_dot_too(desk: Desk) -> None:
    desk.open()
    dot = desk.nuke.Node("Dot", "Dot1")
    dot.setInput(0, desk.plate)
    desk.node.setInput(0, dot)
    desk.press()
    assert desk.rendered() == []


def test_handed_over_and_rendered_are_the_same_matte(desk: Desk) -> None:
    desk.open()
    desk.press()
    direct = read_named(desk.result(1002))
    desk.set(always_render=True)
    desk.press()
    assert desk.rendered() == ["plate"]
    rendered = read_named(desk.result(1002))
    assert all(np.array_equal(direct[name], rendered[name]) for name in direct)


def _knob(name: str, value: Any) -> Callable[[Desk], None]:
    def trap(desk: Desk) -> None:
        desk.plate[name]._value = value

    return trap


def _flag(name: str, flag: str) -> Callable[[Desk], None]:
    def trap(desk: Desk) -> None:
        setattr(desk.plate[name], flag, True)

    return trap


def _node(kind: str, **values: Any) -> Callable[[Desk], None]:
    def trap(desk: Desk) -> None:
        node = desk.nuke.Node(kind, kind + "1", **values)
        node.setInput(0, desk.plate)
        desk.node.setInput(0, node)

    return trap


def _proxy(desk: Desk) -> None:
    desk.nuke.root().is_proxy = True


def _views(desk: Desk) -> None:
    root = desk.nuke.root()
    root._knobs["views"] = desk.nuke.Knob(root, "views", 1, "left #ff0000\nright #00ff00\n")


def _aspect(desk: Desk) -> None:
    desk.plate.shape = desk.nuke.Format(96, 72, 2.0)


def _format(desk: Desk) -> None:
    desk.plate.said = {"input/width": 96, "input/height": 72}
    desk.plate.shape = desk.nuke.Format(48, 36, 1.0)


def _hole(desk: Desk) -> None:
    desk.plate["on_error"]._value = "nearest frame"
    (desk.folder / "plates" / "plate.1003.exr").unlink()


def _relative(desk: Desk) -> None:
    desk.plate["file"]._value = "plates/plate.%04d.exr"


def _still(desk: Desk) -> None:
    desk.plate["file"]._value = str(desk.folder / "plates" / "plate.1001.exr")


TRAPS: dict[str, Callable[[Desk], None]] = {
    "a node between": _node("Grade", multiply=2.0),
    "a node between that is disabled": _node("Blur", disable=True),
    "frame mode start at": _knob("frame_mode", "start at"),
    "frame mode offset": _knob("frame_mode", "offset"),
    "a frame number": _knob("frame", "frame-10"),
    "a frame expression": _flag("frame", "is_expression"),
    "a file expression": _knob("file", "[value root.name]/plate.%04d.exr"),
    "a linked file": _flag("file", "is_expression"),
    "an animated colour space": _flag("colorspace", "is_animated"),
    "an animated raw": _flag("raw", "is_animated"),
    "a variable in the file": _knob("file", "/x/%{shot}/plate.%04d.exr"),
    "a relative path": _relative,
    "a file for each view": _knob("file", "/x/plate_%V.%04d.exr"),
    "a short view": _knob("file", "/x/plate_%v.%04d.exr"),
    "a frame number in the folder": _knob("file", "/x/%04d/plate.%04d.exr"),
    "a still": _still,
    "a movie": _knob("file", "/x/plate.mov"),
    "a camera format": _knob("file", "/x/plate.%04d.dpx"),
    "proxy mode": _proxy,
    "several views": _views,
    "a disabled read": _knob("disable", True),
    "a disable expression": _flag("disable", "is_expression"),
    "a lifetime": _knob("useLifetime", True),
    "unpremultiplied on reading": _knob("premultiplied", True),
    "frames before its first": _knob("first", 1003),
    "frames after its last": _knob("last", 1003),
    "a hole that is filled": _hole,
    "another pixel aspect": _aspect,
    "another format": _format,
    "a default colour space": _knob("colorspace", "default"),
    "a space with two meanings": _knob("colorspace", "rec709"),
}


@pytest.mark.parametrize("what", TRAPS)
def test_in_doubt_it_is_rendered(desk: Desk, what: str) -> None:
    desk.open()
    TRAPS[what](desk)
    plan = make_plan(desk)
    assert list(plan.to_render) == ["plate"], what
    assert plan.to_render["plate"]


def make_plan(desk: Desk) -> Any:
    from matte_nuke.plan import RunPlan  # type: ignore[import-not-found]
    from matte_nuke.setup import Setup  # type: ignore[import-not-found]

    return RunPlan(desk.node, desk.nuke.root(), Setup(), "/opt/Nuke")


def test_what_a_grade_does_is_in_the_matte(desk: Desk) -> None:
    desk.open()
    _node("Grade", multiply=0.5)(desk)
    desk.press()
    assert desk.rendered() == ["plate"]
    found = read_named(desk.result(1001))
    solid = found["A"] == 1
    assert solid.any()
    half = scenes(1)[0].plate[..., 0].astype(np.float16) * 0.5
    np.testing.assert_allclose(found["fg.R"][solid], half[solid], rtol=2e-3)


def test_the_colour_space_of_the_read_is_sent_along(desk: Desk) -> None:
    desk.open()
    desk.plate["colorspace"]._value = "default (sRGB)"
    request = make_plan(desk).request("/run")
    assert request["connect"]["colorspace"] == "srgb_tx"
    assert request["output_colorspace"] == "lin_rec709"


def test_a_raw_read_is_in_the_working_space(desk: Desk) -> None:
    desk.open()
    desk.plate["colorspace"]._value = "sRGB"
    desk.plate["raw"]._value = True
    assert make_plan(desk).request("/run")["connect"]["colorspace"] == "lin_rec709"


def test_an_ocio_project_names_its_spaces_and_config(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    config = tmp_path / "config.ocio"
    config.write_text("ocio_profile_version: 2\n")
    root = desk.nuke.root()
    for name, value in {
        "colorManagement": "OCIO", "OCIO_config": "custom", "workingSpaceLUT": "ACES - ACEScg",
        "customOCIOConfigPath": str(config),
    }.items():  # fmt: skip
        root[name]._value = value
    desk.plate["colorspace"]._value = "Input - ARRI - LogC"
    request = make_plan(desk).request("/run")
    assert request["connect"]["colorspace"] == "Input - ARRI - LogC"
    assert request["output_colorspace"] == "ACES - ACEScg"
    assert request["node"]["ocio"] == str(config)
    config.unlink()
    desk.press_and_fail("OCIO config")


ROLES = {
    "default (sRGB - Texture)": "sRGB - Texture",
    "scene_linear (ACES - ACEScg)": "ACES - ACEScg",
    "compositing_log (ARRI LogC3 (EI800))": "ARRI LogC3 (EI800)",
    "ARRI LogC3 (EI800)": "ARRI LogC3 (EI800)",
    "Linear Rec.709 (sRGB)": "Linear Rec.709 (sRGB)",
}


@pytest.mark.parametrize("said", ROLES)
def test_a_role_stands_for_its_space(desk: Desk, tmp_path: Path, said: str) -> None:
    desk.open()
    (tmp_path / "config.ocio").write_text("ocio_profile_version: 2\n")
    root = desk.nuke.root()
    root["colorManagement"]._value, root["OCIO_config"]._value = "OCIO", "custom"
    root["customOCIOConfigPath"]._value = str(tmp_path / "config.ocio")
    root["workingSpaceLUT"]._value = desk.plate["colorspace"]._value = said
    request = make_plan(desk).request("/run")
    assert request["connect"]["colorspace"] == ROLES[said]
    assert request["output_colorspace"] == ROLES[said]


@pytest.mark.parametrize("place", ["studio/config.ocio", "studio.ocio"])
def test_a_config_of_nukes_own_is_found(desk: Desk, tmp_path: Path, place: str) -> None:
    from matte_nuke.colour import Colour

    desk.open()
    path = tmp_path / "plugins" / "OCIOConfigs" / "configs" / place
    path.parent.mkdir(parents=True)
    path.write_text("ocio_profile_version: 2\n")
    root = desk.nuke.root()
    root["colorManagement"]._value, root["OCIO_config"]._value = "OCIO", "studio"
    assert Colour(desk.node, root, str(tmp_path)).config == str(path)


def ocio_project(desk: Desk, **knobs: str) -> None:
    desk.open()
    root = desk.nuke.root()
    root["colorManagement"]._value, root["workingSpaceLUT"]._value = "OCIO", "ACEScg"
    for name, value in knobs.items():
        root[name]._value = value


def test_the_config_is_the_one_that_the_root_names(desk: Desk, tmp_path: Path) -> None:
    """As on macOS, where Nuke's own configs lie at another place below the application."""
    config = tmp_path / "Contents" / "configs" / "fn-nuke_cg.ocio"
    config.parent.mkdir(parents=True)
    config.write_text("ocio_profile_version: 2\n")
    ocio_project(desk, OCIO_config="fn-nuke_cg", OCIOConfigPath=str(config))
    assert make_plan(desk).request("/run")["node"]["ocio"] == str(config)


@pytest.mark.parametrize("place", ["project", "node"])
def test_the_configs_path_is_evaluated(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("SHOW", str(tmp_path))
    (tmp_path / "config.ocio").write_text("ocio_profile_version: 2\n")
    path = "[getenv SHOW]/config.ocio"
    ocio_project(desk, OCIO_config="custom", customOCIOConfigPath=path * (place == "project"))
    desk.set(ocio_config=path * (place == "node"))
    assert make_plan(desk).request("/run")["node"]["ocio"] == str(tmp_path / "config.ocio")


def test_the_file_is_the_one_that_a_filename_filter_names(desk: Desk) -> None:
    desk.open()
    there = desk.plate["file"].value()
    desk.plate["file"]._value = "asset:plate/v003.%04d.exr"
    desk.nuke.addFilenameFilter(lambda name: there if name.startswith("asset:") else None)
    desk.press()
    assert desk.rendered() == []
    assert make_plan(desk).request("/run")["source"] == there
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"


def test_a_file_that_a_filter_makes_uncertain_is_rendered(desk: Desk) -> None:
    desk.open()
    desk.nuke.addFilenameFilter(lambda name: "/x/%{shot}/plate.%04d.exr")
    assert "variable" in make_plan(desk).to_render["plate"]


def test_a_built_in_config_needs_no_file(desk: Desk) -> None:
    desk.open()
    root = desk.nuke.root()
    root["colorManagement"]._value, root["OCIO_config"]._value = "OCIO", "custom"
    root["customOCIOConfigPath"]._value = "ocio://studio-config-latest"
    assert make_plan(desk).request("/run")["node"]["ocio"] == "ocio://studio-config-latest"


def test_a_working_space_on_the_node_wins(desk: Desk) -> None:
    desk.open()
    desk.set(working_space="ACEScg")
    desk.plate["raw"]._value = True
    desk.press()
    found = attributes_of(desk.result(1001))
    assert found["matte/plate_space"] == found["matte/working_space"]
    assert found["matte/working_space"] == "ACEScg"


def test_a_sparse_hint_is_rendered_with_its_channel(desk: Desk) -> None:
    desk.open()
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    desk.set(model="closed-form", trimap_channel="red")
    desk.press()
    assert desk.rendered() == ["trimap"]
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"


def test_a_clean_plate_has_its_own_space(desk: Desk) -> None:
    desk.open()
    plate_sequence(desk.folder / "clean", 5)
    pattern = str(desk.folder / "clean" / "plate.%04d.exr")
    clean = desk.nuke.read_node(pattern, 1001, 1005, colorspace="sRGB")
    desk.node.setInput(2, clean)
    connect = make_plan(desk).request("/run")["connect"]
    assert connect["background"] == pattern
    assert connect["background_colorspace"] == "srgb_tx"
    assert connect["colorspace"] == "lin_rec709"


def test_data_window_overscan_aspect_and_highlights_stay(desk: Desk) -> None:
    """A plate with a bounding box beyond its format, squeezed pixels, and a lamp at 40."""
    import OpenImageIO as oiio

    desk.open()
    desk.plate.shape = desk.nuke.Format(96, 72, 2.0)
    for number, made in enumerate(scenes(5, 80, 104), 1001):
        lamp = np.where(made.alpha[..., None] > 0.99, made.plate * 40, made.plate)
        spec = oiio.ImageSpec(104, 80, 3, oiio.HALF)
        spec.x = spec.y = -4
        spec.full_width, spec.full_height = 96, 72
        spec.attribute("PixelAspectRatio", 2.0)
        file = oiio.ImageOutput.create("x.exr")
        file.open(str(desk.folder / "plates" / f"plate.{number}.exr"), spec)
        file.write_image(lamp.astype(np.float16))
        file.close()
    desk.set(always_render=True)
    desk.press()
    source = oiio.ImageInput.open(str(desk.result(1003))).spec()
    assert source.x >= -4
    assert source.y >= -4
    assert source.x + source.width <= 100
    assert source.y + source.height <= 76
    assert source.width < 104  # the matte's own
    assert (source.full_width, source.full_height) == (96, 72)
    assert source.get_float_attribute("PixelAspectRatio") == 2.0
    assert read_named(desk.result(1003))["fg.R"].max() > 10


def test_proxy_results_are_beside_the_full_ones(desk: Desk) -> None:
    desk.open()
    desk.press()
    full = desk.node.node("result")["file"].value()
    _proxy(desk)
    _node("Grade", multiply=0.9)(desk)
    desk.press()
    assert desk.node.node("result")["file"].value() == full
    assert desk.node.node("result")["proxy"].value() not in ("", full)
