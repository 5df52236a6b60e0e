# SPDX-License-Identifier: Apache-2.0
"""The packages of OBS's plug-in: what is in them, where they put it, and that they are well formed.

Those for Windows, macOS and Flatpak are never run here.
"""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from matte_nodes.hosts.obs import install as obs

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugins/obs"
PACKAGING = PLUGIN / "packaging"
MANIFEST = PACKAGING / f"{obs.FLATPAK_EXTENSION}.yaml"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("obs-*.yml"))
LICENCE = "GNU GENERAL PUBLIC LICENSE"
DATA = {
    path.relative_to(PLUGIN / "data").as_posix(): path.read_bytes()
    for path in (PLUGIN / "data").rglob("*") if path.is_file()
}  # fmt: skip


def run(*command: str | Path, **more: Any) -> str:
    """What a command says; fails with what it said when it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def read(name: str) -> Any:
    """A YAML file's content, or a visible skip."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(Path(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb here")
    folder = tmp_path_factory.mktemp("packages")
    (folder / "built.so").write_bytes(b"the built plug-in")
    run(PACKAGING / "linux.sh", folder / "built.so", folder / "out", "1.2.3")
    return folder / "out"


def test_the_deb_has_the_plug_in_its_licence_and_says_what_to_run(
    packages: Path, tmp_path: Path
) -> None:
    (deb,) = packages.glob("*.deb")
    run("dpkg-deb", "-x", deb, tmp_path)
    library = tmp_path / "usr/lib/matte-nodes-obs/matte-nodes.so"
    assert library.read_bytes() == b"the built plug-in"
    document = tmp_path / "usr/share/doc/matte-nodes-obs"
    assert (
        f"matte install obs --binary /{library.relative_to(tmp_path)}"
        in (document / "README").read_text()
    )
    assert LICENCE in (document / "copyright").read_text()
    assert run("dpkg-deb", "-f", deb, "Version").strip() == "1.2.3"


def test_the_install_script_puts_it_where_obs_looks(packages: Path, tmp_path: Path) -> None:
    (tarball,) = packages.glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        archive.extractall(tmp_path, filter="data")
    assert LICENCE in (tmp_path / "matte-nodes-obs-1.2.3/LICENSE").read_text()
    script = tmp_path / "matte-nodes-obs-1.2.3/install.sh"
    empty = {**os.environ, "PATH": "/usr/bin:/bin", "MATTE": "no-such-matte"}
    refused = subprocess.run([str(script)], env=empty, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "pip install matte-nodes" in refused.stderr
    if obs.sandboxed():
        pytest.skip(f"the OBS here {obs.sandboxed()}")
    matte = tmp_path / "matte"
    matte.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m matte_nodes "$@"\n')
    matte.chmod(0o755)
    run(script, "--folder", tmp_path / "plugins", env={**os.environ, "MATTE": str(matte)})
    binary, data = obs._places(tmp_path / "plugins/matte-nodes")
    assert binary.read_bytes() == b"the built plug-in"
    assert (data / "install.json").is_file()


def test_the_bundle_for_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "built").write_bytes(b"the built plug-in")
    run(PACKAGING / "macos.sh", tmp_path / "built", tmp_path / "out", "1.2.3")
    (tarball,) = (tmp_path / "out").glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.setattr(sys, "platform", "darwin")
    bundle = tmp_path / "matte-nodes-obs-1.2.3" / obs.folder().name
    binary, data = obs._places(bundle)
    assert binary.read_bytes() == b"the built plug-in"
    assert {name: (data / name).read_bytes() for name in DATA} == DATA
    assert LICENCE in (data / "LICENSE.txt").read_text()
    told = plistlib.loads((bundle / "Contents/Info.plist").read_bytes())
    assert told["CFBundleExecutable"] == binary.name
    assert told["CFBundleVersion"] == "1.2.3"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages for Windows."""
    absent = [name for name in ("x86_64-w64-mingw32-gcc", "cmake", "zip") if not shutil.which(name)]
    if absent or not Path("/usr/include/obs").is_dir():
        pytest.skip(f"not here: {', '.join(absent) or 'headers of OBS'} (scripts/hosts.sh soak)")
    folder = tmp_path_factory.mktemp("windows")
    run(PACKAGING / "windows.sh", folder, "1.2.3")
    return folder


@pytest.fixture
def unzipped(windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Binary and data, as they lie in the folder that OBS looks into."""
    with zipfile.ZipFile(windows / "matte-nodes-obs-1.2.3-windows-x64.zip") as archive:
        archive.extractall(tmp_path)
    monkeypatch.setattr(sys, "platform", "win32")
    places = obs._places(tmp_path / obs.folder().name)
    monkeypatch.undo()
    return places


