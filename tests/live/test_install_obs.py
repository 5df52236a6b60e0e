# SPDX-License-Identifier: Apache-2.0
"""`matte install obs`: what it writes, what it refuses, what it takes out again."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from matte_nodes.errors import UsageError
from matte_nodes.hosts import install as installer
from matte_nodes.hosts.install import Options
from matte_nodes.hosts.obs import install as obs
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.runtime import PROVIDERS

PRESETS = Path(obs.__file__).parents[3] / "plugins/obs"


def test_declaration_is_made_from_the_cards() -> None:
    declared, _ = obs.declaration()
    assert Path(declared["python"]).is_absolute()
    names = {model["name"] for model in declared["models"]}
    assert "green-screen" in names  # needs no weights
    assert "closed-form" not in names  # nobody draws a trimap live
    assert [device["name"] for device in declared["devices"]] == ["auto", *PROVIDERS]
    knobs = {knob["name"] for knob in declared["knobs"]}
    assert {"shrink", "black_point", "white_point", "feather", "exposure"} <= knobs
    assert not knobs & {"tile", "steady", "align_background"}
    assert knobs <= {knob.name for knob in NODE_KNOBS}
    assert declared["default_model"] in names
    json.dumps(declared)


def test_a_given_binary_is_put_in_place_and_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obs, "sandboxed", lambda: None)
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    binary = tmp_path / "matte-nodes.so"
    binary.write_bytes(b"binary")
    options = Options(folder=tmp_path / "plugins", binary=binary)
    said = "\n".join(installer.install("obs", options))
    root = tmp_path / "plugins/matte-nodes"
    assert str(root) in said
    assert obs._places(root)[0].read_bytes() == b"binary"
    data = obs._places(root)[1]
    assert (data / "matte.effect").is_file()
    written = json.loads((data / "install.json").read_text())
    assert written["python"] == sys.executable
    assert written["environment"] == {"MATTE_HOME": str(tmp_path / "home")}
    assert "removed" in installer.uninstall("obs", options)[0]
    assert not root.exists()
    assert "nothing of ours" in installer.uninstall("obs", options)[0]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "plugins/matte-nodes"
    other.mkdir(parents=True)
    (other / "thesis.txt").write_text("years of work")
    installer.uninstall("obs", Options(folder=tmp_path / "plugins"))
    assert (other / "thesis.txt").is_file()


@pytest.fixture
def flatpak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where OBS is a Flatpak."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / ".local/share/flatpak/app/com.obsproject.Studio").mkdir(parents=True)
    return tmp_path


def allowed(home: Path) -> None:
    """As `flatpak override` writes it."""
    overrides = home / ".local/share/flatpak/overrides"
    overrides.mkdir()
    (overrides / "com.obsproject.Studio").write_text(
        "[Session Bus Policy]\norg.freedesktop.Flatpak=talk\n"
    )


def test_in_a_flatpak_the_plugin_is_put_where_its_obs_looks_and_the_leave_is_asked_for(
    flatpak: Path,
) -> None:
    binary = flatpak / "matte-nodes.so"
    binary.write_bytes(b"binary")
    said = "\n".join(installer.install("obs", Options(binary=binary)))
    root = flatpak / ".var/app/com.obsproject.Studio/config/obs-studio/plugins/matte-nodes"
    assert (root / "bin/64bit/matte-nodes.so").read_bytes() == b"binary"
    assert (root / "data/install.json").is_file()
    assert obs.OUTSIDE in said
    assert ("OBS", "problem", "a Flatpak that may not start our Python", obs.OUTSIDE) in list(
        obs.findings()
    )
    allowed(flatpak)
    assert obs.OUTSIDE not in "\n".join(installer.install("obs", Options(binary=binary)))
    assert [state for _, state, _, _ in obs.findings()] == ["ok"]


def test_an_extension_of_the_flatpak_is_only_told_what_to_run(flatpak: Path) -> None:
    (flatpak / f".local/share/flatpak/runtime/{obs.FLATPAK_EXTENSION}").mkdir(parents=True)
    allowed(flatpak)
    said = "\n".join(installer.install("obs", Options()))
    config = flatpak / ".var/app/com.obsproject.Studio/config/obs-studio"
    written = json.loads((config / "plugin_config/matte-nodes/install.json").read_text())
    assert written["python"] == sys.executable
    assert "extension" in said
    assert not (config / "plugins").exists()
    assert [state for _, state, _, _ in obs.findings()] == ["ok"]
    assert "flatpak uninstall" in installer.uninstall("obs", Options())[0]
    assert not list(config.rglob("install.json"))


def test_snap_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: "/snap/bin/obs")
    there = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/snap/obs-studio" or
                        ("flatpak" not in str(path) and there(path)))  # fmt: skip
    with pytest.raises(UsageError, match="Snap"):
        installer.install("obs", Options(folder=tmp_path))
    # One from the distribution beside it is the one that is meant.
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/obs")
    assert obs.sandboxed() is None


def test_without_cmake_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obs, "sandboxed", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="apt-get install cmake"):
        installer.install("obs", Options(folder=tmp_path))


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(UsageError, match="obs"):
        installer.install("shake")


def test_every_text_has_an_english_line_and_every_line_is_used() -> None:
    locale = (PRESETS / "data/locale/en-US.ini").read_text()
    have = {line.split("=", 1)[0] for line in locale.splitlines() if "=" in line}
    code = "\n".join(path.read_text() for path in (PRESETS / "src").glob("*.c"))
    texts = set(re.findall(r'"([A-Z][A-Za-z]+(?:\.[A-Z][A-Za-z]+)*)"', code))
    assert set(re.findall(r'obs_module_text\("([^"]+)"\)', code)) <= have
    assert have <= texts
    assert {name for name in texts if "." in name} <= have


@pytest.mark.parametrize("language", ["de-DE", "es-ES"])
def test_each_language_has_each_line(language: str) -> None:
    def lines(name: str) -> dict[str, str]:
        text = (PRESETS / f"data/locale/{name}.ini").read_text(encoding="utf-8")
        return dict(re.findall(r'^([A-Za-z.]+)="(.+)"$', text, re.MULTILINE))

    english, other = lines("en-US"), lines(language)
    assert list(other) == list(english)
    same = [key for key in english if english[key] == other[key]]
    assert set(same) <= {"Matte", "Background.Image", "View.Alpha"}


def test_nothing_in_the_plugin_fails_open() -> None:
    code = "\n".join(path.read_text() for path in (PRESETS / "src").glob("*.c"))
    assert "skip_video_filter" not in code
    assert all("GPL-2.0-or-later" in path.read_text().splitlines()[0]
               for path in PRESETS.rglob("*.[ch]"))  # fmt: skip
