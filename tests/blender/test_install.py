# SPDX-License-Identifier: Apache-2.0
"""`matte install blender`: extension or legacy add-on, enabled by Blender itself, taken out again."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from matte_nodes import __version__
from matte_nodes.errors import MatteError, OutputError, UsageError
from matte_nodes.hosts import install
from matte_nodes.hosts.blender import build, places
from matte_nodes.hosts.blender.install import findings
from matte_nodes.service import client
from tests.blender import rig
from tests.blender.conftest import needs
from tests.made import plate_sequence

ENABLED = """
import bpy, inside
bpy.ops.wm.read_userpref()
inside.answer(
    enabled=[n for n in bpy.context.preferences.addons.keys() if "matte_nodes" in n],
    here=hasattr(bpy.types.NodeTree, "matte_nodes"),
    operators=sorted(dir(bpy.ops.matte_nodes)),
)
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a home of their own, and no Blender on the machine."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CONFIG_HOME", "APPDATA", "MATTE_HOME", "BLENDER_USER_RESOURCES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "programs", lambda: iter(()))
    return home


def started_once(*versions: str) -> dict[str, Path]:
    """The folders that Blenders of these versions have made."""
    found = {version: places.user_root() / version for version in versions}
    for folder in found.values():
        (folder / "config").mkdir(parents=True)
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*")) if p.is_file()
    }  # fmt: skip


def program(version: str, folder: Path) -> Path:
    """A Blender program; for bpy one that takes the same arguments as the real one."""
    needs(version)
    if version == "3.4":
        return Path(str(rig.program()))
    python = rig.ROOT / rig.MODULES[version] / "bin" / "python"
    path = folder / f"blender-{version}"
    # -b --python-exit-code 3 --python SCRIPT ...
    path.write_text(f'#!/bin/sh\nshift 4\nexec {shlex.quote(str(python))} "$@"\n')
    path.chmod(0o755)
    return path


def test_each_version_gets_its_own_kind(user: Path) -> None:
    made = started_once("2.93", "3.4", "4.1", "4.2", "5.0")
    said = install.install("blender")
    for version in ("3.4", "4.1"):
        root = made[version] / "scripts/addons" / build.ADDON
        assert (root / "__init__.py").is_file()
        assert not (made[version] / "extensions").exists()
    for version in ("4.2", "5.0"):
        root = made[version] / "extensions/user_default/matte_nodes"
        assert (root / "blender_manifest.toml").is_file()
        assert not (made[version] / "scripts").exists()
        assert any(str(root) in line for line in said)
    assert tree(made["2.93"]) == {}, "too old"
    facts = json.loads((made["5.0"] / "config/matte_nodes.json").read_text())
    assert facts == {"python": sys.executable, "environment": {}}
    assert (root / build.CLIENT).read_bytes() == Path(client.__file__).read_bytes()


def test_twice_is_once(user: Path) -> None:
    started_once("3.4", "4.2")
    install.install("blender")
    before = tree(user)
    assert install.install("blender")
    assert tree(user) == before


def test_settings_outlive_the_add_on_s_folder(user: Path) -> None:
    """Blender replaces an extension's folder at each update."""
    made = started_once("4.2")
    install.install("blender")
    root = made["4.2"] / "extensions/user_default/matte_nodes"
    assert not list(root.rglob("*.json"))
    note = made["4.2"] / "config/matte_nodes.json"
    assert json.loads(note.read_text())["python"] == sys.executable
    install.uninstall("blender")
    assert not note.exists()


def test_a_file_of_an_older_version_goes(user: Path) -> None:
    made = started_once("4.2")
    install.install("blender")
    root = made["4.2"] / "extensions/user_default/matte_nodes"
    (root / "old_module.py").write_text("")
    install.install("blender")
    assert not (root / "old_module.py").exists()


def test_uninstall_leaves_what_is_not_ours(user: Path) -> None:
    made = started_once("3.4", "4.2")
    other = made["4.2"] / "extensions/user_default/other/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("x = 1")
    before = tree(user)
    install.install("blender")
    said = install.uninstall("blender")
    assert sum("removed" in line for line in said) == 2
    assert tree(user) == before
    assert install.uninstall("blender") == ["nothing of ours in any Blender here"]


def test_a_folder_that_is_not_ours_is_left(user: Path) -> None:
    made = started_once("3.4")
    mine = made["3.4"] / "scripts/addons" / build.ADDON / "mine.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("x = 1")
    with pytest.raises(OutputError, match="not ours"):
        install.install("blender")
    install.uninstall("blender")
    assert mine.read_text() == "x = 1"


def test_no_blender_at_all(user: Path) -> None:
    with pytest.raises(UsageError, match="No Blender was found"):
        install.install("blender")


