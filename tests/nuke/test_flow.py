# SPDX-License-Identifier: Apache-2.0
"""From button to picture: the plug-in as it is installed, the stand-in for Nuke, a real service.

Models are real: green-screen and closed-form everywhere, rvm where its weights are.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import has_weights, needs_weights
from tests.made import read_named, scenes, write_image
from tests.nuke.desk import Desk

SLOW = {"size": (288, 384)}  # closed-form takes about a second for one


def pixels(desk: Desk, frame: int) -> dict[str, Any]:
    return read_named(desk.result(frame))


def slow_job(desk: Desk, frames: int = 10) -> None:
    """A node whose every frame takes a while."""
    desk.open(gui=True, frames=frames, **SLOW)
    desk.node.setInput(1, desk.read("trimap", frames, "png"))
    desk.set(model="closed-form", trimap_channel="red")


def frames_told(desk: Desk) -> int:
    told = desk.nuke.task().told if desk.nuke.task() else []
    return sum(str(text).startswith("frame ") for text in told)


def test_matte_range_in_terminal_mode(desk: Desk) -> None:
    desk.open()
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    assert desk.text("has_result") is True
    shown = str(desk.node.node("result")["file"].value())
    assert shown.startswith(str(desk.folder / "matte_nodes") + "/")
    for frame in range(1001, 1006):
        found = pixels(desk, frame)
        assert {"R", "G", "B", "A", "fg.R", "fg.G", "fg.B"} <= set(found)
        assert found["A"].max() == 1
        assert found["A"].min() == 0
        np.testing.assert_allclose(found["R"], found["fg.R"] * found["A"], atol=2e-3)


def test_matte_range_with_a_window(desk: Desk) -> None:
    desk.open(gui=True)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    assert desk.result(1003).is_file()
    assert 100 in desk.nuke.task().told


@needs_weights("rvm")
def test_a_recurrent_model_over_a_rendered_plate(desk: Desk) -> None:
    desk.open(gui=True, size=(144, 176))
    desk.person()
    desk.set(model="rvm", always_render=True)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    whole = pixels(desk, 1004)["A"]
    assert 0.2 < whole.mean() < 0.8
    desk.nuke.set_frame(1004)
    desk.press("matte_frame")
    assert desk.text("state") == "done: 1 of 1 frames (0 matted now)", "it was there already"
    assert np.array_equal(pixels(desk, 1004)["A"], whole)
    assert desk.result(1001).is_file(), "the range is still shown"


@pytest.mark.skipif(not has_weights("rvm"), reason="weights of rvm are not here")
def test_a_frame_of_a_recurrent_model_has_the_shot_before_it(desk: Desk) -> None:
    desk.open(size=(144, 176))
    desk.person()
    desk.set(model="rvm", always_render=True)
    desk.nuke.set_frame(1004)
    desk.press("matte_frame")
    single = pixels(desk, 1004)["A"]
    assert 0.2 < single.mean() < 0.8
    assert ("execute", "MatteNode1.write_plate", 1001, 1004) in desk.nuke.CALLS, "no frame after it"
    desk.press()
    assert ("execute", "MatteNode1.write_plate", 1005, 1005) in desk.nuke.CALLS, "the rest alone"
    assert np.array_equal(pixels(desk, 1004)["A"], single)


@pytest.mark.parametrize("rendered", [False, True])
def test_a_frame_after_the_range_keeps_the_range(desk: Desk, rendered: bool) -> None:
    desk.open()
    desk.set(always_render=rendered)
    desk.press()
    desk.nuke.set_frame(1004)
    desk.press("matte_frame")
    assert desk.text("state") == "done: 1 of 1 frames (0 matted now)"
    assert desk.result(1001).is_file()
    assert len(desk.versions()) == 1


def test_a_steadied_frame_has_its_neighbours(desk: Desk) -> None:
    desk.open()
    desk.set(always_render=True, knob_steady=0.5)
    desk.nuke.set_frame(1003)
    desk.press("matte_frame")
    single = pixels(desk, 1003)["A"]
    desk.press()
    assert np.array_equal(pixels(desk, 1003)["A"], single)


def test_cancel_in_mid_range(desk: Desk) -> None:
    slow_job(desk)
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: frames_told(desk) >= 1)
    desk.press("cancel")
    assert desk.text("state").startswith("cancelled: ")
    done = int(desk.text("state").split()[1])
    assert 1 <= done < 10
    assert desk.result(1001).is_file(), "what was done is shown"
    assert not desk.result(1010).is_file()
    desk.set(last=1000 + done)
    desk.press()
    assert desk.text("state") == f"done: {done} of {done} frames (0 matted now)"


def test_cancel_in_the_progress_bar(desk: Desk) -> None:
    slow_job(desk)
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: frames_told(desk) >= 1)
    desk.nuke.task().pressed = True
    desk.settle()
    assert desk.text("state").startswith("cancelled: ")


def test_the_service_is_killed_in_mid_range(desk: Desk) -> None:
    slow_job(desk, 5)
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: frames_told(desk) >= 1)
    hello = desk.client.hello()
    assert hello is not None
    os.kill(int(hello["pid"]), signal.SIGKILL)
    desk.settle()
    assert desk.text("state").startswith("done: 5 of 5 frames")
    assert any("had died" in str(text) for text in desk.nuke.task().told)
    assert all(desk.result(frame).is_file() for frame in range(1001, 1006))


def test_a_missing_frame_is_named_on_the_node(desk: Desk) -> None:
    desk.open(gui=True)
    (desk.folder / "plates" / "plate.1003.exr").unlink()
    tile = desk.text("tile_color")
    desk.press()
    assert desk.text("state").startswith("error")
    assert "1003" in desk.text("error")
    assert desk.text("tile_color") == 0xC03030FF
    for made, number in zip(scenes(5), range(1001, 1006), strict=True):
        path = desk.folder / "plates" / f"plate.{number}.exr"
        write_image(path, made.plate.astype(np.float16))
    desk.press()
    assert desk.text("error") == ""
    assert desk.text("tile_color") == tile, "it is well again"


def test_a_missing_frame_ends_a_terminal_run(desk: Desk) -> None:
    desk.open()
    (desk.folder / "plates" / "plate.1003.exr").unlink()
    with pytest.raises(desk.actions.Trouble, match="1003"):
        desk.press()
    assert "1003" in desk.text("error")


def test_a_missing_frame_of_a_rendered_plate(desk: Desk) -> None:
    desk.open(gui=True)
    desk.set(always_render=True)
    (desk.folder / "plates" / "plate.1003.exr").unlink()
    desk.press()
    assert "could not be rendered" in desk.text("error")
    assert "1003" in desk.text("error")
    assert desk.node.node("write_plate")["disable"].value() is True


def test_a_render_that_is_cancelled(desk: Desk) -> None:
    desk.open(gui=True)
    desk.set(always_render=True)
    desk.nuke.fail_at(1002, "Cancelled")
    desk.press()
    assert desk.text("state") == "cancelled"
    assert desk.text("error") == ""


def test_a_changed_knob_and_back(desk: Desk) -> None:
    desk.open()
    desk.press()
    first, before = desk.versions(), pixels(desk, 1002)["A"]
    shown = desk.result(1002)
    desk.set(knob_shrink=3.0)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    assert desk.versions() != first
    assert not np.array_equal(pixels(desk, 1002)["A"], before)
    assert np.array_equal(read_named(shown)["A"], before), "an old script keeps its pixels"
    desk.set(knob_shrink=0.0)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (0 matted now)"
    assert desk.result(1002) == shown


def test_only_changed_frames_are_matted_again(desk: Desk) -> None:
    desk.open()
    desk.press()
    old = desk.result(1003)
    before = read_named(old)["A"]
    changed = scenes(9)[8].plate.astype(np.float16)
    write_image(desk.folder / "plates" / "plate.1003.exr", changed)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (1 matted now)"
    assert desk.result(1003) != old
    assert not np.array_equal(pixels(desk, 1003)["A"], before)
    assert np.array_equal(read_named(old)["A"], before), "the old version is as it was"


def test_only_changed_frames_of_a_rendered_plate_are_matted_again(desk: Desk) -> None:
    desk.open()
    desk.set(always_render=True)
    desk.press()
    write_image(desk.folder / "plates" / "plate.1005.exr", scenes(9)[8].plate.astype(np.float16))
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (1 matted now)"


def test_a_knob_of_another_model_changes_nothing(desk: Desk) -> None:
    desk.open()
    desk.press()
    desk.set(model_rvm__downsample_ratio=0.5)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (0 matted now)"


def test_a_changed_knob_is_said_on_the_node(desk: Desk) -> None:
    desk.open(gui=True)
    desk.press()
    desk.set(knob_gamma=2.0)
    desk.actions.knob_changed()
    assert desk.text("state") == "knobs changed since this was matted"
    desk.set(view="alpha")
    desk.press()
    desk.actions.knob_changed()
    assert desk.text("state").startswith("done")


def test_own_knobs_follow_the_model(desk: Desk) -> None:
    desk.open(gui=True)
    desk.set(model="rvm")
    desk.actions.knob_changed()
    assert desk.node["group_rvm"].visible
    assert desk.node["group_shared"].visible
    assert not desk.node["group_green_screen"].visible


def test_other_groups_are_left_alone(desk: Desk) -> None:
    desk.open(gui=True)
    other = desk.nuke.Node("Group", "Other", model="x")
    desk.nuke._state.update(node=other, knob=other["model"])
    desk.actions.knob_changed()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no plate": ({}, "input 'plate'"),
    "no trimap": ({"model": "closed-form"}, "needs a trimap"),
    "a range that ends before it begins": ({"last": 900}, "ends before"),
    "a model without weights": ({"model": "birefnet"}, "birefnet"),
    "a space nobody knows": ({"working_space": "Linear Nonsense"}, "Linear Nonsense"),
    "a device that is not here": ({"device": "cuda:7"}, "cuda"),
    "an animated knob": ({}, "animated"),
    "an unsaved script": ({}, "Save the script"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses_and_says_why_on_the_node(desk: Desk, what: str) -> None:
    desk.open(gui=True)
    knobs, said = REFUSED[what]
    desk.set(**knobs)
    if what == "no plate":
        desk.node.setInput(0, None)
    if what == "an animated knob":
        desk.node["knob_gamma"].is_animated = True
        desk.node["knob_gamma"]._value = lambda frame: frame / 1000
    if what == "an unsaved script":
        desk.nuke.root().file = ""
    desk.press()
    assert desk.text("state").startswith("error")
    assert said in desk.text("error")
    assert desk.text("has_result") is False


def test_two_presses_are_one_run(desk: Desk) -> None:
    slow_job(desk, 4)
    desk.press(wait=False)
    desk.press(wait=False)
    assert "still at work" in desk.text("state")
    desk.nuke.run_main_until(lambda: str(desk.text("state")).startswith("done"))
    assert len(desk.versions()) == 1


def test_a_node_that_is_deleted_meanwhile(desk: Desk) -> None:
    slow_job(desk, 3)
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: frames_told(desk) >= 1)
    for node in (desk.node, *desk.node.children.values()):
        node.deleted = True
    desk.nuke.run_main_until(lambda: bool(desk.versions()))
    desk.nuke.run_main_until(
        lambda: not any(t.name.startswith("matte ") for t in threading.enumerate())
    )


def test_runs_leave_nothing_behind(desk: Desk) -> None:
    desk.open()
    desk.set(always_render=True)
    desk.press()
    assert list((desk.folder / "matte_nodes" / "runs").iterdir()) == []
    assert len(desk.versions()) == 1


def test_results_of_the_artist_are_never_deleted(desk: Desk) -> None:
    desk.open()
    desk.press()
    own = desk.result(1001).with_name("note.txt")
    own.write_text("mine")
    for shrink in (1.0, 2.0, 0.0):
        desk.set(knob_shrink=shrink)
        desk.press()
    assert own.read_text() == "mine"
    assert len(desk.versions()) == 3


def test_a_frame_that_was_taken_out_of_a_version_comes_back(desk: Desk) -> None:
    desk.open()
    desk.press()
    lost: Path = desk.result(1002)
    lost.unlink()
    desk.press()
    assert lost.is_file()
    assert desk.result(1002) == lost


def test_nothing_runs_from_a_render_callback() -> None:
    """Only buttons start a matting: no callback of Nuke's is registered but the knobs'."""
    from tests.nuke.desk import PLUGIN

    sources = [path.read_text() for path in PLUGIN.rglob("*.py")]
    assert not any(
        word in text for text in sources
        for word in ("beforeRender", "beforeFrameRender", "afterRender", "addOnScriptLoad", "addAutolabel")
    )  # fmt: skip
