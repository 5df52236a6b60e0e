# SPDX-License-Identifier: Apache-2.0
"""The frames that leave a MatteNode: in the viewer, in a render, in a script at another place.

The stand-in's Read obeys first, last, before, after and on_error as the NDK's headers say.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.made import read_named, scenes, write_image
from tests.nuke.desk import Desk

RANGE = range(1001, 1006)


def matte_frame(desk: Desk, frame: int) -> None:
    desk.nuke.set_frame(frame)
    desk.press("matte_frame")
    assert str(desk.text("state")).startswith("done: 1 of 1 frames")


def test_the_stand_ins_read_obeys_the_edges_of_its_range(desk: Desk) -> None:
    desk.open()
    wanted = {
        "hold": (1001, 1005), "loop": (1004, 1002), "bounce": (1003, 1003), "black": (0, 0),
    }  # fmt: skip
    for mode, (before, after) in wanted.items():
        read = desk.read("plate", before=mode, after=mode)
        for at, number in ((999, before), (1007, after)):
            found = desk.nuke.shown(read, at)
            assert found == "black" if mode == "black" else f".{number}." in found


def test_the_stand_ins_read_obeys_on_error(desk: Desk) -> None:
    desk.open()
    (desk.folder / "plates" / "plate.1003.exr").unlink()
    read = desk.read("plate")
    with pytest.raises(RuntimeError, match="1003"):
        desk.nuke.shown(read, 1003)
    for mode in ("black", "checkerboard"):
        assert desk.nuke.shown(desk.read("plate", on_error=mode), 1003) == mode
    assert ".1002." in desk.nuke.shown(desk.read("plate", on_error="nearest frame"), 1003)


def test_the_range_stays_after_one_of_its_frames_is_matted_again(desk: Desk) -> None:
    desk.open()
    desk.press()
    whole = [desk.shown(n) for n in RANGE]
    matte_frame(desk, 1004)
    assert [desk.shown(n) for n in RANGE] == whole
    assert all(Path(path).is_file() for path in whole)


def test_frames_that_are_matted_one_by_one_all_stay(desk: Desk) -> None:
    desk.open()
    for frame in (1002, 1004, 1001):
        matte_frame(desk, frame)
    for frame in (1001, 1002, 1004):
        assert Path(desk.shown(frame)).is_file(), frame
    assert desk.shown(1003) == "black"
    assert desk.shown(1005) == "black"


def test_the_range_stays_after_one_frame_of_a_changed_plate(desk: Desk) -> None:
    desk.open()
    desk.press()
    before = {n: read_named(Path(desk.shown(n)))["A"] for n in RANGE}
    changed = scenes(9)[8].plate.astype(np.float16)
    write_image(desk.folder / "plates" / "plate.1003.exr", changed)
    matte_frame(desk, 1003)
    for n in RANGE:
        same = np.array_equal(read_named(Path(desk.shown(n)))["A"], before[n])
        assert same is (n != 1003), n
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (0 matted now)"


def test_a_frame_that_is_kept_is_matted_again_when_its_plate_changed(desk: Desk) -> None:
    """A kept frame keeps its own content key, so an old picture never passes for a new one."""
    desk.open()
    desk.press()
    for number, other in ((1003, 8), (1004, 7)):
        plate = scenes(9)[other].plate.astype(np.float16)
        write_image(desk.folder / "plates" / f"plate.{number}.exr", plate)
    matte_frame(desk, 1003)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (1 matted now)"


def test_a_proxy_frame_leaves_the_full_range(desk: Desk) -> None:
    desk.open()
    desk.press()
    desk.nuke.root().is_proxy = True
    matte_frame(desk, 1003)
    desk.nuke.root().is_proxy = False
    assert all(Path(desk.shown(n)).is_file() for n in RANGE)


def test_frames_of_other_settings_are_never_mixed_in(desk: Desk) -> None:
    desk.open()
    desk.press()
    desk.set(knob_shrink=3.0)
    matte_frame(desk, 1003)
    assert Path(desk.shown(1003)).is_file()
    assert desk.shown(1001) == "black"
    with pytest.raises(RuntimeError, match="press_Matte_range"):
        desk.shown(1001, gui=False)


def test_a_copied_script_finds_its_results(desk: Desk, tmp_path: Path) -> None:
    desk.open()
    desk.press()
    there = desk.shown(1002)
    desk.nuke.root().file = str(tmp_path / "published" / "v002" / "shot.nk")
    assert desk.shown(1002) == there
    assert desk.shown(1002, gui=False) == there


def test_results_that_are_gone_are_an_error_in_a_render(desk: Desk) -> None:
    desk.open()
    desk.press()
    shutil.rmtree(desk.folder / "matte_nodes")
    assert desk.shown(1002) == "black"
    with pytest.raises(RuntimeError, match=r"matte\.1002\.exr: No such file"):
        desk.shown(1002, gui=False)


def test_a_frame_outside_of_what_was_matted_is_an_error_in_a_render(desk: Desk) -> None:
    desk.open()
    desk.set(last=1003)
    desk.press()
    assert desk.shown(1005) == "black"
    with pytest.raises(RuntimeError, match="press_Matte_range"):
        desk.shown(1005, gui=False)


def test_a_node_that_was_never_matted_is_an_error_in_a_render(desk: Desk) -> None:
    desk.open()
    assert desk.shown(1001) == "black"
    with pytest.raises(RuntimeError, match="press_Matte_range"):
        desk.shown(1001, gui=False)


@pytest.mark.parametrize(
    ("view", "node"),
    {
        "alpha": "view_alpha", "foreground": "straight", "plate": "plate",
        "trimap": "view_trimap", "over checker": "over_checker",
    }.items(),
)  # fmt: skip
def test_a_view_never_reaches_a_render(desk: Desk, view: str, node: str) -> None:
    desk.open()
    desk.press()
    final = desk.shown(1002)
    desk.set(view=view)
    assert desk.shown(1002) == "MatteNode1." + node
    assert desk.shown(1002, gui=False) == final
