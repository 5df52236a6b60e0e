# SPDX-License-Identifier: Apache-2.0
"""Edits upstream are noticed, by the hashes that Nuke has for the inputs."""

from __future__ import annotations

from typing import Any

from tests.nuke.desk import Desk

OLD = "inputs changed since this was matted"


def graded(desk: Desk) -> Any:
    """A node with a Grade above it, matted, with a window."""
    desk.open(gui=True)
    grade = desk.nuke.Node("Grade", "Grade1", multiply=1.0)
    grade.setInput(0, desk.plate)
    desk.node.setInput(0, grade)
    desk.press()
    return grade


def state(desk: Desk, frame: int = 1001) -> str:
    """The node's state after Nuke's window was drawn anew at a frame."""
    desk.nuke.set_frame(frame)
    desk.nuke._state["node"] = desk.node
    desk.actions.inputs_changed()
    return str(desk.text("state"))


def test_an_edit_upstream_is_noticed_and_so_is_its_undo(desk: Desk) -> None:
    grade = graded(desk)
    assert state(desk).startswith("done")
    grade["multiply"].setValue(0.5)
    assert state(desk) == OLD
    grade["multiply"].setValue(1.0)
    assert state(desk) == "the inputs are as they were matted"


def test_an_edit_at_another_frame_is_noticed(desk: Desk) -> None:
    grade = graded(desk)
    assert state(desk, 1004).startswith("done")
    grade["multiply"].setValue(0.5)
    assert state(desk, 1004) == OLD
    assert state(desk, 1002) == OLD, "a frame that was not seen before tells nothing"


def test_frames_and_proxy_mode_are_no_edits(desk: Desk) -> None:
    graded(desk)
    for frame in (1001, 1003, 1005, 1003):
        assert state(desk, frame).startswith("done")
    desk.nuke.root().is_proxy = True
    assert state(desk).startswith("done")


def test_another_plate_and_another_hint_are_noticed(desk: Desk) -> None:
    graded(desk)
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    assert state(desk) == OLD
    desk.node.setInput(1, None)
    assert state(desk) != OLD
    desk.node.setInput(0, desk.read("plate", raw=True))
    assert state(desk) == OLD


def test_an_edit_is_noticed_after_the_script_was_opened_again(desk: Desk) -> None:
    from matte_nuke import upstream  # type: ignore[import-not-found]

    grade = graded(desk)
    upstream._seen.clear()
    assert state(desk).startswith("done")
    upstream._seen.clear()
    grade["multiply"].setValue(0.5)
    assert state(desk) == OLD


def test_a_new_run_makes_it_fresh(desk: Desk) -> None:
    grade = graded(desk)
    grade["multiply"].setValue(0.5)
    assert state(desk) == OLD
    desk.press()
    assert state(desk).startswith("done: 5 of 5 frames")


def test_frames_of_other_inputs_are_never_mixed_in(desk: Desk) -> None:
    grade = graded(desk)
    grade["multiply"].setValue(0.5)
    desk.nuke.set_frame(1003)
    assert state(desk, 1001) == OLD
    desk.nuke.set_frame(1001)
    desk.press("matte_frame")
    assert desk.shown(1001) != "black"
    assert desk.shown(1004) == "black"


def test_other_groups_are_left_alone(desk: Desk) -> None:
    desk.open(gui=True)
    desk.nuke._state["node"] = desk.nuke.Node("Group", "Other", model="x")
    desk.actions.inputs_changed()


def test_a_press_leaves_the_undo_history_alone(desk: Desk) -> None:
    desk.open(gui=True)
    desk.set(always_render=True)
    desk.nuke.UNDO.clear()
    desk.press()
    assert desk.nuke.UNDO == []
    desk.set(knob_gamma=2.0)
    assert desk.nuke.UNDO == [("MatteNode1", "knob_gamma")]
    desk.actions.knob_changed()
    assert len(desk.nuke.UNDO) == 1


def connected(desk: Desk) -> tuple[int, int]:
    """The range on the node after Nuke told of a change of its inputs."""
    node = desk.node
    desk.nuke._state.update(node=node, knob=desk.nuke.Knob(node, "inputChange", 1, ""))
    desk.actions.knob_changed()
    return desk.text("first"), desk.text("last")


def test_a_range_that_nobody_set_is_the_plates(desk: Desk) -> None:
    desk.open(gui=True)
    desk.plate["first"]._value, desk.plate["last"]._value = 1002, 1004
    assert connected(desk) == (1002, 1004)


def test_a_range_that_somebody_set_stays_until_reset(desk: Desk) -> None:
    desk.open(gui=True)
    desk.plate["first"]._value, desk.plate["last"]._value = 1002, 1004
    desk.set(first=1001, last=1003)
    assert connected(desk) == (1001, 1003)
    desk.press("reset_range", wait=False)
    assert (desk.text("first"), desk.text("last")) == (1002, 1004)


def test_reset_without_a_plate_says_what_to_do(desk: Desk) -> None:
    desk.open(gui=True)
    desk.node.setInput(0, None)
    desk.press("reset_range", wait=False)
    assert "Connect it" in desk.text("error")
