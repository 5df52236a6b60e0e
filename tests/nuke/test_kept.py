# SPDX-License-Identifier: Apache-2.0
"""Rendered inputs are kept and used again; a press on one frame renders what that frame needs."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needs_weights
from tests.made import read_named, scenes, write_image
from tests.nuke.desk import Desk


def graded(desk: Desk, **more: Any) -> Any:
    """A node with a Grade above it."""
    desk.open(**more)
    grade = desk.nuke.Node("Grade", "Grade1", multiply=1.0)
    grade.setInput(0, desk.plate)
    desk.node.setInput(0, grade)
    return grade


def renders(desk: Desk) -> list[tuple[int, int]]:
    """First and last of each render since the last question."""
    found = [call[2:] for call in desk.nuke.CALLS if call[0] == "execute"]
    desk.nuke.CALLS.clear()
    return found


def test_a_knob_of_ours_renders_nothing_again(desk: Desk) -> None:
    graded(desk)
    desk.press()
    assert renders(desk) == [(1001, 1005)]
    for gamma in (1.2, 1.0):
        desk.set(knob_gamma=gamma)
        desk.press()
        assert renders(desk) == []
    assert desk.text("state") == "done: 5 of 5 frames (0 matted now)"


def test_an_edit_upstream_renders_and_its_undo_does_not(desk: Desk) -> None:
    grade = graded(desk)
    desk.press()
    one = read_named(desk.result(1002))["fg.R"]
    grade["multiply"].setValue(0.5)
    desk.press()
    assert not np.array_equal(read_named(desk.result(1002))["fg.R"], one)
    assert renders(desk) == [(1001, 1005), (1001, 1005)]
    grade["multiply"].setValue(1.0)
    desk.press()
    assert renders(desk) == []
    assert np.array_equal(read_named(desk.result(1002))["fg.R"], one)


def test_a_key_in_the_middle_renders_the_frames_that_it_changes(desk: Desk) -> None:
    """Hashes are asked for each frame: the one of the shown frame says nothing of the others."""
    grade = graded(desk)
    desk.press()
    renders(desk)
    grade.hash_at = {1003: "another value", 1004: "another value"}
    desk.press()
    assert renders(desk) == [(1003, 1004)]


def test_the_frame_that_is_shown_stays(desk: Desk) -> None:
    graded(desk, gui=True)
    desk.nuke.set_frame(1004)
    desk.press()
    assert desk.nuke.frame() == 1004


def test_a_file_that_changed_on_disk_is_rendered_again(desk: Desk) -> None:
    """Nuke's hash of a Read holds its name, not what is in it."""
    graded(desk)
    desk.press()
    renders(desk)
    write_image(desk.folder / "plates" / "plate.1003.exr", scenes(9)[8].plate.astype(np.float16))
    desk.press()
    assert renders(desk) == [(1001, 1005)]
    assert desk.text("state") == "done: 5 of 5 frames (1 matted now)"


def test_a_file_inside_of_a_group_above_counts_too(desk: Desk) -> None:
    graded(desk)
    group = desk.nuke.Node("Group", "Group1")
    group.children["inner"] = desk.nuke.read_node(str(desk.folder / "look.cube"), 1, 1)
    group.children["inner"]._name = "inner"
    group.setInput(0, desk.node.input(0))
    desk.node.setInput(0, group)
    assert str(desk.folder / "look.cube") in host().files_above(group)
    (desk.folder / "look.cube").write_text("1")
    desk.press()
    renders(desk)
    (desk.folder / "look.cube").write_text("22")
    desk.press()
    assert renders(desk) == [(1001, 1005)]


def host() -> Any:
    return importlib.import_module("matte_nuke.host")


def test_another_channel_of_a_hint_is_another_file(desk: Desk) -> None:
    desk.open()
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    desk.set(model="closed-form", trimap_channel="red", last=1002)
    desk.press()
    desk.set(trimap_channel="alpha")
    renders(desk)
    desk.press()
    assert renders(desk) == [(1001, 1002)]


def test_proxy_frames_are_others(desk: Desk) -> None:
    graded(desk)
    desk.press()
    renders(desk)
    desk.nuke.root().is_proxy = True
    desk.press()
    assert renders(desk) == [(1001, 1005)]


def test_without_a_hash_all_is_rendered(desk: Desk) -> None:
    grade = graded(desk)
    grade.in_error = True
    for _ in range(2):
        desk.press()
        assert renders(desk) == [(1001, 1005)]
    assert not (desk.folder / "matte_nodes" / "inputs").exists()


def test_a_render_that_was_cancelled_goes_on_where_it_stopped(desk: Desk) -> None:
    graded(desk, gui=True)
    desk.nuke.fail_at(1004, "Cancelled")
    desk.press()
    assert desk.text("state") == "cancelled"
    renders(desk)
    desk.nuke._state["fail"] = None
    desk.press()
    # The last file before the stop may be half of one.
    assert renders(desk) == [(1003, 1005)]


def test_one_frame_of_a_still_model_renders_one_frame(desk: Desk) -> None:
    graded(desk)
    desk.nuke.set_frame(1003)
    desk.press("matte_frame")
    assert renders(desk) == [(1003, 1003)]
    desk.press()
    assert renders(desk) == [(1001, 1002), (1004, 1005)]
    assert desk.text("state") == "done: 5 of 5 frames (4 matted now)"


def test_one_steadied_frame_renders_three(desk: Desk) -> None:
    graded(desk)
    desk.set(knob_steady=0.5)
    desk.nuke.set_frame(1003)
    desk.press("matte_frame")
    assert renders(desk) == [(1002, 1004)]


REACH = {
    "rvm": (None, 0), "closed-form": (0, 0), "background-matting": (40, 40), "edgetam": (None, None),
    "auto": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("model", REACH)
def test_how_far_a_model_looks(desk: Desk, model: str) -> None:
    from matte_nuke.setup import Setup  # type: ignore[import-not-found]

    assert Setup().reach(model, {"motion_step": 20}) == REACH[model]


@needs_weights("rvm")
def test_one_frame_of_a_recurrent_model_renders_nothing_after_it(desk: Desk) -> None:
    graded(desk, size=(144, 176))
    desk.set(model="rvm")
    desk.nuke.set_frame(1003)
    desk.press("matte_frame")
    assert renders(desk) == [(1001, 1003)]


def test_the_store_is_trimmed_to_what_was_used_last(tmp_path: Path, desk: Desk) -> None:
    kept = importlib.import_module("matte_nuke.kept")
    folder = tmp_path / kept.FOLDER
    folder.mkdir()
    for number in range(5):
        (folder / f"plate_{number}.exr").write_bytes(b"x" * 100)
        os.utime(folder / f"plate_{number}.exr", (number, number))
    kept.take(str(tmp_path), {1: "plate_0.exr"}, str(tmp_path / "plate.%04d.exr"))
    kept.trim(str(tmp_path), 250)
    assert sorted(path.name for path in folder.iterdir()) == ["plate_0.exr", "plate_4.exr"]
    assert (tmp_path / "plate.0001.exr").is_file()


def test_the_limit_comes_from_the_environment(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_NUKE_INPUTS_GB", "0")
    graded(desk)
    desk.press()
    assert list((desk.folder / "matte_nodes" / "inputs").iterdir()) == []
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
