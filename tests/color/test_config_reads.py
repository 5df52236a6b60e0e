# SPDX-License-Identifier: Apache-2.0
"""What an OCIO config reads, besides itself: LUT files, variables, its own variables of OCIO."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.color import ColorConfig, NetworkView, PlateColor
from matte_nodes.service.client import ocio_variables

GREY = np.full((1, 1, 3), 0.5, np.float32)


def cube(gain: float) -> str:
    """A 3D LUT of two points a side that multiplies by a gain."""
    corners = [(r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    rows = "\n".join(" ".join(f"{gain * value:.4f}" for value in corner) for corner in corners)
    return f"LUT_3D_SIZE 2\n{rows}\n"


CONFIG = """ocio_profile_version: 2
environment:
  SHOT: a
search_path: luts
roles:
  default: Graded
  scene_linear: Linear
file_rules:
  - !<Rule> {{name: Default, colorspace: default}}
displays:
  Screen:
    - !<View> {{name: Dark, colorspace: Dark}}
    - !<View> {{name: Bright, colorspace: sRGB}}
colorspaces:
  - !<ColorSpace>
    name: Linear
    encoding: scene-linear
  - !<ColorSpace>
    name: sRGB
    encoding: sdr-video
    to_scene_reference: !<ExponentWithLinearTransform> {{gamma: 2.4, offset: 0.055}}
  - !<ColorSpace>
    name: Dark
    from_scene_reference: !<MatrixTransform> {{matrix: [{dark}, 0, 0, 0, 0, {dark}, 0, 0, 0, 0, {dark}, 0, 0, 0, 0, 1]}}
  - !<ColorSpace>
    name: Graded
    to_scene_reference: !<FileTransform> {{src: $SHOT/grade.cube, interpolation: linear}}
"""


@pytest.fixture
def graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config whose space Graded goes through luts/$SHOT/grade.cube."""
    for name in ("OCIO", "SHOT", "OCIO_ACTIVE_VIEWS", "OCIO_OPTIMIZATION_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    for shot, gain in (("a", 0.5), ("b", 0.25)):
        (tmp_path / "luts" / shot).mkdir(parents=True)
        (tmp_path / "luts" / shot / "grade.cube").write_text(cube(gain))
    path = tmp_path / "config.ocio"
    path.write_text(CONFIG.format(dark=0.5))
    return path


def found(config: Path, **more: str) -> tuple[str, float]:
    """The id of the colours, and what middle grey becomes in working space."""
    color = PlateColor("Graded", config=ColorConfig(str(config), more or None))
    return color.id, float(color.to_working(GREY)[0, 0, 0])


def test_a_lut_replaced_behind_the_same_config_in_one_process(graded: Path) -> None:
    before, grey = found(graded)
    assert grey == pytest.approx(0.25)
    (graded.parent / "luts/a/grade.cube").write_text(cube(0.8))
    after, changed = found(graded)
    assert changed == pytest.approx(0.4)
    assert after != before
    (graded.parent / "luts/a/grade.cube").write_text(cube(0.5))
    assert found(graded) == (before, grey)


def test_a_context_variable_chooses_the_lut(graded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, grey = found(graded)
    monkeypatch.setenv("SHOT", "b")
    after, other = found(graded)
    assert (grey, other) == (pytest.approx(0.25), pytest.approx(0.125))
    assert after != before
    # The same numbers by another way are the same colours.
    (graded.parent / "luts/b/grade.cube").write_text(cube(0.5))
    assert found(graded) == (before, grey)


def test_variables_of_another_process_are_used_instead_of_ours(
    graded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOT", "b")
    assert found(graded, SHOT="a")[1] == pytest.approx(0.25)
    assert found(graded, OTHER="x")[1] == pytest.approx(0.25)  # the config's own default
    assert found(graded)[1] == pytest.approx(0.125)


def test_a_lut_that_comes_to_lie_before_the_other_is_used(graded: Path) -> None:
    text = graded.read_text().replace("search_path: luts", "search_path: own:luts")
    graded.write_text(text)
    assert found(graded)[1] == pytest.approx(0.25)
    (graded.parent / "own/a").mkdir(parents=True)
    (graded.parent / "own/a/grade.cube").write_text(cube(0.9))
    assert found(graded)[1] == pytest.approx(0.45)


def test_an_archive_follows_variables_too(graded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = graded.with_suffix(".ocioz")
    with zipfile.ZipFile(archive, "w") as file:
        for path in (graded, *graded.parent.glob("luts/*/*.cube")):
            file.write(path, str(path.relative_to(graded.parent)))
    before, grey = found(archive)
    assert grey == pytest.approx(0.25)
    monkeypatch.setenv("SHOT", "b")
    after, other = found(archive)
    assert other == pytest.approx(0.125)
    assert after != before
    assert "SHOT" in ocio_variables(str(archive))


def test_active_views_choose_what_the_network_sees(
    graded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> tuple[str, float]:
        color = PlateColor("Linear", config=ColorConfig(str(graded)), view=NetworkView("view"))
        return color.id, float(color.to_network(GREY)[0, 0, 0])

    before = seen()
    monkeypatch.setenv("OCIO_ACTIVE_VIEWS", "Bright")
    after = seen()
    assert before[0] != after[0]
    assert (before[1], after[1]) == (pytest.approx(0.25), pytest.approx(0.7354, abs=1e-3))


def test_optimisation_flags_are_in_the_id(graded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ids() -> tuple[str, str]:
        return found(graded)[0], PlateColor("srgb_tx", config=ColorConfig("ocio://default")).id

    before = ids()
    monkeypatch.setenv("OCIO_OPTIMIZATION_FLAGS", "0")
    after = ids()
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_a_config_edited_in_place_in_one_process(graded: Path) -> None:
    def seen() -> tuple[str, float]:
        color = PlateColor("Linear", config=ColorConfig(str(graded)), output="Dark")
        return color.id, float(color.to_output(GREY)[0, 0, 0])

    before = seen()
    graded.write_text(CONFIG.format(dark=0.75))
    assert seen()[1] == pytest.approx(0.375)
    graded.write_text(CONFIG.format(dark=0.5))
    assert seen() == before


@pytest.mark.parametrize("space", ["srgb_tx", "ACEScg", "ARRI LogC3", "camera_rec709"])
def test_both_ways_to_ocio_give_the_same_bits(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(4).random((16, 16, 3), dtype=np.float32) * 2 - 0.5

    def answers() -> list[np.ndarray]:
        color = PlateColor(space, config=ColorConfig("ocio://default"), view=NetworkView("view"))
        return [color.to_working(picture), color.to_network(picture)]

    plain = answers()
    # With a variable of OCIO's own, the second way serves built-in configs too.
    monkeypatch.setenv("OCIO_USER_CATEGORIES", "all")
    for one, two in zip(plain, answers(), strict=True):
        assert np.array_equal(one, two)
