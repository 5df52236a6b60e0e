# SPDX-License-Identifier: Apache-2.0
"""Connections that lie or sit: recorded greetings, silent peers, one greedy peer, a hung disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matte_nodes.service import client as protocol
from matte_nodes.service.server import MOST_OF_ONE_PROCESS
from tests.attacks.service.lines import Line, hello
from tests.service.serving import request, serving, wait_for


def test_a_recorded_greeting_is_worth_nothing(tmp_path: Path) -> None:
    """The service asks for a proof of its own number, so the same bytes never serve twice."""
    with serving(tmp_path / "home") as service:
        token = protocol.read_endpoints(str(service.home))[0]["token"]
        first, nonces, proof = hello("ab" * 16), [], ""
        for attempt in range(2):
            with Line(service.home, greeted=False) as line:
                line.send(protocol.pack(first))
                challenge = line.receive()
                assert challenge is not None
                nonces.append(challenge["nonce"])
                proof = proof or protocol.proof(token, "client", f"{first['nonce']} {nonces[0]}")
                line.send(protocol.pack({"proof": proof}))
                assert (line.receive() is not None) == (attempt == 0)
        assert nonces[0] != nonces[1]


def test_seventy_silent_connections_lock_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        silent = [Line(service.home, greeted=False) for _ in range(70)]
        try:
            for _ in range(3):
                assert service.client.status()["pid"] == service.process.pid
        finally:
            for line in silent:
                line.close()


def test_silent_connections_that_come_again_lock_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        silent = [Line(service.home, greeted=False) for _ in range(24)]
        for _ in range(10):
            for place, line in enumerate(silent):
                line.close()
                silent[place] = Line(service.home, greeted=False)
            assert service.client.status()["pid"] == service.process.pid
        for line in silent:
            line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the other end's process is known on Linux")
def test_one_process_leaves_room_for_others(tmp_path: Path) -> None:
    """Its connections are bounded, with an error that says so; another process is served."""
    with serving(tmp_path / "home") as service:
        endpoint = protocol.read_endpoints(str(service.home))[0]
        lines = [protocol._Link(endpoint) for _ in range(MOST_OF_ONE_PROCESS)]
        with pytest.raises(protocol.ServiceError, match="too many open connections"):
            protocol._Link(endpoint)
        other = (
            "import sys; from matte_nodes.service.client import Client;"
            "print(Client(home=sys.argv[1]).status()['pid'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", other, str(service.home)], capture_output=True, text=True,
            timeout=60, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert done.stdout.strip() == str(service.process.pid), done.stderr
        for line in lines:
            line.close()


def test_a_file_that_never_answers_does_not_freeze_the_service(tmp_path: Path) -> None:
    """A pipe stands for a file on a hung mount: opening it blocks for ever.

    It is swapped in after the checks of the request, where a mount would hang.
    """
    from tests.made import plate_sequence

    plate = plate_sequence(tmp_path / "in", 12)
    with serving(tmp_path / "home") as service:
        slow = request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.3})
        service.client.submit(slow)
        wait_for(lambda: service.client.jobs()[0]["done"] >= 1)
        hung = tmp_path / "in/plate.1012.exr"
        hung.unlink()
        os.mkfifo(hung)
        wait_for(lambda: service.client.jobs()[0]["done"] >= 8)
        time.sleep(2.0)  # the last frame is being opened now, and stays so
        for _ in range(5):
            assert service.client.status()["jobs"] == {"running": 1}


def test_a_picture_that_never_answers_holds_its_thread_alone(tmp_path: Path) -> None:
    """The decoder holds the interpreter while it opens a file: ours asks the file first."""
    pipe = tmp_path / "plate.1001.exr"
    os.mkfifo(pipe)
    code = (
        "import os, sys, threading, time; from pathlib import Path\n"
        "from matte_nodes.media.still import read_image\n"
        "threading.Thread(target=read_image, args=(Path(sys.argv[1]),), daemon=True).start()\n"
        "time.sleep(0.5); print('alive', flush=True); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(pipe)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.stdout.strip() == "alive", done.stderr


def test_an_older_service_does_not_serve_a_newer_plug_in(tmp_path: Path) -> None:
    """The code changed under a busy service: the plug-in gets a service of the new code beside it."""
    from tests.made import plate_sequence
    from tests.service.serving import MODELS, own_python

    package = tmp_path / "site"
    package.mkdir()
    for path in MODELS.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = package / path.relative_to(MODELS)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    plate = plate_sequence(tmp_path / "in", 40)
    with own_python(tmp_path / "home", package) as python:
        client = protocol.Client(python, str(tmp_path / "home"))
        old = client.ensure()["pid"]
        job = client.submit(request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.5}))
        (package / "slow_matte.py").write_text((package / "slow_matte.py").read_text() + "\n")
        wait_for(lambda: client.ensure()["pid"] != old)
        assert client.cancel(job)
        assert list(client.events(job))[-1]["event"] == "cancelled"
        client.shutdown()
