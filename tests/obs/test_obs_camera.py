# SPDX-License-Identifier: Apache-2.0
"""Matte Camera as a camera: its sound, its own settings, and its end."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import pictures, rig
from .rig import Obs, until


def shown(obs: Obs) -> bool:
    picture = obs.shot()
    assert pictures.room_pixels(picture) == 0
    return pictures.person_pixels(picture) > 10000


@pytest.fixture
def camera(obs: Obs, tmp_path: Path) -> Obs:
    """A Matte Camera round a person who hums, whose own source is in no scene."""
    movie = pictures.speaking_person(tmp_path / "hum.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
    obs.client.set_scene_item_enabled("Scene", item, False)
    obs.client.create_input("Scene", "camera", rig.CAMERA, {**rig.KNOWN, "camera": "plate"}, True)
    until("the person", lambda: shown(obs))
    obs.client.remove_scene_item("Scene", item)
    return obs


def loudness(obs: Obs) -> float:
    """The root of the mean square of what OBS records in the second half of a second, 0 to 1.

    The first half may hold what was said before: the sound is delayed as the picture is.
    """
    import av

    path = rig.record(obs, lambda: None, 30)
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    sound: Any = np.concatenate([part.reshape(-1) for part in parts]).astype(float)
    sound = sound[len(sound) // 2 :]
    return float(np.sqrt((sound**2).mean())) / (32768 if parts[0].dtype == np.int16 else 1)


def test_the_cameras_sound_is_heard(camera: Obs) -> None:
    assert loudness(camera) > 0.2
    assert camera.client.get_input_volume("camera").input_volume_mul == 1.0
    camera.client.set_input_mute("plate", True)
    assert loudness(camera) < 0.02
    camera.client.set_input_mute("plate", False)
    camera.client.set_input_volume("camera", vol_mul=0.1)
    assert 0.005 < loudness(camera) < 0.1
    camera.client.set_input_volume("camera", vol_mul=1.0)


def begins(obs: Obs) -> tuple[float, float]:
    """When, in seconds of a recording, the person is first at the right and the tone first heard.

    Each is the first beginning that the recording holds whole: after a time without.
    """
    import av

    path = rig.record(obs, lambda: None, 100)
    with av.open(str(path)) as container:
        seen = [(float(frame.time or 0), frame.to_ndarray(format="rgb24"))
                for frame in container.decode(video=0)]  # fmt: skip
    with av.open(str(path)) as container:
        heard = [(float(frame.time or 0), np.abs(frame.to_ndarray()).max())
                 for frame in container.decode(audio=0)]  # fmt: skip
    right = [(t, float(picture[200, 560, 2] < 100)) for t, picture in seen]
    loud = [(t, float(level > 0.1)) for t, level in heard]

    def first(track: list[tuple[float, float]]) -> list[float]:
        return [t for (_, a), (t, b) in itertools.pairwise(track) if b > a]

    pairs = [(a, b) for a in first(right) for b in first(loud)]
    assert pairs, "no beginning in the recording"
    return min(pairs, key=lambda pair: abs(pair[0] - pair[1]))


@pytest.mark.parametrize("delay", [400, 800])
def test_the_sound_is_as_late_as_the_picture(obs: Obs, tmp_path: Path, delay: int) -> None:
    """The movie begins anew every two seconds: a sound that is not delayed is 0.8 s too early."""
    movie = pictures.clapping_person(tmp_path / "clap.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
    obs.client.set_scene_item_enabled("Scene", item, False)
    settings = {**rig.KNOWN, "camera": "plate", "delay": delay}
    obs.client.create_input("Scene", "camera", rig.CAMERA, settings, True)
    until("the person", lambda: shown(obs))
    time.sleep(1.5)
    picture, sound = begins(obs)
    assert abs(sound - picture) < 0.3


def windows(obs: Obs) -> str:
    run = subprocess.run(
        ["xwininfo", "-root", "-tree"], env={**os.environ, "DISPLAY": obs.display},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.stdout


@pytest.mark.parametrize(
    ("button", "title"), [("camera_settings", "Properties for 'plate'"),
                          ("camera_filters", "Filters for 'plate'")],
)  # fmt: skip
def test_the_cameras_own_windows(camera: Obs, button: str, title: str) -> None:
    assert title not in windows(camera)
    camera.client.press_input_properties_button("camera", button)
    until("the window", lambda: title in windows(camera), 20)


def opened(obs: Obs, name: str) -> bool:
    for descriptor in Path(f"/proc/{obs.pid}/fd").iterdir():
        with suppress(OSError):
            if name in os.readlink(descriptor):
                return True
    return False


def test_a_removed_camera_is_let_go(camera: Obs) -> None:
    assert opened(camera, "hum.mkv")
    camera.client.remove_input("plate")
    until("the device is closed", lambda: not opened(camera, "hum.mkv"))
    until("nothing is shown", lambda: pictures.person_pixels(camera.shot()) == 0)
    assert pictures.room_pixels(camera.shot()) == 0


def test_a_camera_goes_with_the_matte_camera_that_alone_held_it(camera: Obs) -> None:
    camera.client.remove_input("camera")
    until("the device is closed", lambda: not opened(camera, "hum.mkv"))
