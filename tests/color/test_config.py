# SPDX-License-Identifier: Apache-2.0
"""ColorConfig: names, aliases and roles; and what a file is taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes.color import ColorConfig, PlateColor, guess_space
from matte_nodes.errors import ColorError

# A config of a host: other names, no aliases of the ACES configs, and linear Rec.709 as the
# scene_linear role, as Blender and Nuke have it.
HOST_CONFIG = """ocio_profile_version: 2
roles:
  default: sRGB
  scene_linear: Linear Rec.709
  data: Non-Color
file_rules:
  - !<Rule> {name: Default, colorspace: default}
displays:
  sRGB:
    - !<View> {name: Standard, colorspace: sRGB}
colorspaces:
  - !<ColorSpace>
    name: Linear Rec.709
    encoding: scene-linear
  - !<ColorSpace>
    name: sRGB
    encoding: sdr-video
    to_scene_reference: !<ExponentWithLinearTransform> {gamma: 2.4, offset: 0.055}
  - !<ColorSpace>
    name: Wide Linear
    encoding: scene-linear
    to_scene_reference: !<MatrixTransform>
      matrix: [1.7, -0.6, -0.1, 0, -0.1, 1.15, -0.05, 0, 0, -0.1, 1.1, 0, 0, 0, 0, 1]
  - !<ColorSpace>
    name: Wide Log
    encoding: log
    to_scene_reference: !<GroupTransform>
      children:
        - !<LogTransform> {base: 10, direction: inverse}
        - !<MatrixTransform>
          matrix: [1.7, -0.6, -0.1, 0, -0.1, 1.15, -0.05, 0, 0, -0.1, 1.1, 0, 0, 0, 0, 1]
  - !<ColorSpace>
    name: Non-Color
    isdata: true
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "config.ocio"
    path.write_text(HOST_CONFIG)
    return path


@pytest.fixture(autouse=True)
def _no_config_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("ACEScg", "ACEScg"),
        ("acescg", "ACEScg"),
        ("scene_linear", "ACEScg"),
        ("lin_ap1_scene", "ACEScg"),
        ("ACES - ACEScg", "ACEScg"),
        ("srgb_tx", "sRGB Encoded Rec.709 (sRGB)"),
        ("sRGB", "sRGB Encoded Rec.709 (sRGB)"),
        ("Utility - sRGB - Texture", "sRGB Encoded Rec.709 (sRGB)"),
        ("Linear Rec.709", "Linear Rec.709 (sRGB)"),
        ("lin_srgb", "Linear Rec.709 (sRGB)"),
        ("linear rec 2020", "Linear Rec.2020"),
        ("sRGB - Display", "sRGB - Display"),
    ],
)
def test_names_aliases_and_roles_are_found(name: str, canonical: str) -> None:
    assert ColorConfig(None).resolve(name) == canonical


@pytest.mark.parametrize("name", ["nope", "", " ", "Linear", "sRGB Rec", "rec709x", "../config"])
def test_a_name_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(ColorError, match="Unknown colour space"):
        ColorConfig(None).resolve(name)


def test_the_error_names_what_is_close() -> None:
    with pytest.raises(ColorError, match=r'Did you mean .*"ACEScg"'):
        ColorConfig(None).resolve("ACESgc")


def test_camera_spaces_come_from_the_studio_config() -> None:
    assert PlateColor("ARRI LogC3").plate == "ARRI LogC3 (EI800)"
    assert PlateColor("bt709").plate == "Camera Rec.709"
    assert PlateColor("S-Log3 S-Gamut3.Cine").working == "Linear S-Gamut3.Cine"


def test_a_config_of_the_users_is_the_whole_truth(host: Path) -> None:
    config = ColorConfig(str(host))
    with pytest.raises(ColorError, match=r"config\.ocio"):
        PlateColor("ARRI LogC3", config=config)


def test_a_hosts_config_works_with_its_own_names(host: Path) -> None:
    config = ColorConfig(str(host))
    color = PlateColor("srgb_tx", config=config, encoded_output=True)
    assert (color.plate, color.working, color.output) == ("sRGB", "Linear Rec.709", "sRGB")
    assert PlateColor("scene_linear", config=config).working == "Linear Rec.709"
    assert PlateColor("Wide Log", config=config).working == "Wide Linear"
    assert PlateColor("lin_rec709", config=config).plate == "Linear Rec.709"


@pytest.fixture
def nameless(tmp_path: Path) -> ColorConfig:
    """A pipeline's config: no space has a name of sRGB, and the linear one has none of Rec.709's."""
    named = {"sRGB": "screen_out", "Linear Rec.709": "comp_light", "Non-Color": "numbers"}
    text = HOST_CONFIG.replace("  sRGB:\n", "  monitor:\n")
    for name, other in named.items():
        text = text.replace(name, other)
    path = tmp_path / "nameless.ocio"
    path.write_text(text)
    return ColorConfig(str(path))