def test_a_program_that_is_no_blender(user: Path, tmp_path: Path) -> None:
    fake = tmp_path / "blender"
    fake.write_text("#!/bin/sh\necho no display\n")
    fake.chmod(0o755)
    with pytest.raises(UsageError, match="no display"):
        install.install("blender", install.Options(binary=fake))
    fake.write_text("not a program")
    with pytest.raises(UsageError, match="does not answer"):
        install.install("blender", install.Options(binary=fake))


def test_a_folder_that_cannot_be_written(user: Path) -> None:
    made = started_once("4.2")
    (made["4.2"] / "extensions").write_text("a file is in the way")
    with pytest.raises(MatteError, match="cannot be written"):
        install.install("blender")


def test_a_zip_for_a_studio(user: Path, tmp_path: Path) -> None:
    started_once("4.2")
    before = tree(user)
    said = install.install("blender", install.Options(tmp_path / "share"))
    assert tree(user) == before, "nothing is installed"
    assert [p.name for p in (tmp_path / "share").iterdir()] == [
        f"matte_nodes-{build.version()}.zip"
    ]
    assert any("Install from Disk" in line for line in said)
    install.uninstall("blender", install.Options(tmp_path / "share"))
    assert list((tmp_path / "share").iterdir()) == []


def test_the_home_is_kept_for_the_service(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = started_once("4.2")
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "weights here"))
    install.install("blender")
    note = made["4.2"] / "config/matte_nodes.json"
    assert json.loads(note.read_text())["environment"] == {
        "MATTE_HOME": str(tmp_path / "weights here")
    }


def states() -> list[str]:
    return [state for _, state, _, _ in findings()]


def test_the_doctor_sees_it(user: Path) -> None:
    assert states() == ["note"]
    made = started_once("3.4", "4.2")
    install.install("blender")
    assert states() == ["ok", "ok"]
    root = made["4.2"] / "extensions/user_default/matte_nodes"
    note = made["4.2"] / "config/matte_nodes.json"
    text = note.read_text()
    note.write_text(text.replace(sys.executable, "/nowhere/python"))
    assert states() == ["ok", "problem"]
    note.write_text("{")
    assert states() == ["ok", "problem"]
    note.write_text(text)
    (root / build.CLIENT).write_text("# of another version")
    assert states() == ["ok", "problem"]


def test_installed_enabled_and_out_again(version: str, user: Path, tmp_path: Path) -> None:
    """By the program itself: it names its folder, enables, and knows it in the next session."""
    if version == "4.2":
        pytest.skip("bpy 4.2 crashes when it reads preferences with any add-on enabled")
    options = install.Options(binary=program(version, tmp_path))
    said = install.install("blender", options)
    assert any(line.endswith(": enabled") for line in said), said
    found = rig.run(version, ENABLED, home=user).good()
    names = {"3.4": [build.ADDON]}.get(version, ["bl_ext.user_default.matte_nodes"])
    assert found["enabled"] == names
    assert found["here"]
    assert {"add", "bake", "check_environment"} <= set(found["operators"])
    install.uninstall("blender", options)
    assert not [name for name in tree(user) if "matte" in name]
    assert rig.run(version, ENABLED, home=user).good()["enabled"] == []


def from_disk(version: str, folder: Path, service_home: Path, **more: str) -> dict[str, Any]:
    """Install the zip as an artist does, with Blender's own operator; name a Python; bake."""
    plate_sequence(folder / "plates", 2)
    return rig.run(
        version, "install_from_disk.py", build.archive(folder / "zip"), rig.EXAMPLE,
        folder / "plates/plate.1001.exr", folder / "shot.blend", sys.executable, service_home,
        home=folder / "home", **more,
    ).good()  # fmt: skip


def works(found: dict[str, Any], folder: Path) -> None:
    """Added, told what is missing, then baked."""
    assert found["added"] == "CompositorNodeGroup"
    assert found["sockets"] == ["Image", "Trimap", "Background", "Segmentation", "Image", "Alpha"]
    assert "No Python is set" in found["check"]
    assert "Save the file first" in found["unsaved"]
    assert "No Python is set" in found["bake"]
    assert (found["good"], found["baked"]) == ("", "")
    assert found["learnt"].startswith(f"matte-nodes {__version__}, ")
    assert found["learnt"].endswith(f"({sys.executable})"), "versions agree"
    assert len(list((folder / "matte").rglob("matte.*.exr"))) == 2


def test_the_zip_installed_from_disk(version: str, tmp_path: Path, service_home: Path) -> None:
    """Into a temporary user folder; enabled; its operators called."""
    resources = tmp_path / "resources"
    more = {} if version == "3.4" else {"BLENDER_USER_RESOURCES": str(resources)}
    works(from_disk(version, tmp_path, service_home, **more), tmp_path)
    if version != "3.4":
        assert list(resources.rglob("blender_manifest.toml"))
        assert not list((tmp_path / "home").rglob("blender_manifest.toml"))
