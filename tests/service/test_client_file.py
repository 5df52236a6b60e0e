# SPDX-License-Identifier: Apache-2.0
"""client.py alone: one file, the standard library, Python 3.7, in whatever Python a host has."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from matte_nodes.service import client
from tests.made import plate_sequence
from tests.service.serving import serving, wait_for

FILE = Path(client.__file__)
OLD_PYTHONS = [f"python3.{minor}" for minor in (7, 8, 9, 10, 12, 13)]


def test_it_is_python_3_7() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 7))


def test_only_annotations_use_what_3_7_cannot_evaluate() -> None:
    """`X | None` and `dict[...]` are fine where they are never evaluated, and nowhere else."""
    tree = ast.parse(FILE.read_text())
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, None)
    builtin = {"dict", "list", "tuple", "set", "type"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in builtin, node.lineno
        assert not isinstance(node, ast.Match | ast.NamedExpr)


def test_it_imports_the_standard_library_alone() -> None:
    for node in ast.walk(ast.parse(FILE.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [str(node.module)]
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names), names


def interpreter(name: str) -> str | None:
    """A Python of this version that really runs, or None."""
    roots = [Path(p) for p in os.environ.get("MATTE_TEST_PYTHONS", "").split(os.pathsep) if p]
    versions = Path.home() / ".pyenv" / "versions"
    roots += sorted(versions.glob(f"{name.removeprefix('python')}.*/bin"))
    found = [str(root / name) for root in roots if (root / name).is_file()]
    found += filter(None, [shutil.which(name)])
    for path in found:
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("name", OLD_PYTHONS)
def test_in_a_hosts_python(tmp_path: Path, name: str) -> None:
    """The file alone, copied away, in the Pythons that Nuke and Blender have had and will have."""
    python = interpreter(name)
    if python is None:
        pytest.skip(f"{name} is not here")
    shutil.copy(FILE, tmp_path / "matte_client.py")
    plate = plate_sequence(tmp_path / "in", 3)
    code = (
        "import sys, matte_client\n"
        "client = matte_client.Client(sys.argv[1], sys.argv[2])\n"
        "client.ensure()\n"
        "job = client.submit({'source': sys.argv[3], 'output': sys.argv[4],\n"
        "                     'model': 'green-screen'})\n"
        "print([event['event'] for event in client.events(job)])\n"
        "print(client.frame({'source': sys.argv[3], 'model': 'green-screen'}, 1002))\n"
        "assert client.models()['models'] and client.jobs() and client.status()\n"
        "print(client.shutdown())\n"
    )
    result = subprocess.run(
        [python, "-I", "-c", "import sys; sys.path.insert(0, '.')\n" + code, sys.executable,
         str(tmp_path / "home"), str(plate), str(tmp_path / "m.####.exr")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    events, frame, ended = result.stdout.splitlines()
    assert events == str(["queued", "start", "frame", "frame", "frame", "done"])
    assert Path(frame).is_file()
    assert ended == "True"
    wait_for(lambda: client.Client(home=str(tmp_path / "home")).hello() is None)


def test_the_home_is_the_librarys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matte_nodes import paths

    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    assert Path(client._default_home()) == paths.weights_folder().parent
    monkeypatch.delenv("MATTE_HOME")
    if sys.platform == "linux":
        assert Path(client._default_home()).expanduser() == paths.weights_folder().parent


@pytest.mark.skipif(sys.platform == "win32", reason="no $HOME there")
@pytest.mark.parametrize("home", ["", None])
def test_an_empty_home_is_no_folder(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    from matte_nodes import paths
    from matte_nodes.hosts.obs.install import folder

    for name in ("MATTE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HOME", raising=False)
    own = Path.home()
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert client.folders()[0].startswith(f"{own}{os.sep}")
    assert client.folders()[0].startswith(str(paths.weights_folder().parent))
    assert folder().is_relative_to(own)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_umask_is_read_and_left(mask: int) -> None:
    before = os.umask(mask)
    try:
        assert client.current_umask() == mask
    finally:
        assert os.umask(before) == mask


def test_an_old_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGEST_LOG", 10)
    folder = Path(client.make_folder(str(tmp_path / "home")))
    (folder / client.LOG).write_text("old words" * 10)
    running = client.Client(sys.executable, str(tmp_path / "home"))
    running.ensure()
    running.shutdown()
    assert (folder / (client.LOG + ".old")).read_text().startswith("old words")
    assert "old words" not in (folder / client.LOG).read_text()
    wait_for(lambda: running.hello() is None)


def test_large_answers_and_many_jobs(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    with serving(tmp_path / "home") as service:
        for number in range(300):
            service.client.submit(
                {"source": str(plate), "output": "/x/" + "y" * 5000, "model": "z", "frame": 1}
            )
            if number % 100 == 99:
                wait_for(lambda: all(job["state"] == "error" for job in service.client.jobs()))
        wait_for(lambda: all(job["state"] == "error" for job in service.client.jobs()))
        assert 200 <= len(service.client.jobs()) <= 300
        service.client.submit({"source": str(plate), "output": "m.exr", "model": "z", "frame": 1})
        assert len(service.client.jobs()) == 201