def test_the_zip_for_windows_has_all_that_obs_needs_and_its_licence(
    unzipped: tuple[Path, Path],
) -> None:
    binary, data = unzipped
    assert binary.read_bytes()[:2] == b"MZ"
    assert {name: (data / name).read_bytes() for name in DATA} == DATA
    assert LICENCE in (data.parent / "LICENSE.txt").read_text()
    readme = (data.parent / "README.txt").read_text()
    place = r"C:\ProgramData\obs-studio\plugins"
    assert rf"matte install obs --binary {place}\matte-nodes\bin\64bit\matte-nodes.dll" in readme
    assert "never run on Windows" in readme


def test_the_dll_exports_what_obs_asks_for_and_imports_nothing_strange(
    windows: Path, unzipped: tuple[Path, Path]
) -> None:
    said = run("x86_64-w64-mingw32-objdump", "-p", unzipped[0])
    exported = set(re.findall(r"^\s+\[ *\d+\] (?:\+base\[ *\d+\] )?(?:[0-9a-f]+ )?([a-z]\w+)$", said, re.M))  # fmt: skip
    asked = {"load", "unload", "set_pointer", "ver", "set_locale", "free_locale", "description"}
    assert {f"obs_module_{name}" for name in asked} <= exported
    libraries = set(re.findall(r"DLL Name: (\S+)", said))
    assert libraries == {"obs.dll", "KERNEL32.dll", "msvcrt.dll"}
    names = (windows / "obs.def").read_text().split()[3:]
    assert len(names) > 100
    # Each is a name of libobs, not one that the linker merely did not find.
    library = next(Path("/usr/lib").glob("*/libobs.so"), None)
    if library is None:
        pytest.skip("no libobs here to compare with")
    known = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}  # fmt: skip
    assert set(names) <= known


def test_the_installer_for_windows_is_made(windows: Path) -> None:
    if not shutil.which("makensis"):
        pytest.skip("no makensis here (scripts/hosts.sh soak)")
    installer = windows / "matte-nodes-obs-1.2.3-windows-x64.exe"
    assert installer.read_bytes()[:2] == b"MZ"
    script = (PACKAGING / "windows.nsi").read_text()
    # The folder of all users, as `matte install obs` has it; nothing beside it is taken out.
    assert r'StrCpy $INSTDIR "$APPDATA\obs-studio\plugins\matte-nodes"' in script
    assert "SetShellVarContext all" in script
    assert not re.search(r'RMDir /r "\$INSTDIR"', script)


def test_the_flatpak_manifest_is_an_extension_of_obs() -> None:
    manifest = read(str(MANIFEST))
    assert manifest["id"] == MANIFEST.stem == obs.FLATPAK_EXTENSION
    assert manifest["runtime"] == obs.FLATPAK
    assert manifest["build-extension"] is True
    # An extension point of OBS is a folder of this name.
    assert manifest["build-options"]["prefix"] == "/app/plugins/" + manifest["id"].rsplit(".", 1)[1]
    (module,) = manifest["modules"]
    (source,) = module["sources"]
    assert (PACKAGING / source["path"] / "CMakeLists.txt").is_file()
    metainfo = (MANIFEST.with_suffix(".metainfo.xml")).read_text()
    assert f"<id>{manifest['id']}</id>" in metainfo
    assert "<project_license>GPL-2.0-or-later</project_license>" in metainfo
    assert any("metainfo.xml" in line for line in module["post-install"])
    assert obs.OUTSIDE in MANIFEST.read_text()


