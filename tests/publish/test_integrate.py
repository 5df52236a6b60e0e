# SPDX-License-Identifier: Apache-2.0
"""Versions appear whole, and none is ever replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from matte_nodes.errors import OutputError
from matte_nodes.publish import integrate as integration
from matte_nodes.publish.checks import run
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.integrate import damaged, integrate, versions
from tests.publish.deliveries import Made
from tests.service.serving import wait_for


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "from"
    folder.mkdir()
    found = [folder / f"matte.{number}.exr" for number in (1001, 1002, 1003)]
    for index, path in enumerate(found):
        path.write_bytes(bytes([index]) * 300_000)
    return found


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_versions_count_on_and_stay(files: list[Path], tmp_path: Path) -> None:
    first = integrate(files, tmp_path, "hero", {})
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    files[0].write_bytes(b"other")
    second = integrate(files, tmp_path, "hero", {})
    assert [first.name, second.name] == ["v001", "v002"]
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    assert (second / "matte.1001.exr").read_bytes() == b"other"
    assert names(tmp_path / "hero") == ["v001", "v002"]


def test_a_version_that_is_there_is_an_error(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "hero" / "v003").mkdir(parents=True)  # even an empty one
    with pytest.raises(OutputError, match="never replaced"):
        integrate(files, tmp_path, "hero", {}, version=3)
    assert names(tmp_path / "hero") == ["v003"]
    assert names(tmp_path / "hero" / "v003") == []
    assert integrate(files, tmp_path, "hero", {}).name == "v004"


def test_a_frame_that_was_added_to_a_version_is_told_of(files: list[Path], tmp_path: Path) -> None:
    folder = integrate(files, tmp_path, "hero", {})
    assert list(damaged(folder)) == []
    (folder / "matte.1004.exr").write_bytes(b"another frame")
    assert list(damaged(folder)) == [("matte.1004.exr", "was added since it was published")]


def test_the_manifest_has_every_files_sha256(files: list[Path], tmp_path: Path) -> None:
    version = integrate(files, tmp_path, "hero", {"plate": "p"})
    facts = json.loads((version / "manifest.json").read_text())
    assert facts["plate"] == "p"
    assert [entry["file"] for entry in facts["files"]] == [path.name for path in files]
    assert list(damaged(version)) == []
    changed = version / "matte.1002.exr"
    data = bytearray(changed.read_bytes())
    data[1234] ^= 1
    changed.write_bytes(data)
    (version / "matte.1003.exr").unlink()
    assert dict(damaged(version)) == {
        "matte.1002.exr": "was changed since it was published", "matte.1003.exr": "is gone",
    }  # fmt: skip


def test_a_changed_version_is_caught_by_its_check_alone(made: Made, tmp_path: Path) -> None:
    frames = sorted(made.folder.glob("*.exr"))
    version = integrate(frames, tmp_path, "hero", {})
    assert not [r.check.name for r in run(Delivery(str(version), **made.options())) if r.findings]
    with (version / frames[2].name).open("ab") as file:
        file.write(b"\0")
    failed = [r.check.name for r in run(Delivery(str(version), **made.options())) if r.findings]
    assert failed == ["sha256"]


def test_publishers_at_once_get_versions_of_their_own(files: list[Path], tmp_path: Path) -> None:
    found: list[Path] = []
    start = threading.Barrier(4)

    def go() -> None:
        start.wait()
        found.append(integrate(files, tmp_path, "hero", {}))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in found) == ["v001", "v002", "v003", "v004"]
    assert all(not list(damaged(path)) for path in found)
    assert versions(tmp_path / "hero") == [1, 2, 3, 4]


def test_a_killed_publish_leaves_no_version(tmp_path: Path) -> None:
    """Killed in the middle of copying: nothing that could be taken for a version."""
    pipe = tmp_path / "matte.1001.exr"
    os.mkfifo(pipe)
    script = (
        "import sys; from pathlib import Path; from matte_nodes.publish.integrate import integrate;"
        "integrate([Path(sys.argv[1])], Path(sys.argv[2]), 'hero', {})"
    )
    root = tmp_path / "root"
    process = subprocess.Popen([sys.executable, "-c", script, str(pipe), str(root)])
    with pipe.open("wb") as writing:
        writing.write(b"x" * 100)
        writing.flush()
        wait_for(lambda: list(root.glob("hero/.matte-*/matte.1001.exr")))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert versions(root / "hero") == []
    assert all(name.startswith(".matte-") for name in names(root / "hero"))
    # The next publish removes what the killed one left.
    whole = tmp_path / "whole.1001.exr"
    whole.write_bytes(b"y")
    integrate([whole], root, "hero", {})
    assert names(root / "hero") == ["v001"]


def test_a_copy_that_is_not_what_was_read_is_an_error(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integration, "_sha256", lambda path: "0" * 64)
    with pytest.raises(OutputError, match="Check the disk"):
        integrate(files, tmp_path, "hero", {})
    assert names(tmp_path / "hero") == []


@pytest.mark.parametrize("name", ["../up", ".hidden", "", "a/b"])
def test_a_name_that_is_no_folder_is_refused(name: str, files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be the name"):
        integrate(files, tmp_path, name, {})
