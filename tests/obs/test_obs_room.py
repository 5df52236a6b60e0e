# SPDX-License-Identifier: Apache-2.0
"""A room with texture, recorded through each background, view and switch: no pixel of it is raw.

A flat room cannot tell a blurred room from a raw one.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import pictures, rig
from .rig import Obs, until

MAGENTA, BLUE, COLOUR, NOTHING = (255, 0, 255), (10, 20, 240), (48, 32, 16), (0, 0, 0)
ROOM = pictures.textured_room()
LINE = r"forgets its picture: settings \((\d+) mattes"


def keep(name: str, picture: Any) -> None:
    """Screenshots are kept where MATTE_TEST_PICTURES says."""
    if folder := os.environ.get("MATTE_TEST_PICTURES"):
        pictures.write(Path(folder) / f"{name}.png", np.ascontiguousarray(picture[..., :3]))


def behind(picture: Any, colour: tuple[int, int, int], within: int = 12) -> bool:
    """Whether the corners that the person never reaches have this colour."""
    corner = picture[8:80, 8:80, :3].astype(int)
    return bool(np.abs(corner - colour).max() <= within)


def shows(obs: Obs, colour: tuple[int, int, int]) -> bool:
    """Whether the person is shown before this colour."""
    picture = obs.shot()
    return behind(picture, colour) and pictures.person_pixels(picture) > 10000


def hides(obs: Obs, colour: tuple[int, int, int]) -> bool:
    """Whether this colour is shown alone."""
    picture = obs.shot()
    return behind(picture, colour) and pictures.person_pixels(picture) == 0


def recorded(obs: Obs, change: Callable[[], None]) -> list[Any]:
    """Each frame, (H, W, 4) uint8, that OBS recorded while `change` ran."""
    import av

    path = rig.record(obs, change)
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]


def no_room(frames: list[Any], blurred: bool = False) -> None:
    """Fail if one frame has one raw pixel of the room (or one green pixel, where none is due)."""
    raw = [pictures.raw_pixels(frame, ROOM) for frame in frames]
    keep("obs-room-worst", frames[int(np.argmax(raw))])
    assert max(raw) == 0, f"{sum(map(bool, raw))} of {len(raw)} frames show up to {max(raw)} pixels"
    if not blurred:
        assert max(pictures.room_pixels(frame) for frame in frames) == 0


@pytest.fixture(params=["filter", "camera"])
def matte(obs: Obs, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Change settings of the filter, or of the Matte Camera, on a box that runs through the room."""
    movie = pictures.running_box(tmp_path / "box.mkv", room=ROOM)
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    if request.param == "filter":
        obs.filter()
        until("the person over the wall", lambda: shows(obs, MAGENTA))
        return obs.set
    item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
    obs.client.set_scene_item_enabled("Scene", item, False)
    obs.client.create_input("Scene", "camera", rig.CAMERA, {**rig.KNOWN, "camera": "plate"}, True)
    until("the person over the wall", lambda: shows(obs, MAGENTA))
    return lambda **settings: obs.client.set_input_settings("camera", settings, True)


def test_the_raw_room_is_seen_by_these_counts(obs: Obs, tmp_path: Path) -> None:
    everywhere = 640 * 360 - 320 * 270
    obs.stage(pictures.textured_person(tmp_path / "p.png"))
    until("the room", lambda: pictures.raw_pixels(obs.shot(), ROOM) == everywhere)
    frames = recorded(obs, lambda: time.sleep(0.5))
    assert max(pictures.raw_pixels(frame, ROOM) for frame in frames) > 0.9 * everywhere


@pytest.mark.parametrize("strength", [12, 50])
def test_a_filter_made_with_the_blurred_room(obs: Obs, tmp_path: Path, strength: int) -> None:
    obs.stage(pictures.textured_person(tmp_path / "p.png"))
    obs.filter(background=3, background_blur=strength)
    until("the person in the blurred room", lambda: shows(obs, pictures.BLURRED))
    picture = obs.shot()
    keep(f"obs-blur-{strength}", picture)
    assert pictures.raw_pixels(picture, ROOM) == 0
    assert (picture[92:, 162:478, :3] == pictures.PERSON).all()


def test_the_blurred_room_is_blurred_in_its_corners_and_beside_a_crop(
    obs: Obs, tmp_path: Path
) -> None:
    obs.stage(pictures.textured_person(tmp_path / "p.png"))
    obs.filter(background=3, background_blur=12)
    until("the person in the blurred room", lambda: shows(obs, pictures.BLURRED))
    corners = obs.shot()[[0, 0, -1, -1], [0, -1, 0, -1], :3].astype(int)
    assert np.abs(corners - pictures.BLURRED).max() < 15
    obs.set(crop_left=30.0)
    until("the edge goes on", lambda: pictures.person_pixels(obs.shot()[:, :192]) == 0)
    picture = obs.shot()
    keep("obs-blur-crop", picture)
    beside = picture[:, :184, :3].astype(int)
    assert np.abs(beside - pictures.BLURRED).max() < 40
    assert np.abs(beside - pictures.BLURRED).mean() < 10


