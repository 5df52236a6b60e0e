# SPDX-License-Identifier: Apache-2.0
"""A daemon that wants to end OBS, and one that dies while it writes: OBS plays on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
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
    hostile, said = tmp_path / "plugin", tmp_path / "said"
    shutil.copytree(plugin, hostile)
    program = tmp_path / "python"
    program.write_text(HOSTILE.format(said=str(said), size=protocol.SIZE))
    program.chmod(0o755)
    path = hostile / "data/install.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "python": str(program)}))
    with rig.running(tmp_path / "home", hostile) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("three lives", lambda: said.exists() and said.read_text().count("\n") >= 3)
        before = frames(obs)
        until("OBS goes on", lambda: frames(obs) > before + 10)
        until("the filter says so", lambda: "ended by itself" in obs.log())
    assert set(said.read_text().split()) == {"EPERM"}