def test_flatpak_builder_reads_the_manifest(tmp_path: Path) -> None:
    if not shutil.which("flatpak-builder"):
        pytest.skip("no flatpak-builder here (scripts/hosts.sh soak)")
    said = run("flatpak-builder", "--show-manifest", MANIFEST, cwd=tmp_path)
    assert f'"id" : "{obs.FLATPAK_EXTENSION}"' in said
    assert '"build-extension" : true' in said


def test_what_cmake_installs_is_what_an_extension_needs(tmp_path: Path) -> None:
    if not shutil.which("cmake") or not Path("/usr/include/obs").is_dir():
        pytest.skip("no cmake or no headers of OBS here")
    run("cmake", "-S", PLUGIN, "-B", tmp_path / "b", f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'i'}")
    run("cmake", "--build", tmp_path / "b")
    run("cmake", "--install", tmp_path / "b")
    library = tmp_path / "i/lib/obs-plugins/matte-nodes.so"
    data = tmp_path / "i/share/obs/obs-plugins/matte-nodes"
    assert {name: (data / name).read_bytes() for name in DATA} == DATA
    assert LICENCE in (tmp_path / "i/share/licenses/matte-nodes/LICENSE").read_text()
    # One binary for OBS 29 and all later ones: it names no release of libobs.
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", library))
    assert needed
    assert not [name for name in needed if "obs" in name]


SPAWN = """#!/bin/sh
# flatpak-spawn as far as the plug-in needs it: what it was told, then the program.
echo "$@" > "{said}"
while case "$1" in -*) ;; *) false ;; esac; do shift; done
exec "$@"
"""
PYTHON = """#!/bin/sh
[ -z "$PYTHONPATH$LD_LIBRARY_PATH" ] && [ "$MATTE_HOME" = "/a home" ] || exit 1
printf 'outside, %s' "$*" | dd of=/proc/self/fd/3 conv=notrunc 2> /dev/null
cat > /dev/null
echo ended >> "{said}"
"""


@pytest.mark.parametrize("sandbox", [True, False])
def test_in_a_flatpak_the_host_starts_the_daemon_and_is_handed_the_memory(
    tmp_path: Path, sandbox: bool
) -> None:
    if not shutil.which("gcc") or sys.platform != "linux":
        pytest.skip("no gcc here")
    said, mark = tmp_path / "said", tmp_path / ".flatpak-info"
    for name, text in (("flatpak-spawn", SPAWN), ("python", PYTHON)):
        (tmp_path / name).write_text(text.format(said=said))
        (tmp_path / name).chmod(0o755)
    if sandbox:
        mark.touch()
    run(
        "gcc", "-std=gnu11", f'-DMX_FLATPAK="{mark}"',
        f'-DMX_FLATPAK_SPAWN="{tmp_path / "flatpak-spawn"}"', "-I", PLUGIN / "src",
        Path(__file__).with_name("flatpak_child.c"), PLUGIN / "src/platform_posix.c", "-lpthread",
        "-o", tmp_path / "child",
    )  # fmt: skip
    hostile = {**os.environ, "PYTHONPATH": "/hostile", "LD_LIBRARY_PATH": ""}
    out = run(tmp_path / "child", tmp_path / "python", env=hostile)
    assert out.strip() == "outside, -P -m matte_nodes.hosts.obs --memory 3"
    assert "ended" in said.read_text()  # closing its input reaches it through flatpak-spawn
    spawned = "--host --watch-bus --forward-fd=3" in said.read_text()
    assert spawned == sandbox


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_well_formed_starts_by_hand_and_says_that_it_never_ran(
    workflow: Path,
) -> None:
    found = read(str(workflow))
    assert list(found[True]) == ["workflow_dispatch"]  # YAML reads `on` as true
    assert "NEVER RUN" in workflow.read_text()
    names = set(found["jobs"])
    for job in found["jobs"].values():
        assert job["runs-on"]
        assert {job["needs"]} <= names if "needs" in job else True
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            for script in re.findall(r"plugins/obs/\S+\.sh", step.get("run", "")):
                assert os.access(ROOT / script, os.X_OK)
            if "run" in step and step.get("shell") != "pwsh":
                run("bash", "-n", "-c", step["run"])


def test_there_are_workflows_for_windows_and_macos() -> None:
    assert [path.stem for path in WORKFLOWS] == ["obs-macos", "obs-windows"]