def test_blurred_room_in_each_view_and_light(obs: Obs, matte: Callable[..., None]) -> None:
    def change() -> None:
        for strength, edges in ((12.0, 0), (50.0, 1)):
            matte(background=3, background_blur=strength, edges=edges)
            until("the blurred room", lambda: shows(obs, pictures.BLURRED))
            matte(view=1)
            until("the alpha", lambda: hides(obs, NOTHING))
            matte(view=2)
            until("the foreground", lambda: shows(obs, NOTHING))
            matte(view=0)
        until("the blurred room again", lambda: shows(obs, pictures.BLURRED))

    frames = recorded(obs, change)
    no_room(frames, blurred=True)
    assert any(behind(frame, pictures.BLURRED) for frame in frames)


def test_each_background_and_view(obs: Obs, matte: Callable[..., None], tmp_path: Path) -> None:
    back = str(pictures.flat(tmp_path / "b.png", BLUE, (100, 50)))
    backs = ((1, COLOUR), (2, BLUE), (0, MAGENTA))

    def change() -> None:
        matte(background_colour=0xFF102030, background_image=back)
        for number, colour in backs:
            matte(background=number, view=0)
            until("the person before it", lambda c=colour: shows(obs, c))
            matte(blank=True)
            until("it alone", lambda c=colour: hides(obs, c))
            matte(blank=False, edges=1)
            until("the person again", lambda c=colour: shows(obs, c))
            matte(view=1, edges=0)
            until("the alpha", lambda: hides(obs, NOTHING))
            matte(view=2)
            until("the foreground", lambda: shows(obs, NOTHING))

    frames = recorded(obs, change)
    no_room(frames)
    for _, colour in backs:
        assert any(behind(frame, colour) for frame in frames)


def switches(obs: Obs, matte: Callable[..., None]) -> dict[str, Callable[[], None]]:
    """What a user may do, or what may happen, while the blurred room is shown."""

    def killed() -> None:
        for pid in obs.daemons():
            os.kill(pid, signal.SIGKILL)
        until("hidden", lambda: hides(obs, MAGENTA))

    def away() -> None:
        # A fade makes the blurred room darker, down to the codes of the room's dark squares.
        obs.client.set_current_scene_transition("Cut")
        obs.client.create_scene("other")
        obs.client.set_current_program_scene("other")
        time.sleep(1)  # longer than the filter waits before it forgets its picture
        obs.client.set_current_program_scene("Scene")
        obs.client.remove_scene("other")

    return {
        "hidden by the switch": lambda: (
            matte(blank=True), until("hidden", lambda: hides(obs, MAGENTA)), matte(blank=False)
        ),
        # The box and the squares lie on this width's pixels: a mixed one would show some room.
        "another width": lambda: matte(width=160),
        "the width back": lambda: matte(width=320),
        "cut at an edge": lambda: (matte(crop_left=10.0), matte(crop_left=0.0)),
        "another model": lambda: (
            matte(model="none"), until("hidden", lambda: hides(obs, MAGENTA)),
            matte(model="obs-test"),
        ),
        "another background": lambda: (
            matte(background=1), until("the colour", lambda: shows(obs, COLOUR)),
            matte(background=3),
        ),
        "the daemon dies": killed,
        "another scene": away,
    }  # fmt: skip


def test_blurred_room_through_each_switch(obs: Obs, matte: Callable[..., None]) -> None:
    def change() -> None:
        matte(background=3, background_colour=0xFF102030, hide_after=300)
        for name, switch in switches(obs, matte).items():
            until(f"the blurred room before: {name}", lambda: shows(obs, pictures.BLURRED))
            switch()
        until("the blurred room in the end", lambda: shows(obs, pictures.BLURRED))

    no_room(recorded(obs, change), blurred=True)


def test_each_slow_matte_is_used(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.textured_person(tmp_path / "p.png"))
    obs.filter(**{"knob.obs-test.sleep_ms": 600})
    until("eight mattes", lambda: obs.daemons() and rig.published(obs) >= 8)
    before, count = len(re.findall(LINE, obs.log())), rig.published(obs)
    obs.set(width=128)  # the filter forgets its picture, and writes how many mattes it used
    used = until("the count", lambda: re.findall(LINE, obs.log())[before:])[-1]
    # One may be on its way at each end.
    assert int(used) >= count - 2, f"{used} of {count} mattes are used"
