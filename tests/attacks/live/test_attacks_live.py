# SPDX-License-Identifier: Apache-2.0
"""The shared memory fuzzed from both sides: no crash, no read out of bounds, no odd picture."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.hosts.obs import protocol
from matte_nodes.hosts.obs.protocol import Channel, ProtocolError, SharedPicture

from ...live.side import Side

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "plugins/obs/src"
NASTY = (0, 1, 2, 3, 1023, 1024, 1025, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.mark.skipif(not shutil.which("gcc"), reason="no C compiler here")
def test_plugin_side_under_address_sanitizer(tmp_path: Path) -> None:
    fuzzer = tmp_path / "fuzz"
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror",
         "-fsanitize=address,undefined", "-fno-sanitize-recover", str(HERE / "fuzz_protocol.c"),
         str(SOURCES / "protocol.c"), "-o", str(fuzzer)],
        check=True,
    )  # fmt: skip
    for seed in ("1", "77"):
        run = subprocess.run([str(fuzzer), seed, "3000"], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-2000:]


def test_daemon_side_survives_any_header() -> None:
    side, chance, got = Side(), random.Random(3), 0
    channel = Channel(side.memory)
    for _ in range(3000):
        side.words[8:2048] = 0
        for _ in range(30):
            at = chance.randrange(8, 2048) if chance.random() < 0.3 else chance.randrange(16, 190)
            side.words[at] = (
                chance.choice(NASTY) if chance.random() < 0.6 else chance.getrandbits(32)
            )
        if chance.random() < 0.5:
            number = int(side.words[16]) or 1
            side.words[16] = number
            meta = 64 + 16 * (number % 3)
            side.words[meta : meta + 5] = (2, number, 0, chance.choice(NASTY), chance.choice(NASTY))
        for found in (channel.plate(0), channel.background(0)):
            if found is not None:
                got += 1
                height, width, channels = found.pixels.shape
                assert 0 < width <= 1024
                assert 0 < height <= 1024
                assert channels == 4
        settings = channel.settings()
        assert settings is None or isinstance(settings, dict)
        channel.put_matte(
            np.zeros((4, 4, 4), np.uint8), SharedPicture(1, 1, np.zeros((4, 4, 4), np.uint8))
        )
        channel.beat()
        channel.say(protocol.ERROR, "é" * 500)
    assert got > 0  # the fuzzer got through to the copying


@pytest.mark.parametrize("word", range(7))
def test_another_version_is_refused(word: int) -> None:
    side = Side()
    side.words[word] ^= 0x40
    with pytest.raises(ProtocolError, match="matte install obs"):
        Channel(side.memory)


def test_too_short_a_memory_is_refused() -> None:
    with pytest.raises(ProtocolError, match="bytes"):
        Channel(bytearray(4096))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"nul", b"\xff\xfe", b"[" * 4000, b'{"model": 1e999}', b"3"]
)
def test_settings_that_are_no_settings(text: bytes) -> None:
    side = Side()
    side.put_settings(text)
    found = Channel(side.memory).settings()
    assert found is None or isinstance(found, dict)
