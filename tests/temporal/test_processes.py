# SPDX-License-Identifier: Apache-2.0
"""Several processes on one cache: every frame computed once, whatever is killed; full disks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from matte_nodes import MatteNode
from matte_nodes.temporal.stat_cache import Look
from matte_nodes.temporal.store import Store
from matte_nodes.temporal.verify import damaged
from tests.made import plate_sequence, read_named
from tests.temporal.rig import CARDS, RECURRENT, disk, plates, same, straight

ROOT = Path(__file__).parents[2]
COUNT = 30

WORKER = """
import hashlib, json, sys, time
sys.path.insert(0, ".")
from pathlib import Path
from matte_nodes import MatteNode
from matte_nodes.temporal import cache as caches
from tests.temporal.rig import CARDS, disk
name, plate, folder, order, share, pause = sys.argv[1:]
caches._SHARES["disk"] = int(share)
shot = MatteNode(CARDS[name]).connect(plate, cache=disk(Path(folder), memory=0))
step = shot.node.model.step
def slow(*arguments):
    time.sleep(float(pause))
    return step(*arguments)
shot.node.model.step = slow
def pixels(matte):
    return hashlib.sha256(matte.alpha.tobytes() + matte.foreground.tobytes()).hexdigest()
frames = json.loads(order)
mattes = ((n, shot.at(n)) for n in frames) if frames else shot.render()
found = {n: pixels(matte) for n, matte in mattes}
print(json.dumps({"steps": shot.steps, "pixels": found}))
"""


def start(
    name: str, plate: str, folder: Path, order: Any = (), *, share: int = 8, pause: float = 0.002
) -> subprocess.Popen[str]:
    """A process that renders a clip, or asks for frames in an order; says steps and pixels."""
    arguments = [name, plate, str(folder), json.dumps(list(order)), str(share), str(pause)]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> Any:
    """What it said."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Warning" not in err
    return json.loads(out)


def together(tmp_path: Path, name: str, orders: Any, share: int) -> list[Any]:
    """Several processes at once on a new cache; their pixels are those of a straight render."""
    plate = plates(tmp_path / "in", COUNT)
    expected = ended(start(name, plate, tmp_path / "alone"))
    assert expected["steps"] == COUNT
    running = [start(name, plate, tmp_path / "cache", order, share=share) for order in orders]
    said = [ended(process) for process in running]
    for one in said:
        assert one["pixels"].items() <= expected["pixels"].items()
    assert not list(damaged(Store(tmp_path / "cache")))
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    return said


@pytest.mark.parametrize("attempt", range(5))
def test_two_renders_at_once_compute_every_frame_once(tmp_path: Path, attempt: int) -> None:
    name = sorted(CARDS)[attempt % len(CARDS)]
    said = together(tmp_path, name, [(), ()], share=8)
    assert sum(one["steps"] for one in said) == COUNT
    assert all(len(one["pixels"]) == COUNT for one in said)


@pytest.mark.parametrize("share", [8, 10_000_000], ids=["every state", "few checkpoints"])
def test_two_recurrent_renders_hand_over_to_each_other(tmp_path: Path, share: int) -> None:
    said = together(tmp_path, "remembering", [(), ()], share=share)
    assert sum(one["steps"] for one in said) == COUNT


@pytest.mark.parametrize("name", sorted(CARDS))
def test_three_scrubbers_at_once_compute_every_frame_once(tmp_path: Path, name: str) -> None:
    rng = random.Random(3)
    orders = [rng.sample(range(1, COUNT + 1), COUNT) for _ in range(3)]
    said = together(tmp_path, name, orders, share=8)
    assert sum(one["steps"] for one in said) == COUNT


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("attempt", range(20))
def test_two_renders_at_once_for_long(tmp_path: Path, attempt: int) -> None:
    name, share = sorted(CARDS)[attempt % len(CARDS)], (8, 10_000_000)[attempt % 2]
    said = together(tmp_path, name, [(), ()], share=share)
    assert sum(one["steps"] for one in said) == COUNT


