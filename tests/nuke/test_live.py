# SPDX-License-Identifier: Apache-2.0
"""Frames appear in the viewer as they come; the result and a render know nothing of it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.nuke.desk import Desk
from tests.nuke.test_flow import frames_told, slow_job


def working(desk: Desk, frames: int = 6) -> None:
    """A run that has done its first frame; it is looked at after every frame."""
    slow_job(desk, frames)
    importlib.import_module("matte_nuke.runs").LIVE_SECONDS = 0.0
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: bool(desk.text("is_live")))


def test_a_frame_is_shown_while_the_range_runs(desk: Desk) -> None:
    working(desk)
    there = desk.shown(1001)
    assert Path(there).is_file()
    assert "/runs/" in there
    assert desk.shown(1006) == "black"
    assert any(c[0] == "press" and c[1:] == ("MatteNode1.live", "reload") for c in desk.nuke.CALLS)
    assert desk.text("has_result") is False
    desk.settle()
    assert desk.text("is_live") is False
    assert "/runs/" not in desk.shown(1001)
    assert Path(desk.shown(1006)).is_file()


def test_a_render_in_mid_run_does_not_see_it(desk: Desk) -> None:
    working(desk)
    with pytest.raises(RuntimeError, match="press_Matte_range"):
        desk.shown(1001, gui=False)
    desk.press("cancel")
    desk.settle()


def test_the_result_that_was_there_stays_until_the_end(desk: Desk) -> None:
    slow_job(desk, 6)
    desk.press()
    before = desk.node.node("result")["file"].value()
    desk.set(knob_shrink=1.0)
    importlib.import_module("matte_nuke.runs").LIVE_SECONDS = 0.0
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: bool(desk.text("is_live")))
    assert desk.node.node("result")["file"].value() == before
    assert "/runs/" in desk.shown(1001)
    assert "/runs/" not in desk.shown(1006), "a frame that did not come yet is the old one"
    desk.press("cancel")
    desk.settle()
    assert desk.text("is_live") is False


def test_a_script_that_is_saved_in_mid_run_holds_nothing_of_the_run(desk: Desk) -> None:
    working(desk)
    for knob in ("run", "is_live"):
        assert desk.node[knob].flags & desk.nuke.DO_NOT_WRITE
    desk.press("cancel")
    desk.settle()
    assert desk.text("run") == ""


def test_it_is_not_drawn_anew_for_every_frame(desk: Desk) -> None:
    desk.open(gui=True, frames=5)
    importlib.import_module("matte_nuke.runs").LIVE_SECONDS = 1e9
    desk.press()
    reloads = [c for c in desk.nuke.CALLS if c[0] == "press" and c[1].endswith(".live")]
    assert len(reloads) <= 1


def test_cancel_works_after_the_node_was_renamed(desk: Desk) -> None:
    slow_job(desk)
    desk.press(wait=False)
    desk.nuke.run_main_until(lambda: frames_told(desk) >= 1)
    desk.node.setName("hair_matte")
    desk.press("cancel")
    desk.settle()
    assert desk.text("state").startswith("cancelled: ")


def test_reload_looks_at_the_results_files_again(desk: Desk) -> None:
    desk.open()
    desk.press("reload")
    assert ("press", "MatteNode1.result", "reload") in desk.nuke.CALLS
