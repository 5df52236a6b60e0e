# SPDX-License-Identifier: Apache-2.0
"""The packages of OBS's plug-in: what is in them, and that the install script installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from matte_nodes.hosts.obs import install as obs

PLUGIN = Path(obs.__file__).parents[3] / "plugins/obs"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb here")
    folder = tmp_path_factory.mktemp("packages")
    (folder / "built.so").write_bytes(b"the built plug-in")
    subprocess.run(
        [str(PLUGIN / "package.sh"), str(folder / "built.so"), str(folder / "out"), "1.2.3"],
        check=True,
    )
    return folder / "out"


def test_the_deb_has_the_plug_in_and_says_what_to_run(packages: Path, tmp_path: Path) -> None:
    (deb,) = packages.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    library = tmp_path / "usr/lib/matte-nodes-obs/matte-nodes.so"
    assert library.read_bytes() == b"the built plug-in"
    readme = (tmp_path / "usr/share/doc/matte-nodes-obs/README").read_text()
    assert f"matte install obs --binary /{library.relative_to(tmp_path)}" in readme
    field = subprocess.run(
        ["dpkg-deb", "-f", str(deb), "Version"], capture_output=True, text=True, check=True
    )
    assert field.stdout.strip() == "1.2.3"


def test_the_install_script_puts_it_where_obs_looks(packages: Path, tmp_path: Path) -> None:
    (tarball,) = packages.glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        archive.extractall(tmp_path, filter="data")
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
    run = subprocess.run(
        [str(script), "--folder", str(tmp_path / "plugins")],
        env={**os.environ, "MATTE": str(matte)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    binary, data = obs._places(tmp_path / "plugins/matte-nodes")
    assert binary.read_bytes() == b"the built plug-in"
    assert (data / "install.json").is_file()