def test_a_config_without_a_name_of_srgb_has_the_built_in_curve(
    nameless: ColorConfig, host: Path
) -> None:
    assert nameless.find("srgb_tx") is None
    pixels = np.random.default_rng(4).random((20, 30, 3), np.float32) * 1.5 - 0.1
    color = PlateColor("comp_light", config=nameless)
    there = PlateColor("Linear Rec.709", config=ColorConfig(str(host)))
    seen = color.to_network(pixels)
    assert seen.min() == 0
    assert seen.max() == 1
    np.testing.assert_allclose(seen, there.to_network(pixels), atol=1e-4)
    back = color.network_to_working(seen)
    np.testing.assert_allclose(back, pixels.clip(0, 1), atol=1e-3)


def test_the_built_in_curve_is_in_the_key(nameless: ColorConfig, host: Path) -> None:
    without = PlateColor("comp_light", config=nameless)
    there = PlateColor("Linear Rec.709", config=ColorConfig(str(host)))
    assert "IEC 61966-2-1" in without.seen_id
    assert "IEC 61966-2-1" not in there.seen_id


def test_another_name_that_a_config_does_not_have_is_still_an_error(nameless: ColorConfig) -> None:
    with pytest.raises(ColorError, match="Unknown colour space"):
        PlateColor("srgb_tx", config=nameless)


def test_the_built_in_curve_is_the_standards() -> None:
    from matte_nodes.color.network import srgb_decoded, srgb_encoded

    linear = np.array([0.0, 0.001, 0.0031308, 0.18, 0.5, 1.0], np.float32)
    wanted = [0.0, 0.01292, 0.04045, 0.46135613, 0.7353569, 1.0]
    np.testing.assert_allclose(srgb_encoded(linear), wanted, atol=1e-5)
    np.testing.assert_allclose(srgb_decoded(srgb_encoded(linear)), linear, atol=1e-6)


def test_ocio_in_the_environment_is_used(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", str(host))
    assert ColorConfig(None).resolve("scene_linear") == "Linear Rec.709"
    # A config that is named wins over the environment.
    assert ColorConfig("ocio://default").resolve("scene_linear") == "ACEScg"


@pytest.mark.parametrize("text", ["", "not a config", "ocio_profile_version: 2\ncolorspaces: 3\n"])
def test_a_config_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.ocio"
    path.write_text(text)
    with pytest.raises(ColorError, match=r"broken\.ocio"):
        ColorConfig(str(path)).resolve("ACEScg")


def test_a_config_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ColorError, match="not found"):
        ColorConfig(str(tmp_path / "none.ocio"))
    monkeypatch.setenv("OCIO", str(tmp_path / "none.ocio"))
    with pytest.raises(ColorError, match=r"\$OCIO"):
        ColorConfig(None)
    with pytest.raises(ColorError, match="cannot be read"):
        ColorConfig("ocio://no-such-config")


def test_data_is_no_colour() -> None:
    for name in ("Raw", "data"):
        with pytest.raises(ColorError, match="holds data"):
            PlateColor(name)
    with pytest.raises(ColorError, match="holds data"):
        PlateColor("ACEScg", output="Raw")


def test_cache_ids_tell_configs_apart(host: Path) -> None:
    first = ColorConfig(str(host)).cache_id
    assert first == ColorConfig(str(host)).cache_id
    assert first != ColorConfig(None).cache_id
    host.write_text(HOST_CONFIG + "# changed\n")
    assert ColorConfig(str(host)).cache_id != first


@pytest.mark.parametrize(
    ("said", "kind", "space"),
    [
        ("", (False, True, "exr"), "scene_linear"),
        ("lin_ap0_scene", (False, True, ".exr"), "lin_ap0_scene"),
        ("Linear", (False, True, "exr"), "scene_linear"),
        ("", (False, False, "png"), "srgb_tx"),
        ("", (False, False, "JPG"), "srgb_tx"),
        ("", (False, False, "tif"), "srgb_tx"),
        ("", (False, True, "tif"), "scene_linear"),
        ("sRGB", (False, False, "png"), "srgb_tx"),
        ("Rec709", (False, False, "dpx"), "camera_rec709"),
        ("", (True, False, "mov"), "camera_rec709"),
        ("unknown", (True, False, "mov"), "camera_rec709"),
        ("bt709", (True, False, "mp4"), "camera_rec709"),
        ("bt709/bt709", (True, False, "mp4"), "camera_rec709"),
        ("bt709/iec61966-2-1", (True, False, "mp4"), "srgb_tx"),
        ("bt601", (True, False, "avi"), "camera_rec709"),
        ("lin_rec709_scene", (True, False, "mov"), "lin_rec709_scene"),
    ],
)
def test_what_files_are_taken_for(said: str, kind: tuple[bool, bool, str], space: str) -> None:
    is_movie, is_float, extension = kind
    found = guess_space(said, is_movie=is_movie, is_float=is_float, extension=extension)
    assert found == space
    PlateColor(found)  # and it is a space


@pytest.mark.parametrize(
    ("said", "is_movie", "extension"),
    [
        ("", False, "dpx"),
        ("", False, ".cin"),
        ("KodakLog", False, "dpx"),
        ("bt2020/smpte2084", True, "mov"),
        ("pq", True, "mov"),
        ("hlg", True, "mp4"),
        ("bt470bg", True, "avi"),
    ],
)
def test_what_cannot_be_known_is_asked_for(said: str, is_movie: bool, extension: str) -> None:
    with pytest.raises(ColorError, match="--colorspace"):
        guess_space(said, is_movie=is_movie, is_float=False, extension=extension)
