# SPDX-License-Identifier: Apache-2.0
"""The service as a process: handshake, token, modes, lock, idle end, stale sockets, TCP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from matte_nodes.service import client as protocol
from matte_nodes.service.client import ServiceError
from matte_nodes.service.place import own_place, placed
from tests.attacks.service.lines import Line, hello
from tests.made import plate_sequence
from tests.service.serving import environment, request, serving, wait_for


def raw(home: Path) -> socket.socket:
    """A connection on which nothing was said yet."""
    endpoint = protocol.read_endpoints(str(home))[0]
    line = protocol._connect(endpoint)
    line.settimeout(20)
    return line


def answer(line: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_wrong_proof_gets_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        for wrong in ("0" * 64, "", "ü" * 64, None, 7):
            with Line(service.home, greeted=False) as line:
                line.send(protocol.pack(hello("ab" * 16)))
                assert line.receive() is not None
                line.send(protocol.pack({"proof": wrong}))
                assert line.receive() is None
        for other in ({"nonce": None}, {"nonce": "\ud800"}, {"nonce": "a b"}, {"protocol": 99}):
            with raw(service.home) as line:
                line.sendall(protocol.pack({**hello("ab" * 16), **other}))
                assert answer(line) == b""
        with raw(service.home) as line:
            line.sendall(protocol.pack({"op": "status"}))
            assert answer(line) == b""
        assert service.client.hello() is not None


def test_the_token_never_goes_over_the_line(tmp_path: Path) -> None:
    """Whoever took over a dead service's port learns nothing, and is not believed."""
    with serving(tmp_path / "home", "--tcp") as service:
        endpoint = next((service.home / "service").glob("*/service-*.json"))
        facts = json.loads(endpoint.read_text())
        with socket.create_server(("127.0.0.1", 0)) as impostor:
            endpoint.write_text(json.dumps({**facts, "tcp": impostor.getsockname()[1]}))
            heard: list[bytes] = []

            def listen() -> None:
                line, _ = impostor.accept()
                with line:
                    heard.append(line.recv(65536))
                    line.sendall(protocol.pack({"nonce": "cd" * 16, "proof": "x"}))

            listener = threading.Thread(target=listen)
            listener.start()
            with pytest.raises(ServiceError, match="Another program answers"):
                protocol._Link(protocol.read_endpoints(str(service.home))[0])
            listener.join()
        assert facts["token"].encode() not in heard[0]
        endpoint.write_text(json.dumps(facts))


def test_handshake_mismatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path / "home") as service:
        monkeypatch.setattr(protocol, "PROTOCOL", 3)
        with pytest.raises(ServiceError, match="speaks protocol 2, this client speaks 3") as raised:
            service.client.status()
        assert raised.value.kind == "VersionError"
        assert "matte serve --stop" in str(raised.value)
        monkeypatch.undo()
        assert service.client.status()["pid"] == service.process.pid


def kind(path: Path) -> str:
    """What a file of the service is: its name without the version of the code."""
    return "socket" if path.is_socket() else path.name.split("-")[0]


