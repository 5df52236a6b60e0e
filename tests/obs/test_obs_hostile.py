# SPDX-License-Identifier: Apache-2.0
"""A daemon that wants to end OBS, and one that dies while it writes: OBS plays on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from matte_nodes.hosts.obs import protocol

from . import pictures, rig
from .rig import Obs, until

HOSTILE = """#!/usr/bin/python3
import errno, fcntl, mmap, os, random, signal, struct, time
said = []
for attack in (lambda: os.ftruncate(3, 0), lambda: os.ftruncate(3, 1 << 30),
               lambda: fcntl.fcntl(3, 1033, 16)):
    try:
        attack()
        said.append("done")
    except OSError as error:
        said.append(errno.errorcode[error.errno])
with open({said!r}, "a") as out:
    out.write(" ".join(said) + chr(10))
memory = mmap.mmap(3, {size})
end = time.monotonic() + 2
nasty = (0, 1, 2, 3, 1024, 1025, 0x7fffffff, 0x80000000, 0xffffffff)
while time.monotonic() < end:
    for _ in range(200):
        at = random.choice((random.randrange(2048), random.randrange(32, 40), random.randrange(64, 176)))
        value = random.choice((*nasty, random.getrandbits(32)))
        struct.pack_into("<I", memory, 4 * at, value)
    struct.pack_into("<I", memory, 4 * 34, 2)
    struct.pack_into("<I", memory, 4 * 33, random.getrandbits(32))
    time.sleep(0.002)
os.kill(os.getpid(), signal.SIGKILL)
"""


DIES = """#!/usr/bin/python3
import sys, traceback
print("on the other output", flush=True)
try:
    raise RuntimeError("the weights <b>are</b> gone \N{SNOWMAN}")
except RuntimeError:
    traceback.print_exc()
sys.exit(3)
"""
FLOODS = """#!/usr/bin/python3
import os
os.write(2, b"the first line" + bytes([10]))
while True:
    os.write(2, (b"flood " * 20 + bytes([10])) * 400)
"""
# It says that it loads. Then it waits for ever, or computes for ever.
LOADS = """#!/usr/bin/python3
import mmap, os, struct, time
with open({said!r}, "a") as out:
    out.write(str(os.getpid()) + chr(10))
memory = mmap.mmap(3, {size})
struct.pack_into("<I", memory, 4 * {state}, {loading})
while {works}:
    pass
time.sleep(1000)
"""


def with_daemon(plugin: Path, folder: Path, program: str) -> Path:
    """A copy of the plug-in that starts this program in place of Python."""
    copy, file = folder / "plugin", folder / "python"
    shutil.copytree(plugin, copy)
    file.write_text(program)
    file.chmod(0o755)
    path = copy / "data/install.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "python": str(file)}))
    return copy


def frames(obs: Obs) -> int:
    return int(obs.client.get_stats().render_total_frames)


def test_the_memory_is_sealed(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter()
    until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
    (pid,) = obs.daemons()
    memory = os.open(f"/proc/{pid}/fd/3", os.O_RDWR)
    try:
        seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
        assert seals == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        for size in (0, protocol.SIZE - 1, protocol.SIZE + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(memory, size)
    finally:
        os.close(memory)
    before = frames(obs)
    until("OBS goes on", lambda: frames(obs) > before + 10)
    assert pictures.room_pixels(obs.shot()) == 0


def test_a_hostile_daemon_that_dies_again_and_again(plugin: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    hostile = with_daemon(plugin, tmp_path, HOSTILE.format(said=str(said), size=protocol.SIZE))
    with rig.running(tmp_path / "home", hostile) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("three lives", lambda: said.exists() and said.read_text().count("\n") >= 3)
        before = frames(obs)
        until("OBS goes on", lambda: frames(obs) > before + 10)
        until("the filter says so", lambda: "ended by itself" in obs.log())
    assert set(said.read_text().split()) == {"EPERM"}


def test_the_last_words_of_a_daemon_are_in_the_log_and_the_window(
    plugin: Path, tmp_path: Path
) -> None:
    with rig.running(tmp_path / "home", with_daemon(plugin, tmp_path, DIES)) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("two lives", lambda: obs.log().count("RuntimeError: the weights (b)are") >= 2)
        wrote = [line.split("daemon wrote: ")[1] for line in obs.log().splitlines()
                 if "daemon wrote: " in line]  # fmt: skip
    first = wrote[: wrote.index("on the other output", 1)]
    assert first[0] == "on the other output"
    assert "Traceback (most recent call last):" in first
    assert first[-1] == "RuntimeError: the weights <b>are</b> gone ???"
    # The window shows the same text as this line; in it, <b> would be bold type.
    assert "cause. (exit code 3) RuntimeError: the weights (b)are(/b) gone ???" in obs.log()


def test_a_daemon_that_writes_without_end_does_not_hold_obs_or_fill_its_log(
    plugin: Path, tmp_path: Path
) -> None:
    with rig.running(tmp_path / "home", with_daemon(plugin, tmp_path, FLOODS)) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        (pid,) = until("a daemon", obs.daemons)
        before, length = frames(obs), len(obs.log())
        until("OBS goes on", lambda: frames(obs) > before + 60)
        assert "flood" not in obs.log()
        assert len(obs.log()) < length + 20000
        os.kill(pid, signal.SIGKILL)
        until("it is said", lambda: "(signal 9) flood flood" in obs.log())
        wrote = [line for line in obs.log().splitlines() if "daemon wrote: " in line]
    assert 0 < len(wrote) <= 40
    assert "the first line" not in obs.log()


@pytest.mark.slow
@pytest.mark.parametrize("works", [False, True])
def test_a_daemon_that_hangs_while_it_loads_is_replaced_and_one_that_works_is_not(
    plugin: Path, tmp_path: Path, works: bool
) -> None:
    said = tmp_path / "said"
    program = LOADS.format(
        said=str(said), size=protocol.SIZE, state=protocol._STATE, loading=protocol.LOADING,
        works=works,
    )  # fmt: skip
    with rig.running(tmp_path / "home", with_daemon(plugin, tmp_path, program)) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("it loads", lambda: "daemon: loading" in obs.log())
        if works:
            time.sleep(45)
            assert "hung" not in obs.log()
        else:
            until("another daemon", lambda: said.read_text().count("\n") >= 2)
            assert "hung and was ended" in obs.log()
    assert works == (said.read_text().count("\n") == 1)


def test_a_crash_inside_of_a_library_is_told(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter()
    until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
    (pid,) = obs.daemons()
    os.kill(pid, signal.SIGSEGV)
    until("it is said", lambda: "(signal 11) Fatal Python error: Segmentation fault" in obs.log())
    assert "daemon wrote:   File " in obs.log()  # where it was
    until("the person is back", lambda: pictures.person_pixels(obs.shot()) > 10000)
    assert pictures.room_pixels(obs.shot()) == 0
