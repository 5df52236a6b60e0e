# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the service in mid-job, at random moments: the client ends with the right frames."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from matte_nodes.service.client import Client, ServiceError
from tests.cli.test_run import matte, whole
from tests.made import plate_sequence
from tests.service.serving import environment, own_python, request, same_frames

FRAMES = 24


def kill_at_random(client: Client, rng: random.Random, longest: float) -> int:
    """Some moment from now, whatever it is doing: starting, loading, stepping, writing."""
    time.sleep(rng.random() * longest)
    hello = client.hello()
    if hello is None:
        return 0
    os.kill(hello["pid"], signal.SIGKILL)
    return 1


def survives(tmp_path: Path, rounds: int, seed: int, model: str = "toy") -> None:
    """One job, killed `rounds` times under way; then compared with a run without a service."""
    rng = random.Random(seed)
    plate = plate_sequence(tmp_path / "in", FRAMES, size=(180, 320))
    out, here = tmp_path / "out" / "m.####.exr", tmp_path / "here" / "m.####.exr"
    with own_python(tmp_path / "home") as python:
        client = Client(python, str(tmp_path / "home"), retries=rounds + 1)
        client.ensure()
        job = client.submit(request(plate, out, model))
        kills = 0

        def killer() -> None:
            nonlocal kills
            other = Client(home=str(tmp_path / "home"))
            while kills < rounds and not finished.is_set():
                kills += kill_at_random(other, rng, 0.45)

        finished = threading.Event()
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            events = list(client.events(job))
        finally:
            finished.set()
            thread.join()
    assert events[-1]["event"] == "done"
    assert kills
    result = matte("run", plate, "-o", here, "--model", model, env=environment(tmp_path / "home"))
    assert result.returncode == 0, result.stderr
    assert same_frames(tmp_path / "out", tmp_path / "here") == FRAMES
    assert len(whole(tmp_path / "out")) == FRAMES
    # A frame that was told to be done was not done again.
    told = [event["frame"] for event in events if event["event"] == "frame"]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("seed", range(5))
def test_killed_in_mid_job(tmp_path: Path, seed: int) -> None:
    survives(tmp_path, 3, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_killed_in_mid_job_often(tmp_path: Path, seed: int) -> None:
    survives(tmp_path, 8, seed)


def test_killed_while_two_clients_wait(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 8)
    with own_python(tmp_path / "home") as python:
        clients = [Client(python, str(tmp_path / "home")) for _ in range(2)]
        clients[0].ensure()
        asked = [
            request(plate, tmp_path / name / "m.####.exr", knobs={"seconds": 0.05}) for name in "ab"
        ]
        jobs = [client.submit(one) for client, one in zip(clients, asked, strict=True)]
        ends: list[str] = []

        def follow(client: Client, job: str) -> None:
            for event in client.events(job):
                ended = event["event"]
            ends.append(ended)

        threads = [threading.Thread(target=follow, args=a) for a in zip(clients, jobs, strict=True)]
        for thread in threads:
            thread.start()
        time.sleep(0.4)
        hello = Client(home=str(tmp_path / "home")).hello()
        assert hello is not None
        os.kill(hello["pid"], signal.SIGKILL)
        for thread in threads:
            thread.join()
        assert ends == ["done", "done"]
    assert same_frames(tmp_path / "a", tmp_path / "b") == 8


def test_killed_under_a_single_frame(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    with own_python(tmp_path / "home") as python:
        client = Client(python, str(tmp_path / "home"))
        pid = client.ensure()["pid"]
        timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
        timer.start()
        path = client.frame(request(plate, None, knobs={"seconds": 1.5}), 1002)
        assert Path(path).is_file()
        assert client.ensure()["pid"] != pid


def test_a_model_that_takes_the_service_down_is_given_up(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    with own_python(tmp_path / "home") as python:
        client = Client(python, str(tmp_path / "home"), retries=2)
        job = client.submit(request(plate, tmp_path / "m.####.exr", knobs={"crash": True}))
        with pytest.raises(ServiceError, match="died 3 times at this job"):
            list(client.events(job))
        # Other jobs go on.
        assert client.frame(request(plate, None), 1001)


def test_a_job_of_somebody_else_is_not_submitted_again(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 9)
    with own_python(tmp_path / "home") as python:
        client = Client(python, str(tmp_path / "home"))
        job = client.submit(request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.2}))
        watching = Client(home=str(tmp_path / "home")).events(job)
        next(watching)
        os.kill(client.ensure()["pid"], signal.SIGKILL)
        with pytest.raises(ServiceError):
            list(watching)