def test_modes_of_folder_socket_and_token(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with serving(tmp_path / "home") as service:
            (folder,) = (service.home / "service").iterdir()
            modes = {kind(path): path.lstat().st_mode for path in folder.iterdir()}
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE(modes["service"]) == 0o600
            assert stat.S_ISSOCK(modes["socket"])
            assert stat.S_IMODE(modes["socket"]) == 0o600
            assert stat.S_IMODE(modes["lock"]) & 0o077 == 0
        assert {kind(path) for path in folder.iterdir()} <= {"lock", "frames"}
    finally:
        os.umask(before)


def test_an_endpoint_that_others_can_read_is_not_trusted(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        endpoint = next((service.home / "service").glob("*/service-*.json"))
        endpoint.chmod(0o644)
        assert service.client.hello() is None
        endpoint.chmod(0o600)
        assert service.client.hello() is not None


def test_two_services_never_run_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        second = subprocess.run(
            [sys.executable, "-m", "matte_nodes", "serve"], env=environment(service.home),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == protocol.ALREADY_RUNNING
        assert "runs already" in second.stderr
        assert "Traceback" not in second.stderr
        assert service.client.status()["pid"] == service.process.pid


def test_stale_socket_of_a_dead_service_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        service.process.kill()
        service.process.wait()
        (folder,) = (service.home / "service").iterdir()
        assert {"socket", "service"} <= {kind(path) for path in folder.iterdir()}
        assert service.client.hello() is None
        with serving(tmp_path / "home") as following:
            assert following.client.status()["pid"] == following.process.pid


def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        (folder,) = (service.home / "service").iterdir()
        (bound,) = (path for path in folder.iterdir() if path.is_socket())
    bound.write_text("not a socket")
    with serving(tmp_path / "home") as service:  # it takes the short place
        assert service.client.status()["pid"] == service.process.pid
    assert bound.read_text() == "not a socket"


def test_idle_end(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    with serving(tmp_path / "home", "--idle", "0.6") as service:
        began = time.monotonic()
        asked = request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.5})
        job = service.client.submit(asked)
        # Longer than the limit, with nobody connected: work is not idleness.
        wait_for(lambda: (tmp_path / "m.1003.exr").exists())
        assert time.monotonic() - began > 1.2
        assert list(service.client.events(job))[-1]["event"] == "done"
        assert service.process.wait(timeout=20) == 0
        (folder,) = (service.home / "service").iterdir()
        assert not [path for path in folder.iterdir() if path.is_socket()]
        assert service.client.hello() is None


def test_tcp(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    with serving(tmp_path / "home", "--tcp") as service:
        endpoint = protocol.read_endpoints(str(service.home))[0]
        assert endpoint["unix"] is None
        job = service.client.submit(request(plate, tmp_path / "m.####.exr"))
        assert list(service.client.events(job))[-1]["event"] == "done"
        with raw(service.home) as line:
            assert line.getpeername()[0] == "127.0.0.1"
        assert listening(service.process.pid) == {"0100007F"}  # 127.0.0.1 and no other address


def listening(pid: int) -> set[str]:
    """The addresses, as the kernel writes them, on which a process waits for TCP connections."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].split(":")[0])
    return found


def test_unix_listens_on_no_address(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        assert listening(service.process.pid) == set()


def test_a_home_with_a_long_path(tmp_path: Path) -> None:
    """Paths of Unix sockets end at 108 bytes; homes of users do not."""
    home = tmp_path / ("long" * 30) / ("path" * 30)
    with serving(home) as service:
        endpoint = protocol.read_endpoints(str(home))[0]
        path = Path(endpoint["unix"])
        assert len(os.fsencode(path)) < 100
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert service.client.status()["pid"] == service.process.pid
    assert not path.exists()


def test_a_home_that_is_somebody_elses(tmp_path: Path) -> None:
    """A studio's shared home: each user has a service of their own, elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "service").write_text("in the way")
    with serving(home) as service:
        assert service.client.status()["pid"] == service.process.pid
        assert protocol.make_folder(str(home)).startswith("/tmp/matte-nodes-")


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "aside").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "aside")
    assert not protocol.private_folder(str(tmp_path / "open"))
    assert not protocol.private_folder(str(tmp_path / "link"))
    assert protocol.private_folder(str(tmp_path / "own"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(tmp_path: Path, how: int) -> None:
    with serving(tmp_path / "home") as service:
        service.process.send_signal(how)
        assert service.process.wait(timeout=20) == 0
        (folder,) = (service.home / "service").iterdir()
        assert not (folder / "service.json").exists()


def test_stop_and_status_verbs(tmp_path: Path) -> None:
    def verb(flag: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "matte_nodes", "serve", flag], env=environment(tmp_path / "home"),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    with serving(tmp_path / "home") as service:
        assert json.loads(verb("--status").stdout)["pid"] == service.process.pid
        assert verb("--stop").returncode == 0
        assert service.process.wait(timeout=20) == 0
    for flag in ("--status", "--stop"):
        assert verb(flag).returncode == 1
        assert "No matte service is running" in verb(flag).stderr


def test_a_flood_of_connections_does_not_hold_it(tmp_path: Path) -> None:
    """Silent connections are dropped after their time; those beyond the limit at once."""
    with serving(tmp_path / "home") as service:
        lines = [raw(service.home) for _ in range(100)]
        wait_for(lambda: service.client.hello() is not None, 20)
        for line in lines:
            line.close()
        assert service.client.status()["pid"] == service.process.pid


@pytest.mark.parametrize("greeted", [False, True])
def test_a_message_too_long_is_refused_before_it_comes(tmp_path: Path, greeted: bool) -> None:
    with serving(tmp_path / "home") as service, Line(service.home, greeted=greeted) as line:
        began = time.monotonic()
        line.send(struct.pack(">I", 0xFFFFFFFF))
        assert line.receive() is None
        assert time.monotonic() - began < 4


def test_half_a_message_is_dropped_after_its_time(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service, raw(service.home) as line:
        line.sendall(struct.pack(">I", 100) + b"{")
        began = time.monotonic()
        assert answer(line) == b""
        assert time.monotonic() - began < 15


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a place of their own")
def test_one_job_in_its_place_where_threads_have_none(tmp_path: Path) -> None:
    """Without unshare(2) jobs take turns; with it they do not see each other."""
    for own in (False, True):
        seen: list[tuple[str, int]] = []
        together: list[bool] = []
        inside = threading.Barrier(2, timeout=1)

        def work(
            name: str, mask: int, own: bool = own, inside: Any = inside,
            seen: Any = seen, together: Any = together,
        ) -> None:  # fmt: skip
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            mine = own_place() if own else False
            with placed(str(folder), mask, own=mine):
                with suppress(threading.BrokenBarrierError):
                    inside.wait()
                    together.append(mine)
                Path("file").write_text(name)
                seen.append((name, Path("file").stat().st_mode & 0o777))

        before, mask = os.getcwd(), protocol.current_umask()
        workers = [threading.Thread(target=work, args=a) for a in (("a", 0o077), ("b", 0o022))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        os.chdir(before)
        assert together == ([True, True] if own else [])
        assert sorted(seen) == [("a", 0o600), ("b", 0o644)]
        assert protocol.current_umask() == mask
        for name in ("a", "b"):
            assert (tmp_path / name / "file").read_text() == name
            (tmp_path / name / "file").unlink()
