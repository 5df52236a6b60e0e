# SPDX-License-Identifier: Apache-2.0
"""Aligned video: a constant delay, the camera's rate though mattes are slow, nothing of the room."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import pictures, rig
from .rig import Obs, until

HALF = {"scaleX": 0.5, "scaleY": 0.5}


@pytest.fixture
def pair(obs: Obs, tmp_path: Path) -> Obs:
    """A Matte Camera in the upper left quarter, the raw camera below it."""
    movie = pictures.clock_box(tmp_path / "clock.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    obs.client.create_input("Scene", "camera", rig.CAMERA, {**rig.KNOWN, "camera": "plate"}, True)
    for name, y in (("camera", 0), ("plate", 180)):
        item = obs.client.get_scene_item_id("Scene", name).scene_item_id
        obs.client.set_scene_item_transform("Scene", item, {**HALF, "positionY": y})
    return obs


def place(picture: Any) -> float:
    """Left edge of the box in a half-size picture, in frames of the movie; -1 without a box."""
    red = (picture[..., 0].astype(int) - np.maximum(picture[..., 1], picture[..., 2])) > 120
    columns = np.flatnonzero(red[80, :320])
    return float(columns[0]) / 4 if len(columns) > 60 else -1.0


def frames(obs: Obs, seconds: float) -> list[Any]:
    import av

    path = rig.record(obs, lambda: time.sleep(seconds))
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def measured(obs: Obs) -> tuple[Any, float, float]:
    """How many frames of the movie the matted picture is late; its changes to those of the camera;
    how many frames of the movie lie between two that OBS draws, on a busy machine.
    """
    both = np.array([(place(frame[:180]), place(frame[180:])) for frame in frames(obs, 3)])
    seen = both[(both >= 0).all(axis=1)]
    assert len(seen) > 0.7 * len(both)
    steps = np.diff(both, axis=0)
    moved = (steps != 0).mean(axis=0)
    forward = steps[:, 1][steps[:, 1] > 0]
    return (seen[:, 1] - seen[:, 0]) % 60, float(moved[0] / moved[1]), float(np.median(forward))


def settle(obs: Obs, **settings: Any) -> None:
    obs.client.set_input_settings("camera", settings, True)
    until("the person", lambda: place(obs.shot()[:180]) >= 0)
    time.sleep(1.5)


def test_the_delay_is_300_ms_when_nobody_has_chosen_one(pair: Obs) -> None:
    default = pair.client.get_input_default_settings(rig.CAMERA).default_input_settings
    assert default["delay"] == 300
    settle(pair)
    late, _, step = measured(pair)
    assert 9 - 1.5 <= np.median(late) <= 9 + 1.5 + step


@pytest.mark.parametrize("delay", [900])
def test_the_delay_is_constant_and_the_person_moves_as_the_camera_does(
    pair: Obs, delay: int
) -> None:
    settle(pair, delay=delay, **{"knob.obs-test.sleep_ms": 100})
    late, rate, step = measured(pair)
    due = delay * 30 / 1000
    assert np.percentile(late, 10) > due - 1.5 - step
    assert due - 1.5 <= np.median(late) <= due + 1.5 + step
    assert rate > 0.6  # at the rate of the mattes it would be under 0.3


def test_without_a_delay_the_person_moves_at_the_rate_of_the_mattes(pair: Obs) -> None:
    settle(pair, delay=0, **{"knob.obs-test.sleep_ms": 400})
    _, rate, _ = measured(pair)
    assert rate < 0.5


def test_between_two_slow_mattes_no_room_is_seen_and_the_person_is_whole(
    obs: Obs, tmp_path: Path
) -> None:
    movie = pictures.clock_box(tmp_path / "clock.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    obs.filter(delay=500, **{"knob.obs-test.sleep_ms": 120})
    until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
    time.sleep(1.5)
    found = frames(obs, 4)
    room = [pictures.room_pixels(np.dstack([f, np.full_like(f[..., :1], 255)])) for f in found]
    whole = np.array([pictures.person_pixels(frame) for frame in found])
    assert max(room) == 0
    assert np.median(whole) > 0.97 * 160 * 160
    shown = whole[whole > 1000]  # on a busy machine the mattes may be too late for a while
    assert (shown > 0.9 * 160 * 160).mean() > 0.9
