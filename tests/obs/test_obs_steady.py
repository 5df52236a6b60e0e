# SPDX-License-Identifier: Apache-2.0
"""What the network sees is the mean of the camera's pixels; a camera's sliders do not blink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from matte_nodes.hosts.obs import protocol

from . import pictures
from .rig import Obs, until


def seen_by_the_network(obs: Obs) -> Any:
    """The newest plate in the memory of the one daemon: (H, W, 3) uint8; None while it is written."""
    (pid,) = obs.daemons()
    with open(f"/proc/{pid}/fd/3", "rb") as memory:
        data = np.frombuffer(memory.read(), np.uint8)
    words = data[: protocol.HEADER].view("<u4")
    index = int(words[protocol._PLATE]) % 3
    lock, _, _, width, height = map(int, words[protocol._META + 16 * index :][:5])
    if lock & 1 or not width:
        return None
    start = protocol.HEADER + index * protocol.SLOT
    return data[start : start + 4 * width * height].reshape(height, width, 4)[..., :3]


def test_the_network_sees_the_mean_of_the_pixels(obs: Obs, tmp_path: Path) -> None:
    for size in ((1280, 720), (1920, 1080), (3840, 2160)):
        noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
        obs.stage(pictures.write(tmp_path / "noise.png", noise))
        obs.filter(width=256)
        until("a plate", lambda: obs.daemons() and seen_by_the_network(obs) is not None)
        plate = seen_by_the_network(obs)
        mean = cv2.resize(noise, (256, 144), interpolation=cv2.INTER_AREA)
        assert plate.shape == mean.shape
        # A sample of a few pixels would have 1.6, 2.5 and 4.7 times the noise.
        assert plate.std() < 1.4 * mean.std(), size
        assert abs(plate.mean() - mean.mean()) < 2


def test_a_slider_of_the_camera_does_not_blink_and_another_file_is_another_camera(
    obs: Obs, tmp_path: Path
) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter()
    until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
    before = obs.log().count("the source changed")
    obs.client.set_source_filter_settings("plate", "matte", {"hide_after": 5000}, True)
    obs.client.set_input_settings("plate", {"brightness": 7, "exposure": -3}, True)
    for _ in range(10):
        picture = obs.shot()
        assert pictures.room_pixels(picture) == 0
    assert obs.log().count("the source changed") == before
    other = pictures.person(tmp_path / "q.png")
    obs.client.set_input_settings("plate", {"file": str(other)}, True)
    until("it is forgotten", lambda: obs.log().count("the source changed") > before)
    until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
