# SPDX-License-Identifier: Apache-2.0
"""The daemon killed, stopped and slowed twenty times each, while OBS plays on (make soak)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from . import pictures
from .rig import Obs, until

TIMES = 20


def rate(obs: Obs, seconds: float = 5.0) -> float:
    """Frames a second that OBS really rendered."""
    first, start = drawn(obs), time.monotonic()
    time.sleep(seconds)
    return (drawn(obs) - first) / (time.monotonic() - start)


def drawn(obs: Obs) -> int:
    """Frames that OBS has drawn: its total counts those that came too late, too."""
    stats = obs.client.get_stats()
    return int(stats.render_total_frames - stats.render_skipped_frames)


def hidden(obs: Obs) -> bool:
    picture = obs.shot()
    assert pictures.room_pixels(picture) == 0
    return pictures.person_pixels(picture) == 0


def shown(obs: Obs) -> bool:
    picture = obs.shot()
    assert pictures.room_pixels(picture) == 0
    return pictures.person_pixels(picture) > 10000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["killed", "stopped", "slowed"])
def test_twenty_times(obs: Obs, tmp_path: Path, how: str) -> None:
    movie = pictures.running_box(tmp_path / "box.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    until("the clip", lambda: pictures.person_pixels(obs.shot()) > 10000)
    obs.filter(hide_after=300)
    until("shown", lambda: shown(obs))
    fast = rate(obs)  # with the filter's own drawing, which software pays for on a busy machine
    for _ in range(TIMES):
        until("shown", lambda: shown(obs))
        found = obs.daemons()
        if how == "slowed":
            obs.set(**{"knob.obs-test.sleep_ms": 900})
            for _ in range(10):
                assert pictures.room_pixels(obs.shot()) == 0
            obs.set(**{"knob.obs-test.sleep_ms": 0})
            continue
        for pid in found:
            os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        until("hidden", lambda: hidden(obs))
        if how == "stopped":
            for pid in set(found) & set(obs.daemons()):
                os.kill(pid, signal.SIGCONT)
    until("shown", lambda: shown(obs))
    obs.set(**{"knob.obs-test.sleep_ms": 900})
    assert rate(obs) > 0.9 * fast
