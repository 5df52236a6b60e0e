# SPDX-License-Identifier: Apache-2.0
"""`matte install nuke`: the user's own start-up file, a studio's folder, and taking it out again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from matte_nodes.errors import MatteError
from matte_nodes.hosts import install
from matte_nodes.hosts.nuke.install import MARK, findings
from matte_nodes.service import client
from tests.nuke.nk import Script

OWN = "import nuke\n\nnuke.knobDefault('Blur.size', '5')\n"


@pytest.fixture
def dot_nuke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's .nuke with a line of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    folder = tmp_path / ".nuke"
    folder.mkdir()
    (folder / "init.py").write_text(OWN)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*")) if p.is_file()
    }  # fmt: skip


def test_install_for_one_artist(dot_nuke: Path) -> None:
    said = install.install("nuke")
    text = (dot_nuke / "init.py").read_text()
    assert text.startswith(OWN)
    assert text.count(MARK) == 2
    compile(text, "init.py", "exec")
    root = dot_nuke / "matte_nodes"
    assert {"init.py", "menu.py", "gizmos", "icons", "python"} <= {p.name for p in root.iterdir()}
    facts = json.loads((root / "python/matte_nuke/install.json").read_text())
    assert facts["systems"][sys.platform]["python"] == sys.executable
    copied = (root / "python/matte_nuke/matte_client.py").read_bytes()
    assert copied == Path(client.__file__).read_bytes()
    assert any(str(root) in line for line in said)
    for gizmo in (root / "gizmos").iterdir():
        assert Script(gizmo.read_text()).nodes[0].kind == "Group"


def test_twice_is_once(dot_nuke: Path) -> None:
    install.install("nuke")
    before = tree(dot_nuke)
    install.install("nuke")
    assert tree(dot_nuke) == before


def test_without_a_start_up_file(dot_nuke: Path) -> None:
    (dot_nuke / "init.py").unlink()
    install.install("nuke")
    assert (dot_nuke / "init.py").read_text().count(MARK) == 2
    install.uninstall("nuke")
    assert tree(dot_nuke) == {}


def test_a_last_line_without_its_end(dot_nuke: Path) -> None:
    (dot_nuke / "init.py").write_text("import os")
    install.install("nuke")
    compile((dot_nuke / "init.py").read_text(), "init.py", "exec")
    assert (dot_nuke / "init.py").read_text().startswith("import os\n")


def test_uninstall_leaves_what_is_not_ours(dot_nuke: Path) -> None:
    before = tree(dot_nuke)
    install.install("nuke")
    install.uninstall("nuke")
    assert tree(dot_nuke) == before
    assert install.uninstall("nuke") == [f"nothing of ours in {dot_nuke / 'matte_nodes'}"]


def test_a_linked_start_up_file_stays_a_link(dot_nuke: Path, tmp_path: Path) -> None:
    """Studios keep init.py in a repository and link it."""
    real = tmp_path / "dotfiles.py"
    (dot_nuke / "init.py").rename(real)
    (dot_nuke / "init.py").symlink_to(real)
    install.install("nuke")
    assert (dot_nuke / "init.py").is_symlink()
    assert real.read_text().count(MARK) == 2


def test_a_folder_that_is_not_ours_is_left(dot_nuke: Path) -> None:
    (dot_nuke / "matte_nodes").mkdir()
    (dot_nuke / "matte_nodes" / "mine.py").write_text("x = 1")
    before = tree(dot_nuke)
    with pytest.raises(MatteError, match="not ours"):
        install.install("nuke")
    assert tree(dot_nuke) == before
    install.uninstall("nuke")
    assert tree(dot_nuke) == before


def test_install_for_a_studio(dot_nuke: Path, tmp_path: Path) -> None:
    before = tree(dot_nuke)
    said = install.install("nuke", install.Options(tmp_path / "share"))
    assert tree(dot_nuke) == before, "no file of the user's is touched"
    assert (tmp_path / "share/matte_nodes/init.py").is_file()
    assert any("NUKE_PATH" in line for line in said)
    install.uninstall("nuke", install.Options(tmp_path / "share"))
    assert not (tmp_path / "share/matte_nodes").exists()


def test_the_home_is_kept_for_the_service(
    dot_nuke: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "weights here"))
    install.install("nuke")
    facts = json.loads((dot_nuke / "matte_nodes/python/matte_nuke/install.json").read_text())
    here = facts["systems"][sys.platform]
    assert here["environment"] == {"MATTE_HOME": str(tmp_path / "weights here")}


def test_several_systems_share_a_studio_folder(
    dot_nuke: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = install.Options(tmp_path / "share")
    install.install("nuke", share)
    with monkeypatch.context() as there:
        there.setattr(sys, "platform", "darwin")
        there.setattr(sys, "executable", "/Applications/matte/bin/python")
        install.install("nuke", share)
    install.install("nuke", share)
    said = json.loads((tmp_path / "share/matte_nodes/python/matte_nuke/install.json").read_text())
    pythons = {name: here["python"] for name, here in said["systems"].items()}
    assert pythons == {sys.platform: sys.executable, "darwin": "/Applications/matte/bin/python"}


def test_a_strict_umask_leaves_files_that_all_artists_can_read(
    dot_nuke: Path, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        install.install("nuke", install.Options(tmp_path / "share"))
    finally:
        os.umask(before)
    for path in (tmp_path / "share" / "matte_nodes").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_the_doctor_sees_it(dot_nuke: Path) -> None:
    assert [state for _, state, _, _ in findings()] == ["note"]
    install.install("nuke")
    assert [state for _, state, _, _ in findings()] == ["ok"]
    set_up = dot_nuke / "matte_nodes/python/matte_nuke/install.json"
    set_up.write_text(set_up.read_text().replace(sys.executable, "/nowhere/python"))
    assert [state for _, state, _, _ in findings()] == ["problem"]
    set_up.write_text("{")
    assert [state for _, state, _, _ in findings()] == ["problem"]
