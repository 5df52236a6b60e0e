# SPDX-License-Identifier: Apache-2.0
"""The Python that runs inside Nuke: standard library, 3.7 to 3.13, names that Nuke really has."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from matte_nodes.service import client
from tests.made import plate_sequence
from tests.nuke.desk import PLUGIN
from tests.service.test_client_file import interpreter

SOURCES = sorted(PLUGIN.rglob("*.py"))
PYTHONS = [f"python3.{minor}" for minor in range(7, 14)]
NAMED = pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PLUGIN)))


@NAMED
def test_it_is_python_3_7(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 7))
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, None)  # never evaluated: `from __future__ import annotations`
    builtin = {"dict", "list", "tuple", "set", "type"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in builtin, node.lineno


@NAMED
def test_it_imports_the_standard_library_nuke_and_itself(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "nuke", "matte_nuke"}
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module)]
        assert {name.split(".")[0] for name in names} <= allowed, names


def test_only_the_host_layer_knows_nuke() -> None:
    knowing = {
        path.name for path in SOURCES
        if any(isinstance(node, ast.Import) and node.names[0].name == "nuke"
               for node in ast.walk(ast.parse(path.read_text())))
    }  # fmt: skip
    assert knowing == {
        "init.py", "menu.py", "actions.py", "callbacks.py", "farm_job.py", "host.py", "runs.py",
        "upkeep.py",
    }  # fmt: skip


def test_no_path_of_anybodys_machine() -> None:
    from tests.nuke.checks import ABSOLUTE

    assert not [path.name for path in SOURCES if ABSOLUTE.search(path.read_text())]


@pytest.mark.parametrize("name", PYTHONS)
def test_terminal_mode_in_the_pythons_of_hosts(
    tmp_path: Path, plugin: Path, service_home: Path, name: str
) -> None:
    """The whole way to a real matte, in each Python that a Nuke has or will have."""
    python = interpreter(name)
    if python is None:
        pytest.skip(f"{name} is not here")
    plate = str(plate_sequence(tmp_path / "in", 3)).replace("####", "%04d")
    done = subprocess.run(
        [python, "-m", "tests.nuke.terminal", str(plugin), str(tmp_path / "shot.nk"), plate],
        cwd=PLUGIN.parents[1], capture_output=True, text=True, timeout=180, check=False,
        env={**os.environ, "MATTE_HOME": str(service_home), "PYTHONPATH": "",
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["done: 3 of 3 frames (3 matted now)", "True"]


def checked_by_mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.copytree(PLUGIN / "python" / "matte_nuke", folder / "matte_nuke", dirs_exist_ok=True)
    shutil.copy(client.__file__, folder / "matte_nuke" / "matte_client.py")
    for name in ("init.py", "menu.py"):
        shutil.copy(PLUGIN / name, folder / name)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11",
         "--cache-dir", str(folder / "cache"), "matte_nuke", "init.py", "menu.py"],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.skipif(
    not (find_spec("mypy") and find_spec("nuke-stubs")), reason="mypy or types-nuke is not here"
)
def test_mypy_against_types_nuke(tmp_path: Path) -> None:
    found = checked_by_mypy(tmp_path)
    assert found.returncode == 0, found.stdout
    host = tmp_path / "matte_nuke" / "host.py"
    host.write_text(host.read_text() + "\nnuke.executeInTheMainThread(print)\n")
    again = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"),
         "matte_nuke"],
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert "executeInTheMainThread" in again.stdout, "an invented function is found"
