# SPDX-License-Identifier: Apache-2.0
"""How clients start the service: once, cleanly, from an absolute path, anew when it is outdated."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from matte_nodes.service import client as protocol
from matte_nodes.service.client import Client, ServiceError
from tests.service.serving import own_python, wait_for


def test_ten_clients_start_one_service(tmp_path: Path) -> None:
    with own_python(tmp_path / "home") as python:
        pids: list[int] = []

        def start() -> None:
            pids.append(Client(python, str(tmp_path / "home")).ensure()["pid"])

        starters = [threading.Thread(target=start) for _ in range(10)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        assert len(pids) == 10
        assert len(set(pids)) == 1


def test_an_outdated_service_is_replaced(tmp_path: Path) -> None:
    """Code that was edited since the service began: the next host gets the new code."""
    package = tmp_path / "site"
    package.mkdir()
    source = Path(__file__).parent / "models"
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = package / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    with own_python(tmp_path / "home", package) as python:
        client = Client(python, str(tmp_path / "home"))
        first = client.ensure()["pid"]
        time.sleep(3.1)  # it looks every three seconds
        assert client.ensure()["pid"] == first
        (package / "slow_matte.py").write_text((package / "slow_matte.py").read_text() + "\n")
        time.sleep(3.1)
        assert client.ensure()["pid"] != first


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no module named matte_nodes' >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ServiceError, match="no module named matte_nodes"):
        Client(str(broken), str(tmp_path / "home")).ensure()


@pytest.mark.parametrize("python", ["python3", "./python", "/nowhere/python"])
def test_only_an_absolute_interpreter_is_started(python: str) -> None:
    with pytest.raises(ServiceError, match="absolute path"):
        Client(python)


def test_the_started_service_is_clean_of_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of a host's Python and libraries, and its working folder, never reach it."""
    trap = tmp_path / "host"
    trap.mkdir()
    (trap / "json.py").write_text("raise RuntimeError('the host')")
    monkeypatch.chdir(trap)
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OCIO"):
        monkeypatch.setenv(name, str(trap))
    # Nor do modules that lie in the folder in which it runs.
    own = Path(protocol.make_folder(str(tmp_path / "home")))
    (own / "json.py").write_text("raise RuntimeError('planted')")
    client = Client(sys.executable, str(tmp_path / "home"))
    pid = client.ensure()["pid"]
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        names = {variable.split("=")[0] for variable in variables}
        assert not {n for n in names if n.startswith(("PYTHON", "LD_", "DYLD_"))}
        assert "OCIO" not in names
        assert f"MATTE_HOME={tmp_path / 'home'}" in variables
        assert os.getsid(pid) == pid != os.getsid(0)
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert Path(os.readlink(f"/proc/{pid}/fd/2")).name == protocol.LOG
        assert Path(f"/proc/{pid}/cwd").resolve() != trap
    finally:
        client.shutdown()
        wait_for(lambda: client.hello() is None)


def test_a_client_that_is_closed_leaves_no_service_that_starts(tmp_path: Path) -> None:
    """A page that ends while its service starts: nobody would ask that service for anything."""
    with own_python(tmp_path / "home") as python:
        client, said = Client(python, str(tmp_path / "home")), list[str]()

        def start() -> None:
            try:
                client.ensure()
            except ServiceError as error:
                said.append(str(error))

        starter = threading.Thread(target=start)
        starter.start()
        wait_for(lambda: client._starting is not None)
        assert client._starting is not None
        client.close()
        starter.join(60)
        assert client._starting.poll() is not None
        assert said == ["This client was closed while the matte service started."]
        assert Client(None, str(tmp_path / "home")).hello() is None
