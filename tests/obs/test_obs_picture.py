# SPDX-License-Identifier: Apache-2.0
"""Pixels of the real filter in a real OBS, with mattes that are known."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import pictures, rig
from .rig import Obs, until

MAGENTA = (255, 0, 255)


def is_at(obs: Obs, x: int, y: int, colour: tuple[int, int, int], within: int = 0) -> bool:
    pixel = obs.shot()[y, x, :3].astype(int)
    return bool(np.abs(pixel - np.array(colour)).max() <= within)


def test_solid_is_the_plate_and_outside_is_the_wall(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.flat(tmp_path / "p.png", (200, 100, 50)))
    obs.filter(**{"knob.obs-test.mode": "left"})
    until("the left half is shown", lambda: is_at(obs, 100, 180, (200, 100, 50)))
    picture = obs.shot()
    assert (picture[:, :310, :3] == (200, 100, 50)).all()
    assert (picture[:, 330:, :3] == MAGENTA).all()


def test_soft_alpha_in_gamma_and_linear_light(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.flat(tmp_path / "p.png", (200, 100, 50)))
    obs.filter(**{"knob.obs-test.mode": "value", "knob.obs-test.alpha": 0.5})
    # 0.5 x plate + 0.5 x magenta in codes; then the same in linear light (as OBS's own opacity).
    until("gamma over magenta", lambda: is_at(obs, 320, 180, (227, 50, 152), 1))
    obs.set(edges=1)
    until("linear over magenta", lambda: is_at(obs, 320, 180, (230, 72, 190), 2))
    obs.set(edges=0, background=1, background_colour=0xFF000000)
    until("gamma over black", lambda: is_at(obs, 320, 180, (100, 50, 25), 1))
    obs.set(view=1)
    until("the alpha", lambda: is_at(obs, 320, 180, (128, 128, 128), 1))


def test_backgrounds_views_crop_blank(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter()
    until("the person over the wall", lambda: is_at(obs, 320, 200, pictures.PERSON))
    assert pictures.room_pixels(obs.shot()) == 0
    obs.set(background=1, background_colour=0xFF102030)
    until("a colour", lambda: is_at(obs, 20, 20, (0x30, 0x20, 0x10)))
    obs.set(blank=True)
    until("the colour alone", lambda: is_at(obs, 320, 200, (0x30, 0x20, 0x10)))
    obs.set(blank=False)
    back = pictures.flat(tmp_path / "b.png", (10, 20, 240), (100, 50))
    obs.set(background=2, background_image=str(back))
    until("an image", lambda: is_at(obs, 20, 20, (10, 20, 240)))
    obs.set(blank=True)
    until("the image alone", lambda: is_at(obs, 320, 200, (10, 20, 240)))
    obs.set(blank=False, background=3)
    # Blurred from outside alone: even beside the person there is no red in it.
    until("the room, blurred", lambda: is_at(obs, 20, 20, pictures.ROOM, 2))
    assert is_at(obs, 150, 200, pictures.ROOM, 6)
    obs.set(background=0, crop_left=50.0)
    until("the left half is cut off", lambda: is_at(obs, 250, 200, MAGENTA))
    assert is_at(obs, 400, 200, pictures.PERSON)
    obs.set(crop_left=0.0, blank=True)
    until("blank", lambda: is_at(obs, 400, 200, MAGENTA))
    obs.set(blank=False)
    until("back", lambda: is_at(obs, 400, 200, pictures.PERSON))
    obs.client.trigger_hot_key_by_name("matte_nodes.blank")
    until("blank by the key", lambda: is_at(obs, 400, 200, MAGENTA))
    obs.client.trigger_hot_key_by_name("matte_nodes.blank")
    until("back by the key", lambda: is_at(obs, 400, 200, pictures.PERSON))
    obs.set(show_unprocessed=True)
    until("the room, because it was asked for", lambda: is_at(obs, 20, 20, pictures.ROOM))
    obs.set(show_unprocessed=False)
    until("hidden again", lambda: is_at(obs, 20, 20, MAGENTA))


def test_the_colour_that_nobody_has_chosen_is_the_green_of_screens(
    obs: Obs, tmp_path: Path
) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter(background=1)
    until("the green 00b140", lambda: is_at(obs, 20, 20, (0x00, 0xB1, 0x40)))


def test_invert_shows_the_room_without_the_person(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter(invert=True)
    until("the room", lambda: is_at(obs, 20, 20, pictures.ROOM))
    picture = obs.shot()
    assert pictures.person_pixels(picture) == 0
    assert (picture[92:, 162:478, :3] == MAGENTA).all()
    assert (picture[:88, :, :3] == pictures.ROOM).all()
    obs.set(background=1, background_colour=0xFF102030)
    until("a colour in the person's place", lambda: is_at(obs, 320, 200, (0x30, 0x20, 0x10)))
    obs.set(view=1)
    until("the alpha of the room", lambda: is_at(obs, 20, 20, (255, 255, 255)))
    assert is_at(obs, 320, 200, (0, 0, 0))
    obs.set(view=0, background=0, **{"knob.obs-test.mode": "value", "knob.obs-test.alpha": 0.25})
    until("three quarters of each", lambda: is_at(obs, 20, 20, (64, 165, 64), 2))
    assert is_at(obs, 320, 200, (229, 0, 64), 2)


def test_inverted_it_hides_as_well_when_no_matte_comes(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter(invert=True, hide_after=300)
    until("the room", lambda: is_at(obs, 20, 20, pictures.ROOM))
    for pid in obs.daemons():
        os.kill(pid, signal.SIGKILL)
    until("nothing", lambda: bool((obs.shot()[..., :3] == MAGENTA).all()))


def leaks(obs: Obs, shots: int) -> list[int]:
    return [pictures.room_pixels(obs.shot()) for _ in range(shots)]


def test_aligned_video_leaks_nothing_and_the_newest_does(obs: Obs, tmp_path: Path) -> None:
    movie = pictures.running_box(tmp_path / "box.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    obs.filter(**{"knob.obs-test.sleep_ms": 60})
    until("the box is shown", lambda: pictures.person_pixels(obs.shot()) > 10000)
    assert max(leaks(obs, 25)) == 0
    obs.set(sync=False)
    until("a leak, with sync off", lambda: max(leaks(obs, 5)) > 100)


def test_clean_plate_feeds_the_model(obs: Obs, tmp_path: Path) -> None:
    obs.stage(pictures.flat(tmp_path / "room.png", pictures.ROOM))
    shows = obs.log().count("[matte] shows")
    obs.filter(**{"knob.obs-test.mode": "room"})
    until("mattes come", lambda: obs.log().count("[matte] shows") > shows)
    before = obs.log().count("empty room is captured")
    obs.client.trigger_hot_key_by_name("matte_nodes.capture")
    until("captured", lambda: obs.log().count("empty room is captured") > before)
    obs.client.set_input_settings("plate", {"file": str(pictures.person(tmp_path / "p.png"))}, True)
    until("what is not the room is shown", lambda: is_at(obs, 320, 200, pictures.PERSON))
    assert pictures.room_pixels(obs.shot()) == 0


@pytest.mark.parametrize("kind", ["scene", "camera"])
def test_other_ways_a_target_renders(obs: Obs, tmp_path: Path, kind: str) -> None:
    obs.stage(pictures.person(tmp_path / "p.png"))
    if kind == "scene":
        obs.client.create_scene("inner")
        try:
            obs.client.create_scene_item("inner", "plate", True)
            item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
            obs.client.remove_scene_item("Scene", item)
            obs.client.create_scene_item("Scene", "inner", True)
            obs.filter(source="inner")
            until("the person", lambda: is_at(obs, 320, 200, pictures.PERSON))
            assert pictures.room_pixels(obs.shot()) == 0
        finally:
            obs.client.remove_scene("inner")
        return
    item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
    obs.client.set_scene_item_enabled("Scene", item, False)
    obs.client.create_input("Scene", "camera", rig.CAMERA, {**rig.KNOWN, "camera": "plate"}, True)
    until("the person", lambda: is_at(obs, 320, 200, pictures.PERSON))
    assert pictures.room_pixels(obs.shot()) == 0
    # It cannot wrap a scene that holds it: nothing is drawn, nothing crashes.
    obs.client.set_input_settings("camera", {"camera": "Scene"}, True)
    until("nothing of it", lambda: is_at(obs, 320, 200, MAGENTA))


@pytest.mark.parametrize("kind", ["filter", "camera"])
def test_an_hdr_camera_is_said_to_be_shown_as_sdr(obs: Obs, tmp_path: Path, kind: str) -> None:
    before = obs.log().count("the camera is HDR")
    obs.stage(pictures.person(tmp_path / "p.png"))
    put_matte(obs, kind)
    until("the person", lambda: is_at(obs, 320, 200, pictures.PERSON))
    assert obs.log().count("the camera is HDR") == before
    movie = pictures.bright_person(tmp_path / "hdr.mkv")
    obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
    put_matte(obs, kind, **{"knob.obs-test.mode": "value", "knob.obs-test.alpha": 1.0})
    until("it is said", lambda: obs.log().count("the camera is HDR") == before + 1)
    until(
        "it is shown",
        lambda: np.ptp(obs.shot()[180, [100, 540], :3].astype(int), axis=0).min() > 20,
    )


def put_matte(obs: Obs, kind: str, **settings: Any) -> None:
    """The filter on the plate, or a Matte Camera in its place."""
    if kind == "filter":
        obs.filter(**settings)
        return
    item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
    obs.client.set_scene_item_enabled("Scene", item, False)
    known = {**rig.KNOWN, "camera": "plate", **settings}
    obs.client.create_input("Scene", "camera", rig.CAMERA, known, True)


def test_no_dark_specks_at_an_edge_before_a_bright_room(obs: Obs, tmp_path: Path) -> None:
    import cv2

    y, x = np.mgrid[: 4 * 360, : 4 * 640] / 4
    whole = (((x - 320) / 200) ** 2 + ((y - 190) / 130) ** 2 < 1).astype(np.float32)
    alpha = cv2.resize(whole, (640, 360), interpolation=cv2.INTER_AREA)[..., None]
    person, room = np.array((150.0, 15, 15)), np.array((250.0, 250, 250))
    plate = np.round(person * alpha + room * (1 - alpha)).astype(np.uint8)
    obs.stage(pictures.write(tmp_path / "p.png", plate))
    obs.filter(width=160, background=1, background_colour=0xFF808080)
    until("the person", lambda: is_at(obs, 320, 190, (150, 15, 15)))
    truth = person * alpha + 128 * (1 - alpha)
    band = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((7, 7))) > 0

    def clean() -> bool:
        wrong = (obs.shot()[..., :3] - truth)[band]
        # 4.3 and 1.04. With the matte's whole residual in pixels that are nearly solid: 25.9 and 1.65.
        return bool(-wrong.mean(axis=1).min() < 8 and np.abs(wrong).mean() < 1.2)

    # The first picture may be one between two mattes.
    until("an edge without specks", clean, 20)
