# SPDX-License-Identifier: Apache-2.0
"""The zip, its manifest, and what the add-on's Python may be: thin, and of Blender 3.4 to 5."""

from __future__ import annotations

import ast
import hashlib
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from matte_nodes import __version__
from matte_nodes.hosts.blender import build, manifest
from matte_nodes.service import client
from tests.blender import rig

PLUGIN = Path(__file__).parents[2] / "plugins" / "blender"
SOURCES = sorted(PLUGIN.rglob("*.py"))
NAMED = pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PLUGIN)))
PLAIN = {
    "clicks", "commands", "declarations", "environment", "folders", "handover", "job", "knobs", "mapping", "plan",
    "setup", "state", "trouble",
}  # fmt: skip
BLENDERS = {
    "bpy",
    "bpy_extras",
    "addon_utils",
    "bl_pkg",
    "bl_operators",
    "gpu",
    "gpu_extras",
    "nodeitems_utils",
}


def imports(path: Path) -> set[str]:
    """Top names of the modules that a file imports from elsewhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


@NAMED
def test_it_imports_the_standard_library_blender_and_itself(path: Path) -> None:
    """No torch, numpy, cv2, onnxruntime, OpenImageIO: Debian's Blender has none of them."""
    assert imports(path) <= {*sys.stdlib_module_names, *BLENDERS}


def test_logic_is_plain_python() -> None:
    """What decides anything can be tested without Blender: nothing in it leads to bpy."""
    for name in PLAIN:
        path = PLUGIN / build.ADDON / f"{name}.py"
        assert not imports(path) & BLENDERS, name
        assert neighbours(path) <= {*PLAIN, build.CLIENT.removesuffix(".py")}, name


def neighbours(path: Path) -> set[str]:
    """Modules of the add-on that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


@NAMED
def test_it_is_python_3_10(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 10))


@NAMED
def test_it_says_its_licence(path: Path) -> None:
    assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")


def test_the_licence_is_there_in_full() -> None:
    text = (PLUGIN / "LICENSE").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 29 June 2007" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_same_zip_each_time(tmp_path: Path) -> None:
    one, two = build.archive(tmp_path / "a"), build.archive(tmp_path / "b")
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, two)}
    assert len(digests) == 1
    assert one.name == f"matte_nodes-{build.version()}.zip"


def test_what_is_in_the_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(build.archive(tmp_path)) as packed:
        names = set(packed.namelist())
        assert {name.split("/")[0] for name in names} == {build.ADDON}
        inside = {name.split("/", 1)[1] for name in names}
        assert packed.read(f"{build.ADDON}/{build.CLIENT}") == Path(client.__file__).read_bytes()
        everything = b"".join(packed.read(name) for name in names)
    ours = PLUGIN / build.ADDON
    committed = {p.relative_to(ours).as_posix() for p in ours.rglob("*.py")}
    assert inside >= {*committed, "LICENSE", manifest.FILE}
    assert not [name for name in inside if "__pycache__" in name or name == "install.json"]
    assert str(Path.home()).encode() not in everything, "a path of this machine"


def test_the_website_is_the_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package names none, the manifest has none: no address is made up."""
    for named, wanted in (("", None), ("https://matte.example/", "https://matte.example/")):
        monkeypatch.setattr(build, "website", lambda named=named: named)
        declared = tomllib.loads(build.files()[manifest.FILE].decode())
        assert declared.get("website") == wanted
        assert manifest.problems(declared) == []


def test_one_version_one_name() -> None:
    """The manifest, the legacy bl_info and the package agree, in what is built."""
    files = build.files()
    declared = tomllib.loads(files[manifest.FILE].decode())
    legacy = bl_info(files["__init__.py"].decode())
    assert declared["version"] == ".".join(map(str, legacy["version"])) == build.version()
    assert __version__.startswith(declared["version"])
    assert declared["name"] == legacy["name"]
    assert legacy["blender"] == (3, 4, 0), "a legacy add-on down to 3.4"


def bl_info(source: str) -> dict[str, object]:
    """As Blender reads it, without running the file."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "bl_info":
            found: dict[str, object] = ast.literal_eval(node.value)
            return found
    raise AssertionError("there is no bl_info")


def committed() -> dict[str, object]:
    return tomllib.loads((PLUGIN / build.ADDON / manifest.FILE).read_text("utf-8"))


def test_the_manifest_is_good() -> None:
    assert manifest.problems(committed()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"license": ["MIT"]}, "must name SPDX:GPL-3.0-or-later"),
        ({"license": ["GPL-3.0-or-later"]}, "GPL-3.0-or-later is none of ours"),
        ({"license": []}, "must name SPDX:GPL-3.0-or-later"),
        ({"blender_version_min": "4.1.0"}, "before 4.2.0"),
        ({"blender_version_min": "4.2"}, "three numbers"),
        ({"version": "1.0"}, "version must be three numbers"),
        ({"permissions": {"files": "Reads plates", "camera": "Sees you"}}, "camera"),
        ({"permissions": {"files": "Reads plates", "network": "Fetches."}}, "punctuation"),
        ({"permissions": {"files": "Reads plates."}}, "punctuation"),
        ({"permissions": {}}, "files is missing"),
        ({"tagline": "Mattes."}, "punctuation"),
        ({"tagline": "x" * 65}, "64 characters"),
        ({"id": "matte-nodes"}, "Python name"),
        ({"wheels": ["./torch.whl"]}, "wheels is not a key"),
        ({"type": "theme"}, "must be add-on"),
        ({"schema_version": "2.0.0"}, "1.0.0"),
    ],
)
def test_a_wrong_manifest_is_found(change: dict[str, object], said: str) -> None:
    """Most of these pass Blender's own check."""
    assert any(said in line for line in manifest.problems({**committed(), **change}))


@pytest.mark.parametrize("key", manifest.REQUIRED)
def test_a_missing_key_is_found(key: str) -> None:
    left = {name: value for name, value in committed().items() if name != key}
    assert f"{key} is missing" in manifest.problems(left)


@pytest.mark.skipif(rig.validator() is None, reason="no bpy with Blender's checker is here")
def test_blenders_own_checker_takes_the_zip(tmp_path: Path) -> None:
    zipped = build.archive(tmp_path)
    found = rig.validate(zipped)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.skipif(rig.validator() is None, reason="no bpy with Blender's checker is here")
def test_blenders_own_checker_refuses_a_broken_one(tmp_path: Path) -> None:
    folder = build.unpack(tmp_path / "broken")
    text = (folder / manifest.FILE).read_text("utf-8")
    (folder / manifest.FILE).write_text(text.replace("files =", "disk ="), "utf-8")
    assert rig.validate(folder).returncode != 0
