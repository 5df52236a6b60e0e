# SPDX-License-Identifier: Apache-2.0
"""`matte run` with a running service: it says so, and all else is as without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matte_nodes import weights
from tests.cli.test_run import matte, whole
from tests.conftest import needs_weights
from tests.made import plate_sequence
from tests.service.serving import (
    Serving,
    environment,
    request,
    same_frames,
    serving,
    wait_for,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def run(
    service: Serving, *arguments: object, cwd: Path, here: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """`matte run` as a user with this home calls it."""
    flags = ["--no-service"] if here else []
    return matte("run", *arguments, *flags, env=environment(service.home, **variables), cwd=cwd)


def both(service: Serving, tmp_path: Path, *arguments: object) -> list[dict[str, object]]:
    """Run in two folders of the same content, with and without the service; the same events."""
    results = {}
    for name in ("service", "here"):
        results[name] = run(service, *arguments, "--json", cwd=tmp_path / name, here=name == "here")
    one, two = results["service"], results["here"]
    assert one.returncode == two.returncode, one.stderr + two.stderr
    assert "does this" in one.stderr
    assert "the service" not in two.stderr
    said = [line for line in one.stderr.splitlines() if "the service (process" not in line]
    assert (
        said == two.stderr.replace(str(tmp_path / "here"), str(tmp_path / "service")).splitlines()
    )
    two.stdout = two.stdout.replace(str(tmp_path / "here"), str(tmp_path / "service"))
    events = [json.loads(line) for line in one.stdout.splitlines()]
    expected = [json.loads(line) for line in two.stdout.splitlines()]
    for event in (*events, *expected):
        event.pop("frames_per_second", None)
        event.pop("seconds_left", None)
    assert events == expected
    return events


def folders(tmp_path: Path, frames: int = 3) -> None:
    for name in ("service", "here"):
        plate_sequence(tmp_path / name / "in", frames)


def test_same_frames_and_same_words(service: Serving, tmp_path: Path) -> None:
    folders(tmp_path)
    command = ["in/plate.####.exr", "-o", "out/m.####.exr", "--model", "toy", "--hold", 0.2]
    events = both(service, tmp_path, *command)
    told = [event["event"] for event in events]
    assert told == ["start", "frame", "frame", "frame", "warning", "done"]  # the toy is all soft
    assert same_frames(tmp_path / "service" / "out", tmp_path / "here" / "out") == 3
    assert whole(tmp_path / "service" / "out") == whole(tmp_path / "here" / "out")
    # A second run, the other way: what one did the other finds done.
    for name in ("service", "here"):
        again = run(service, *command, "--json", cwd=tmp_path / name, here=name == "service")
        assert json.loads(again.stdout.splitlines()[0])["total"] == 0


@needs_weights("rvm")
def test_the_real_model(service: Serving, tmp_path: Path) -> None:
    if not (service.home / "weights").exists():
        (service.home / "weights").symlink_to(weights.weights_folder())
    folders(tmp_path, 4)
    command = ["in/plate.####.exr", "-o", "out/m.####.exr", "--model", "rvm"]
    assert both(service, tmp_path, *command, "--frames", "1003-1004")[-1]["frames"] == 2
    assert both(service, tmp_path, *command)[-1]["frames"] == 2
    assert same_frames(tmp_path / "service" / "out", tmp_path / "here" / "out") == 4


def test_movie(service: Serving, tmp_path: Path) -> None:
    folders(tmp_path)
    both(service, tmp_path, "in/plate.####.exr", "-o", "m.mkv", "--model", "green-screen")
    one, two = (tmp_path / name / "m.mkv" for name in ("service", "here"))
    assert one.stat().st_size == two.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["in/plate.####.exr", "-o", "m.####.exr", "--model", "toy", "--frames", "7"], 2),
        (["nowhere.####.exr", "-o", "m.####.exr", "--model", "toy"], 3),
        (["in/plate.####.exr", "-o", "m.####.exr", "--model", "toy", "--device", "cuda:77"], 5),
        (["in/plate.####.exr", "-o", "in/plate.%04d.exr", "--model", "toy"], 6),
    ],
)
def test_same_errors(service: Serving, tmp_path: Path, arguments: list[str], code: int) -> None:
    folders(tmp_path)
    events = both(service, tmp_path, *arguments)
    assert events[-1]["exit_code"] == code


def test_damaged_frame(service: Serving, tmp_path: Path) -> None:
    folders(tmp_path)
    for name in ("service", "here"):
        victim = tmp_path / name / "in" / "plate.1002.exr"
        victim.write_bytes(victim.read_bytes()[:2000])
    both(service, tmp_path, "in/plate.####.exr", "-o", "out/m.####.exr", "--model", "toy")
    assert whole(tmp_path / "service" / "out") == whole(tmp_path / "here" / "out") == ["m.1001.exr"]


def test_broken_ocio_variable(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    command = [plate, "-o", "m.####.exr", "--model", "toy"]
    result = run(service, *command, cwd=tmp_path, OCIO="/nowhere.ocio")
    assert result.returncode == 3
    assert "$OCIO" in result.stderr


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_it_can_be_refused(service: Serving, tmp_path: Path, how: str) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    before = len(service.client.jobs())
    more = {"MATTE_SERVICE": "off"} if how == "variable" else {}
    command = [plate, "-o", "m.####.exr", "--model", "toy"]
    result = run(service, *command, cwd=tmp_path, here=how == "flag", **more)
    assert result.returncode == 0
    assert "the service" not in result.stderr
    assert len(service.client.jobs()) == before


def test_quiet_says_nothing(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    result = run(service, plate, "-o", "m.####.exr", "--model", "toy", "--quiet", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_ctrl_c_ends_the_job(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 40)
    command = [sys.executable, "-m", "matte_nodes", "run", str(plate), "-o",
               str(tmp_path / "out" / "m.####.exr"), "--model", "slow", "--seconds", "0.1"]  # fmt: skip
    process = subprocess.Popen(command, env=environment(service.home), stderr=subprocess.PIPE)
    wait_for(lambda: list((tmp_path / "out").glob("*.exr")))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert service.client.jobs()[-1]["state"] == "cancelled"
    done = whole(tmp_path / "out")
    assert 0 < len(done) < 40
    time.sleep(0.3)
    assert whole(tmp_path / "out") == done


def test_killed_command_ends_the_job(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 40)
    command = [sys.executable, "-m", "matte_nodes", "run", str(plate), "-o",
               str(tmp_path / "out" / "m.####.exr"), "--model", "slow", "--seconds", "0.1"]  # fmt: skip
    process = subprocess.Popen(command, env=environment(service.home), stderr=subprocess.DEVNULL)
    wait_for(lambda: list((tmp_path / "out").glob("*.exr")))
    process.kill()
    process.wait()
    wait_for(lambda: service.client.jobs()[-1]["state"] == "cancelled")


def test_the_command_goes_on_when_the_service_dies(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 10)
    out = tmp_path / "out" / "m.####.exr"
    with serving(tmp_path / "home") as service:
        command = [sys.executable, "-m", "matte_nodes", "run", str(plate), "-o", str(out),
                   "--model", "slow", "--seconds", "0.1", "--json"]  # fmt: skip
        process = subprocess.Popen(
            command, env=environment(service.home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(lambda: len(list((tmp_path / "out").glob("*.exr"))) > 2)
        service.process.kill()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert b"goes on without it" in stderr
    events = [json.loads(line) for line in stdout.splitlines()]
    assert [event["event"] for event in events].count("start") == 1
    assert events[-1] == {"event": "done", "frames": 10, "output": str(out)}
    assert len(whole(tmp_path / "out")) == 10


def test_a_service_of_other_code_is_left_alone(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    with serving(tmp_path / "home", CUDA_VISIBLE_DEVICES="7") as service:
        result = run(service, plate, "-o", "m.####.exr", "--model", "toy", cwd=tmp_path)
        assert result.returncode == 0
        assert "runs other code" in result.stderr
        assert not service.client.jobs()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: none to take away")
def test_a_service_with_other_cores_is_left_alone(tmp_path: Path) -> None:
    """The number of threads is part of a result's key."""
    plate = plate_sequence(tmp_path / "in", 1)
    with serving(tmp_path / "home", OMP_NUM_THREADS="2") as service:
        asked = (plate, "-o", "m.####.exr", "--model", "toy")
        result = run(service, *asked, cwd=tmp_path)
        assert "has 2 core(s), this process 1" in result.stderr
        assert not service.client.jobs()
        result = run(service, *asked, "--threads", "1", cwd=tmp_path)
        assert "core(s)" not in result.stderr
        assert len(service.client.jobs()) == 1


def test_waiting_is_said(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    job = service.client.submit(request(plate, tmp_path / "a.####.exr", knobs={"seconds": 2.0}))
    result = run(service, plate, "-o", "b.####.exr", "--model", "toy", cwd=tmp_path)
    assert "waiting for 1 other job" in result.stderr
    assert list(service.client.events(job))[-1]["event"] == "done"


def test_without_a_service_nothing_is_said(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    result = matte("run", plate, "-o", tmp_path / "m.####.exr", "--model", "toy",
                   env=environment(tmp_path / "home"))  # fmt: skip
    assert result.returncode == 0
    assert "the service" not in result.stderr
    assert not (tmp_path / "home" / "service").exists()
