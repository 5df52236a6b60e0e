# SPDX-License-Identifier: Apache-2.0
"""Fail closed: whatever happens to the daemon or the plug-in, nothing of the room is shown."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.hosts.obs import protocol

from . import pictures, rig
from .rig import Obs, until


def shown(obs: Obs) -> bool:
    return pictures.person_pixels(obs.shot()) > 10000


def hidden(obs: Obs) -> bool:
    picture = obs.shot()
    assert pictures.room_pixels(picture) == 0
    return pictures.person_pixels(picture) == 0


def frames(obs: Obs) -> int:
    return int(obs.client.get_stats().render_total_frames)


@pytest.fixture
def playing(obs: Obs, tmp_path: Path) -> Obs:
    """The red person in the green room, matted."""
    obs.stage(pictures.person(tmp_path / "p.png"))
    obs.filter()
    until("the person is shown", lambda: shown(obs))
    return obs


def killed(obs: Obs) -> Callable[[], None]:
    for pid in obs.daemons():
        os.kill(pid, signal.SIGKILL)
    return lambda: None


def stopped(obs: Obs) -> Callable[[], None]:
    found = obs.daemons()
    for pid in found:
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in set(found) & set(obs.daemons()):
            os.kill(pid, signal.SIGCONT)

    return go_on


@pytest.mark.parametrize("happens", [killed, stopped])
def test_dead_or_hung_daemon(playing: Obs, happens: Callable[[Obs], Callable[[], None]]) -> None:
    playing.set(hide_after=300)
    for _ in range(3):
        until("the person is shown", lambda: shown(playing))
        undo = happens(playing)
        until("hidden", lambda: hidden(playing))
        before = frames(playing)
        until("OBS goes on", lambda before=before: frames(playing) > before + 5)
        undo()
        until("back", lambda: shown(playing))
        assert pictures.room_pixels(playing.shot()) == 0


def test_a_daemon_that_hangs_for_long_is_replaced(playing: Obs) -> None:
    (old,) = playing.daemons()
    os.kill(old, signal.SIGSTOP)
    until("another daemon", lambda: playing.daemons() and old not in playing.daemons())
    until("back", lambda: shown(playing))


def test_slow_daemon_holds_its_pair_with_sync_and_hides_without(playing: Obs) -> None:
    for _ in range(3):
        playing.set(hide_after=300, sync=False, **{"knob.obs-test.sleep_ms": 900})
        until("hidden between slow mattes", lambda: hidden(playing))
        before = frames(playing)
        until("OBS goes on", lambda before=before: frames(playing) > before + 5)
        assert pictures.room_pixels(playing.shot()) == 0
        playing.set(sync=True, **{"knob.obs-test.sleep_ms": 0})
        until("back", lambda: shown(playing))


def test_errors_and_settings_never_show_the_room(playing: Obs) -> None:
    playing.set(model="no-such-model")
    until("the daemon says what is wrong", lambda: "daemon: error There is no" in playing.log())
    until("hidden", lambda: hidden(playing))
    playing.set(model="obs-test")
    until("back", lambda: shown(playing))
    for width in (128, 640, 320):
        playing.set(width=width)
        for _ in range(5):
            assert pictures.room_pixels(playing.shot()) == 0
        until("back", lambda: shown(playing))


def test_another_size_and_source(playing: Obs, tmp_path: Path) -> None:
    for number, size in enumerate([(320, 180), (1280, 720), (640, 361), (16, 16), (640, 360)]):
        other = pictures.person(tmp_path / f"{number}.png", size)
        playing.client.set_input_settings("plate", {"file": str(other)}, True)
        for _ in range(3):
            assert pictures.room_pixels(playing.shot()) == 0
    until("back", lambda: shown(playing))


def pictures_in_memory(obs: Obs) -> int:
    """Bytes that are not 0 in the slots of the memory that the one daemon was handed."""
    (pid,) = obs.daemons()
    # It has no name: what a crash leaves is nothing.
    assert os.readlink(f"/proc/{pid}/fd/3") == "/memfd:matte (deleted)"
    with open(f"/proc/{pid}/fd/3", "rb") as memory:
        memory.seek(protocol.HEADER)
        return int(np.count_nonzero(np.frombuffer(memory.read(), np.uint8)))


def test_scene_switch_forgets_the_picture(playing: Obs) -> None:
    assert pictures_in_memory(playing) > 0
    playing.client.create_scene("other")
    try:
        before = playing.log().count("not shown")
        playing.client.set_current_program_scene("other")
        until("forgotten", lambda: playing.log().count("not shown") > before)
        until("the memory is zeroed", lambda: pictures_in_memory(playing) == 0)
        playing.client.set_current_program_scene("Scene")
        assert pictures.room_pixels(playing.shot()) == 0
        until("back", lambda: shown(playing))
    finally:
        playing.client.set_current_program_scene("Scene")
        playing.client.remove_scene("other")


def test_a_broken_shader_shows_nothing(plugin: Path, tmp_path: Path) -> None:
    broken = tmp_path / "plugin"
    shutil.copytree(plugin, broken)
    (broken / "data/matte.effect").write_text("technique Draw { pass { nonsense } }")
    with rig.running(tmp_path / "home", broken) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("it says so", lambda: "shader cannot be used" in obs.log())
        before = frames(obs)
        until("OBS goes on", lambda: frames(obs) > before + 10)
        assert hidden(obs)


def test_without_a_declaration_no_daemon_starts_it_is_said_and_nothing_is_shown(
    plugin: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "plugin"
    shutil.copytree(plugin, bare)
    (bare / "data/install.json").unlink()
    with rig.running(tmp_path / "home", bare) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        obs.filter()
        until("it says so", lambda: "the daemon cannot be started" in obs.log().lower())
        assert hidden(obs)
        assert "install.json is missing: run `matte install obs`" in obs.log()


def test_matte_camera_shows_nothing_when_the_plugin_is_gone(plugin: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rig.running(home, plugin) as obs:
        obs.stage(pictures.person(tmp_path / "p.png"))
        item = obs.client.get_scene_item_id("Scene", "plate").scene_item_id
        obs.client.set_scene_item_enabled("Scene", item, False)
        obs.client.create_input(
            "Scene", "camera", rig.CAMERA, {**rig.KNOWN, "camera": "plate"}, True
        )
        until("the person is shown", lambda: shown(obs))
        # Only we hold the camera now: it must still be there when OBS starts again.
        obs.client.remove_scene_item("Scene", item)
        until("still shown", lambda: shown(obs))
    with rig.running(home, plugin) as obs:
        until("shown after a restart", lambda: shown(obs))
        obs.client.set_input_name("plate", "webcam")
        until("shown under its new name", lambda: shown(obs))
    with rig.running(home, None) as obs:
        assert "matte_nodes_camera" in obs.log()
        assert hidden(obs)