@pytest.mark.parametrize("name", sorted(CARDS))
def test_killed_at_random_the_next_one_ends_it(tmp_path: Path, name: str) -> None:
    rng = random.Random(11)
    plate = plates(tmp_path / "in", COUNT)
    expected = straight(MatteNode(CARDS[name]), plate)
    for _ in range(6):
        process = start(name, plate, tmp_path / "cache", pause=0.03)
        # Wait for it to be at work: importing takes longer than all the frames.
        before = len(list((tmp_path / "cache").glob("predictions/??/*.safetensors")))
        until = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < until:
            if len(list((tmp_path / "cache").glob("predictions/??/*.safetensors"))) > before:
                break
            time.sleep(0.005)
        time.sleep(rng.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    done = len(list((tmp_path / "cache").glob("predictions/??/*.safetensors")))
    shot = MatteNode(CARDS[name]).connect(plate, cache=disk(tmp_path / "cache"))
    for frame, matte in shot.render():
        assert same(matte, expected[frame])
    assert done > 5
    # One frame may have been killed between its prediction and its state.
    assert shot.steps <= COUNT - done + 1
    assert not list(damaged(Store(tmp_path / "cache")))


def test_an_owner_that_hangs_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = plates(tmp_path / "in", 3)
    monkeypatch.setattr("matte_nodes.temporal.store.PATIENCE", 0.2)
    cache = disk(tmp_path / "cache")
    shot = MatteNode(RECURRENT).connect(plate, cache=cache)
    key = shot.keys.step(0, Look()).key
    (tmp_path / "cache" / "locks").mkdir(parents=True)
    with FileLock(tmp_path / "cache" / "locks" / f"{key[:3]}.lock"):
        assert same(shot.at(1), straight(MatteNode(RECURRENT), plate)[1])


LIMITED = """
import resource, signal, sys
sys.path.insert(0, ".")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
from pathlib import Path
from matte_nodes import MatteNode
from tests.temporal.rig import RECURRENT, disk, same, straight
node = MatteNode(RECURRENT)
expected = straight(node, sys.argv[1])
shot = node.connect(sys.argv[1], cache=disk(Path(sys.argv[2]), memory=0))
for frame in (4, 2, 5, 1, 3):
    assert same(shot.at(frame), expected[frame])
dict(shot.render())
"""


@pytest.mark.parametrize("limit", [0, 500, 3000])
def test_a_full_disk_is_said_once_and_the_work_goes_on(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for a full disk: every write beyond it fails."""
    plate = plates(tmp_path / "in", 5)
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, plate, str(tmp_path / "cache"), str(limit)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("CacheWarning") == 1, result.stderr
    assert not list(damaged(Store(tmp_path / "cache")))


def run(*arguments: object, home: Path) -> subprocess.Popen[str]:
    """`matte`, with a home of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "matte_nodes", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MATTE_HOME": str(home), "MATTE_SERVICE": "off"},
    )  # fmt: skip


def frames_done(said: str) -> list[int]:
    """The frames that a --json run says it did."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [event["frame"] for event in events if event["event"] == "frame"]


def test_two_runs_of_the_same_output_do_every_frame_once(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 8, size=(270, 480))
    command = ["run", plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "toy", "--json"]
    running = [run(*command, home=tmp_path / "home") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert sorted(frames_done(said[0][0]) + frames_done(said[1][0])) == list(range(1001, 1009))


def test_run_goes_on_from_states_of_an_earlier_run(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 8)
    home = tmp_path / "home"
    for name, extra in (("one", ["--frames", "1001-1004"]), ("two", [])):
        out = tmp_path / name / "m.####.exr"
        process = run("run", plate, "-o", out, "--model", "toy", *extra, home=home)
        assert process.wait(timeout=60) == 0
    states = len(list((home / "cache" / "states").rglob("*.safetensors")))
    assert states == 2, "every fourth"
    process = run("cache", "info", "--json", home=home)
    facts = json.loads(process.communicate(timeout=60)[0])
    assert facts["kinds"]["states"]["entries"] == 2
    assert facts["kinds"]["predictions"]["entries"] == 0
    process = run("cache", "clear", home=home)
    assert "2 entries dropped" in process.communicate(timeout=60)[0]
    alone = run("run", plate, "-o", tmp_path / "x" / "m.####.exr", "--model", "toy",
                "--cache", "off", home=home)  # fmt: skip
    assert alone.wait(timeout=60) == 0
    for path in (tmp_path / "x").glob("*.exr"):
        one, two = read_named(path), read_named(tmp_path / "two" / path.name)
        assert all(np.array_equal(one[channel], two[channel]) for channel in one)


def test_cache_verify_and_gc_from_the_command_line(tmp_path: Path) -> None:
    plate, home = plate_sequence(tmp_path / "in", 4), tmp_path / "home"
    command = [
        "run",
        plate,
        "-o",
        tmp_path / "o" / "m.####.exr",
        "--model",
        "toy",
        "--cache",
        "disk",
    ]
    assert run(*command, home=home).wait(timeout=60) == 0
    entries = list((home / "cache" / "predictions").rglob("*.safetensors"))
    assert len(entries) == 4
    good = run("cache", "verify", home=home)
    assert good.wait(timeout=60) == 0
    entries[0].write_bytes(entries[0].read_bytes()[:-3])
    bad = run("cache", "verify", home=home)
    out, err = bad.communicate(timeout=60)
    assert bad.returncode == 1
    assert entries[0].name in out
    assert "1 damaged" in err
    assert run("cache", "verify", "--drop", home=home).wait(timeout=60) == 0
    assert not entries[0].exists()
    assert run("cache", "gc", "--bytes", "0", home=home).wait(timeout=60) == 0
    assert not list((home / "cache").rglob("*.safetensors"))
    wrong = run("cache", "gc", "--bytes", "much", home=home)
    assert "number of bytes" in wrong.communicate(timeout=60)[1]
    assert wrong.returncode == 2
