# SPDX-License-Identifier: Apache-2.0
"""Cuts: memory starts anew where they are given or found; what is found is what a person sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.temporal.cuts import CutDetector, LiveCuts
from tests.made import write_image
from tests.temporal.rig import RECURRENT, WINDOW, disk, same, straight

TAKES = (5, 11)


def take(seed: int) -> Any:
    """One place: a wall of large random patches, (H, W, 3) float32."""
    import cv2

    patches = np.random.default_rng(seed).random((4, 6, 3), np.float32)
    return cv2.resize(patches, (192, 108), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def clip(cuts: tuple[int, ...] = TAKES, count: int = 16, pan: int = 3) -> list[Any]:
    """Frames 1 to count of a panning camera, with hard cuts before these frames, and grain."""
    rng = np.random.default_rng(9)
    frames = []
    for number in range(1, count + 1):
        seed = sum(cut <= number for cut in cuts)
        grain = rng.normal(0, 0.02, (108, 192, 3)).astype(np.float32)
        frames.append(np.clip(np.roll(take(seed), number * pan, axis=1) + grain, 0, 1))
    return frames


def found(frames: list[Any]) -> list[int]:
    """The first frames of new takes, counted from 1."""
    finder = CutDetector(
        len(frames), lambda place: frames[place], lambda place, look: str(place), None
    )
    return [place + 1 for place in range(len(frames)) if finder.is_cut(place, None)]  # type: ignore[arg-type]


def test_cuts_are_found_at_their_frames() -> None:
    assert found(clip()) == list(TAKES)
    assert found(clip((2, 9, 16))) == [2, 9, 16]
    assert found(clip((6, 8))) == [6, 8]


def test_no_cut_where_there_is_none() -> None:
    assert found(clip(())) == []
    assert found(clip((), pan=12)) == [], "a fast pan"
    assert found(clip(())[:1]) == []
    black = [np.zeros((4, 4, 3), np.float32)] * 5
    assert found(black) == []


def test_a_flash_is_no_cut() -> None:
    frames = clip(())
    frames[7] = np.clip(frames[7] * 0.3 + 0.7, 0, 1)
    assert found(frames) == []


def test_a_change_of_light_is_no_cut() -> None:
    frames = [frame * (0.6 if index >= 8 else 1.0) for index, frame in enumerate(clip(()))]
    assert found([frame.astype(np.float32) for frame in frames]) == []


def test_a_dissolve_is_no_hard_cut() -> None:
    one, two = take(0), take(1)
    frames = [one] * 4 + [one * (1 - t) + two * t for t in np.linspace(0, 1, 12)] + [two] * 4
    assert found([frame.astype(np.float32) for frame in frames]) == []


@pytest.mark.parametrize("card", [RECURRENT, WINDOW], ids=["recurrent", "window"])
def test_after_a_cut_a_shot_is_a_shot_of_its_own(card: Any) -> None:
    frames = clip()
    cut = straight(MatteNode(card), frames, cuts=TAKES)
    parts = [frames[:4], frames[4:10], frames[10:]]
    alone = [m for part in parts for m in straight(MatteNode(card), part).values()]
    assert all(same(one, two) for one, two in zip(cut.values(), alone, strict=True))
    assert not same(straight(MatteNode(card), frames)[5], cut[5])


def test_found_cuts_are_as_given_ones_in_any_order() -> None:
    frames, node = clip(), MatteNode(RECURRENT)
    expected = straight(node, frames, cuts=TAKES, colorspace="sRGB")
    shot = node.connect(frames, cuts="auto", colorspace="sRGB")
    for number in (12, 3, 16, 5, 10, 11):
        assert same(shot.at(number), expected[number]), number
    assert shot.cuts() == list(TAKES)
    assert shot.cuts(6, 16) == [11]
    assert shot.steps == 2 + 3 + 4 + 1 + 5 + 0  # 11-12, 1-3, 13-16, 5, 6-10, 11 is kept


def test_a_jump_behind_a_cut_does_not_step_what_lies_before_it() -> None:
    shot = MatteNode(RECURRENT).connect(clip(), cuts=[5, 11])
    shot.at(12)
    assert shot.steps == 2


def test_another_cut_changes_the_keys_behind_it_alone() -> None:
    frames, node = clip(), MatteNode(RECURRENT)
    one, two = node.connect(frames, cuts=[5]), node.connect(frames, cuts=[5, 11])
    moved = [number for number in one.frames if one.stamp(number) != two.stamp(number)]
    assert moved == [11, 12, 13, 14, 15, 16]


def sequence(folder: Path) -> str:
    """The clip as 8-bit files."""
    folder.mkdir()
    for number, frame in enumerate(clip(), 1):
        write_image(folder / f"p.{number:04d}.png", np.uint8(frame * 255))
    return str(folder / "p.####.png")


def test_an_edit_that_removes_a_cut_is_seen(tmp_path: Path) -> None:
    plate, node = sequence(tmp_path / "in"), MatteNode(RECURRENT)
    shot = node.connect(plate, cuts="auto", cache=disk(tmp_path / "c"))
    shot.at(16)
    assert shot.cuts() == list(TAKES)
    for number in range(5, 11):  # the middle take goes on from the first
        path = tmp_path / "in" / f"p.{number:04d}.png"
        write_image(path, np.uint8(clip(())[number - 1] * 255))
    assert shot.cuts() == [11]
    assert same(shot.at(10), straight(node, plate, cuts=[11])[10])


def test_prints_are_remembered_so_that_a_jump_reads_one_frame(tmp_path: Path) -> None:
    plate, node = sequence(tmp_path / "in"), MatteNode(RECURRENT)
    __import__("time").sleep(0.06)
    node.connect(plate, cuts="auto", cache=disk(tmp_path / "c")).at(16)
    shot = node.connect(plate, cuts="auto", cache=disk(tmp_path / "c"))
    read: list[int] = []
    original = shot.clip.read
    shot.clip.read = lambda frame: (read.append(frame), original(frame))[1]  # type: ignore[method-assign]
    shot.at(15)
    assert read in ([], [15])


def test_detect_cuts_from_the_command_line(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in")
    command = [sys.executable, "-m", "matte_nodes", "run", plate, "--detect-cuts"]
    for extra, expected in (([], "5\n11\n"), (["--frames", "6-16"], "11\n")):
        said = subprocess.run([*command, *extra], capture_output=True, text=True, check=True)
        assert said.stdout == expected


def test_real_cuts(data: Path) -> None:
    clip_file = data / "video-people" / "whitehouse_multishot.mp4"
    if not clip_file.is_file():
        pytest.skip("the clip with three cuts is not here")
    shot = MatteNode("green-screen").connect(clip_file, cuts="auto", cache=None)
    assert shot.cuts(1, 100) == [21, 83]


def test_live_cuts_reset_the_stream() -> None:
    frames, node = clip(), MatteNode(RECURRENT)
    expected = straight(node, frames, cuts=TAKES)
    with node.stream() as live:
        for number, frame in enumerate(frames, 1):
            assert np.array_equal(live.step(frame).alpha, expected[number].alpha), number
    with node.stream(cuts="off") as live:
        whole = straight(node, frames)
        for number, frame in enumerate(frames, 1):
            assert np.array_equal(live.step(frame).alpha, whole[number].alpha), number


def test_live_cuts_at_once_and_only_there() -> None:
    cuts = LiveCuts()
    assert [n for n, frame in enumerate(clip(), 1) if cuts.is_cut(frame)] == list(TAKES)
    cuts.forget()
    assert not cuts.is_cut(take(7))


def test_a_stream_does_not_grow() -> None:
    frames = clip()
    with MatteNode(RECURRENT).stream() as live:
        for frame in frames * 20:
            live.step(frame)
        assert len(live._past) == 1
        assert live._cuts is not None
        assert len(live._cuts._jumps) <= 3
        assert sum(array.nbytes for array in live._memory.values()) == 108 * 192 * 4
