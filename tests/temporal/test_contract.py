# SPDX-License-Identifier: Apache-2.0
"""The contract of docs/caching.md, item by item."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import MediaError, UsageError
from matte_nodes.reads import Sign
from matte_nodes.temporal import inputs
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from tests.made import plate_sequence, write_movie
from tests.temporal.rig import (
    CARDS,
    RECURRENT,
    STILL,
    WINDOW,
    disk,
    plates,
    same,
    settle,
    straight,
    write_plate,
    write_trimap,
)

COUNT = 12


@pytest.fixture
def plate(tmp_path: Path) -> str:
    """Twelve plates whose times are trusted."""
    pattern = plates(tmp_path / "in", COUNT)
    settle()
    return pattern


def edit(plate: str, frame: int, seed: int = 99) -> None:
    """Write another picture over a frame; not a byte longer or shorter."""
    path = Path(plate.replace("####", f"{frame:04d}"))
    size = path.stat().st_size
    write_plate(path, seed)
    assert path.stat().st_size == size


# 2. any order, any process, any restart, any part of the cache thrown away


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
@pytest.mark.parametrize("mode", ["memory", "states", "disk", "off"])
def test_2_any_order_is_a_straight_render(tmp_path: Path, plate: str, card: Any, mode: str) -> None:
    expected = straight(MatteNode(card), plate)
    order = list(expected) * 2
    random.Random(5).shuffle(order)
    store = Store(tmp_path / "cache") if mode in ("states", "disk") else None
    shot = MatteNode(card).connect(plate, cache=Cache(mode, store=store))  # type: ignore[arg-type]
    for frame in order:
        assert same(shot.at(frame), expected[frame]), frame
    again = MatteNode(card).connect(plate, cache=Cache(mode, store=store))  # type: ignore[arg-type]
    for frame, matte in again.render():
        assert same(matte, expected[frame]), frame


@pytest.mark.parametrize("limit", [0, 1500, 6000, 40_000])
def test_2_an_evicting_cache_changes_nothing(tmp_path: Path, plate: str, limit: int) -> None:
    expected = straight(MatteNode(RECURRENT), plate)
    rng = random.Random(limit)
    for _ in range(3):
        cache = disk(tmp_path / "cache", limit=limit, memory=limit)
        shot = MatteNode(RECURRENT).connect(plate, cache=cache)
        for _ in range(8):
            frame = rng.randint(1, COUNT)
            assert same(shot.at(frame), expected[frame])
        assert sum(entry.size for entry in cache.store.entries()) <= max(limit, 0)  # type: ignore[union-attr]


def test_2_a_changed_matte_does_not_reach_the_cache(tmp_path: Path, plate: str) -> None:
    expected = straight(MatteNode(RECURRENT), plate)
    shot = MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "cache"))
    for _ in range(3):
        matte = shot.at(7)
        assert same(matte, expected[7])
        matte.alpha[:], matte.foreground[:] = 7, 7
        matte.extras["motion"][:] = 7  # type: ignore[index]


def test_2_results_of_a_render_serve_at(tmp_path: Path, plate: str) -> None:
    expected = dict(MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c")).render())
    shot = MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c"))
    shot.clip.read = None  # type: ignore[method-assign, assignment]  # not even the plate is needed
    assert all(same(shot.at(frame), matte) for frame, matte in expected.items())
    assert shot.steps == 0


# 3. keys are content


def test_3_frame_hashes_are_remembered_by_size_and_times(
    tmp_path: Path, plate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c")).at(COUNT)
    hashed: list[str] = []
    original = inputs.hashlib.file_digest  # type: ignore[attr-defined]

    def counted(file: Any, name: str) -> Any:
        hashed.append(file.name)
        return original(file, name)

    monkeypatch.setattr(inputs.hashlib, "file_digest", counted)  # type: ignore[attr-defined]
    shot = MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c"))
    shot.at(COUNT)
    assert hashed == []
    edit(plate, 5)
    settle()
    shot.at(COUNT)
    assert [Path(name).name for name in hashed] == ["p.0005.exr"]


def test_3_a_touched_or_copied_clip_is_not_computed_again(tmp_path: Path, plate: str) -> None:
    shot = MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c"))
    keys = [shot.stamp(frame) for frame in shot.frames]
    dict(shot.render())
    for path in Path(plate).parent.iterdir():
        path.touch()
    again = MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c"))
    dict(again.render())
    assert again.steps == 0
    copies = tmp_path / "copies"
    Path(plate).parent.rename(copies)
    moved = MatteNode(RECURRENT).connect(copies / "p.####.exr", cache=disk(tmp_path / "c"))
    dict(moved.render())
    assert moved.steps == 0
    assert [moved.stamp(frame) for frame in moved.frames] == keys


@pytest.mark.parametrize(
    ("card", "changed"),
    [(RECURRENT, range(5, COUNT + 1)), (WINDOW, (4, 5, 6, 7)), (STILL, (5,))],
    ids=["recurrent", "window", "still"],
)
@pytest.mark.parametrize("fresh", [False, True], ids=["same shot", "new process"])
def test_3_an_edited_plate_costs_the_frames_that_depend_on_it(
    tmp_path: Path, plate: str, card: Any, changed: Any, fresh: bool
) -> None:
    shot = MatteNode(card).connect(plate, cache=disk(tmp_path / "c"))
    before = dict(shot.render())
    keys = {frame: shot.stamp(frame) for frame in shot.frames}
    assert shot.steps == COUNT
    edit(plate, 5)
    before_edit = COUNT
    if fresh:
        shot, before_edit = MatteNode(card).connect(plate, cache=disk(tmp_path / "c")), 0
    expected = straight(MatteNode(card), plate)
    for frame in random.Random(1).sample(range(1, COUNT + 1), COUNT):
        assert same(shot.at(frame), expected[frame]), frame
    assert shot.steps == before_edit + len(changed)
    moved = {frame for frame in shot.frames if shot.stamp(frame) != keys[frame]}
    assert moved == set(changed)
    assert {n for n in moved if same(before[n], expected[n])} == set()


def test_7_steadied_frames_depend_on_their_neighbours(tmp_path: Path, plate: str) -> None:
    node = MatteNode(STILL, steady=0.8)
    shot = node.connect(plate, cache=disk(tmp_path / "c"))
    dict(shot.render())
    keys = {frame: shot.stamp(frame) for frame in shot.frames}
    edit(plate, 5)
    expected = straight(node, plate)
    assert all(same(shot.at(frame), expected[frame]) for frame in shot.frames)
    assert {frame for frame in shot.frames if shot.stamp(frame) != keys[frame]} == {4, 5, 6}
    assert shot.steps == COUNT + 1


def test_3_an_edit_between_two_requests_within_one_tick_is_seen(
    tmp_path: Path, plate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that counts whole seconds: edits in the same second leave the same times."""

    fine, second = Sign.of, 1_000_000_000

    def coarse(path: str, found: Any) -> Sign:
        times = (found.st_mtime_ns // second * second, found.st_ctime_ns // second * second)
        told = SimpleNamespace(st_size=found.st_size, st_mtime_ns=times[0], st_ctime_ns=times[1])
        return fine(path, told)  # type: ignore[arg-type]

    monkeypatch.setattr(Sign, "of", staticmethod(coarse))
    for mode in ("memory", "disk", "off"):
        cache = disk(tmp_path / "c") if mode == "disk" else mode
        shot = MatteNode(STILL).connect(plate, cache=cache)
        for seed in range(40, 50):
            edit(plate, 3, seed)
            assert same(shot.at(3), straight(MatteNode(STILL), plate)[3])


def test_3_a_trimap_key_costs_the_frames_it_serves(tmp_path: Path, plate: str) -> None:
    for number in (1, 5, 9):
        write_trimap(tmp_path / f"t.{number}.png", number)
    settle()
    hint = {"trimap": str(tmp_path / "t.#.png"), "hint_keys": "hold"}
    for card, changed in ((STILL, 0), (RECURRENT, 8)):
        node = MatteNode(card)
        shot = node.connect(plate, **hint, cache=disk(tmp_path / "c"))  # type: ignore[arg-type]
        dict(shot.render())
        before = {frame: shot.stamp(frame) for frame in shot.frames}
        write_trimap(tmp_path / "t.5.png", 70 + changed)
        expected = straight(node, plate, **hint)
        assert all(same(shot.at(frame), expected[frame]) for frame in shot.frames)
        # A model that does not take trimaps is not stepped again: the node forces them itself.
        assert shot.steps == COUNT + changed
        moved = {frame for frame in shot.frames if shot.stamp(frame) != before[frame]}
        assert moved == (set(range(5, 13)) if changed else {5, 6, 7, 8})


def test_3_a_model_knob_costs_all_and_comes_back_free(tmp_path: Path, plate: str) -> None:
    cache = disk(tmp_path / "c")
    for hold, steps in ((0.5, COUNT), (0.7, COUNT), (0.5, 0)):
        shot = MatteNode(RECURRENT, hold=hold).connect(plate, cache=cache)
        dict(shot.render())
        assert shot.steps == steps


@pytest.mark.parametrize(
    "knobs",
    [{"gamma": 0.8}, {"shrink": 1.0}, {"feather": 2.0}, {"foreground": "solved"}, {"despill": 0.5},
     {"black_point": 0.1}, {"steady": 0.5}, {"segmentation_margin": 3.0}],
    ids=lambda knobs: next(iter(knobs)),
)  # fmt: skip
def test_3_finishing_knobs_cost_no_step(tmp_path: Path, plate: str, knobs: Any) -> None:
    dict(MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c")).render())
    shot = MatteNode(RECURRENT, **knobs).connect(plate, cache=disk(tmp_path / "c"))
    expected = straight(MatteNode(RECURRENT, **knobs), plate)
    assert all(same(shot.at(frame), expected[frame]) for frame in (7, 3, 12, 1))
    assert shot.steps == 0


@pytest.mark.parametrize("knobs", [{"exposure": 1.0}, {"view": "soft"}], ids=["exposure", "view"])
def test_3_what_the_network_sees_is_part_of_the_key(tmp_path: Path, plate: str, knobs: Any) -> None:
    dict(MatteNode(RECURRENT).connect(plate, cache=disk(tmp_path / "c")).render())
    shot = MatteNode(RECURRENT, **knobs).connect(plate, cache=disk(tmp_path / "c"))
    assert same(shot.at(7), straight(MatteNode(RECURRENT, **knobs), plate)[7])
    assert shot.steps == 7


def test_3_colour_space_canvas_and_weights_are_part_of_the_key(
    tmp_path: Path, plate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = MatteNode(RECURRENT)
    plain = node.connect(plate).stamp(3)
    assert node.connect(plate, colorspace="lin_rec709_scene").stamp(3) != plain
    assert node.connect(plate, output_colorspace="lin_rec709_scene").stamp(3) != plain
    assert node.connect(plate, cuts=[3]).stamp(3) != plain
    assert node.connect(plate, cuts=[3]).stamp(2) == node.connect(plate).stamp(2)
    assert node.connect(plate).stamp(3) == plain
    monkeypatch.setattr("matte_nodes.shot.fingerprint.numerics_tag", lambda *_: "other machine")
    assert MatteNode(RECURRENT).connect(plate).stamp(3) != plain


def test_3_the_same_arrays_have_the_same_key_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from matte_nodes import MatteNode\n"
        "from tests.temporal.rig import RECURRENT, picture\n"
        "plates = [picture(n) for n in range(4)]\n"
        "print(MatteNode(RECURRENT).connect(plates).stamp(4))"
    )
    root = Path(__file__).parents[2]
    said = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert len(said[0].strip()) == 64


def test_3_a_shot_as_a_hint_is_keyed_by_what_it_is_made_from(tmp_path: Path, plate: str) -> None:
    def chain() -> tuple[Any, Any]:
        cache = disk(tmp_path / "c")
        coarse = MatteNode(STILL).connect(plate, cache=cache)
        return coarse, MatteNode(RECURRENT).connect(plate, trimap=coarse.trimap(2), cache=cache)

    coarse, fine = chain()
    dict(fine.render())
    assert (coarse.steps, fine.steps) == (COUNT, COUNT)
    coarse, fine = chain()
    dict(fine.render())
    assert (coarse.steps, fine.steps) == (0, 0)
    edit(plate, 10)
    mattes = dict(fine.render())
    assert (coarse.steps, fine.steps) == (1, 3)
    own = MatteNode(STILL).connect(plate, cache=None)
    expected = straight(MatteNode(RECURRENT), plate, trimap=own.trimap(2))
    assert all(same(mattes[frame], expected[frame]) for frame in mattes)


def test_3_a_movie_is_keyed_by_its_file_and_frame(tmp_path: Path) -> None:
    def movie(name: str, first: int) -> Path:
        rng = np.random.default_rng(first)
        frames = [rng.integers(0, 255, (32, 48, 3), np.uint8) for _ in range(5)]
        write_movie(tmp_path / name, frames)
        return tmp_path / name

    shot = MatteNode(STILL).connect(movie("a.mkv", 1), cache=disk(tmp_path / "c"))
    assert len({shot.stamp(frame) for frame in shot.frames}) == 5
    shot.at(2)
    (tmp_path / "b.mkv").write_bytes((tmp_path / "a.mkv").read_bytes())
    copy = MatteNode(STILL).connect(tmp_path / "b.mkv", cache=disk(tmp_path / "c"))
    copy.at(2)
    assert copy.steps == 0
    movie("b.mkv", 2)
    with pytest.raises(MediaError, match="Connect it again"):
        copy.at(2)
    other = MatteNode(STILL).connect(tmp_path / "b.mkv", cache=disk(tmp_path / "c"))
    assert same(other.at(2), straight(MatteNode(STILL), tmp_path / "b.mkv")[2])


# 4. checkpoints


def test_4_a_jump_costs_at_most_k_steps(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 40, size=(24, 32))
    size = 24 * 32 * 4
    # An eighth of the limit is for the states of one shot: eight of forty fit.
    limit = 8 * 8 * size
    node = MatteNode(RECURRENT)
    cache = Cache("states", store=Store(tmp_path / "c", limit * 8))
    assert cache.every(size, 40) == 5
    assert Cache("disk", store=Store(tmp_path / "c", limit)).every(size, 40) == 5
    dict(node.connect(plate, cache=cache).render())
    expected = straight(node, plate)
    for frame in (1040, 1003, 1026, 1025, 1011):
        shot = node.connect(plate, cache=Cache("states", store=Store(tmp_path / "c", limit * 8)))
        assert same(shot.at(frame), expected[frame])
        assert shot.steps <= 5, frame
        assert shot.steps == (frame - 1001) % 5 + 1


def test_4_newest_states_in_memory_oldest_forgotten(plate: str) -> None:
    state = 12 * 16 * 4
    cache = Cache("memory", states=4 * state, pictures=0)
    shot = MatteNode(RECURRENT).connect(plate, cache=cache)
    shot.at(10)
    assert len(cache.states) == 4
    assert cache.states.size == 4 * state
    shot.at(9)
    assert shot.steps == 11
    shot.at(11)
    assert shot.steps == 12


# 6. warm starts


def test_6_a_warm_start_never_mixes_with_exact_results(tmp_path: Path, plate: str) -> None:
    cache = disk(tmp_path / "c")
    node = MatteNode(RECURRENT)
    exact = node.connect(plate, cache=cache)
    dict(exact.render())
    warm = node.connect(plate, cache=cache, warm_up=2, start=8)
    mattes = dict(warm.render())
    assert list(mattes) == list(warm.frames) == list(range(8, COUNT + 1))
    assert warm.steps == 2 + 5
    assert not same(mattes[8], exact.at(8))
    assert warm.stamp(9) not in {exact.stamp(frame) for frame in exact.frames}
    assert warm.stamp(9) != node.connect(plate, warm_up=3, start=8).stamp(9)
    # It is what a clip of the frames from 6 on gives.
    for number in range(1, 6):
        Path(plate.replace("####", f"{number:04d}")).unlink()
    cold = straight(node, plate)
    assert all(same(mattes[frame], cold[frame]) for frame in mattes)
    with pytest.raises(UsageError, match="no frame 7"):
        warm.at(7)


def test_6_a_warm_start_in_any_order_is_its_own_straight_render(plate: str) -> None:
    node = MatteNode(RECURRENT)
    expected = straight(node, plate, warm_up=3, start=6)
    shot = node.connect(plate, warm_up=3, start=6)
    assert all(same(shot.at(frame), expected[frame]) for frame in (11, 6, 9, 12, 7))


def test_6_a_warm_start_that_reaches_the_first_frame_or_a_cut_is_exact(
    tmp_path: Path, plate: str
) -> None:
    node, cache = MatteNode(RECURRENT), disk(tmp_path / "c")
    exact = node.connect(plate, cache=cache)
    dict(exact.render())
    assert node.connect(plate, cache=cache, warm_up=50, start=8).stamp(9) == exact.stamp(9)
    cut = node.connect(plate, cache=cache, cuts=[7])
    warm = node.connect(plate, cache=cache, cuts=[7], warm_up=4, start=8)
    assert warm.stamp(9) == cut.stamp(9)


@pytest.mark.parametrize(
    "asked",
    [{"warm_up": -1, "start": 3}, {"warm_up": 2, "start": 99}, {"cuts": [99]}, {"cuts": "x"}],
)
def test_6_impossible_requests_are_said(plate: str, asked: Any) -> None:
    with pytest.raises(UsageError):
        MatteNode(RECURRENT).connect(plate, **asked)


def test_unknown_cache_is_said(plate: str) -> None:
    with pytest.raises(UsageError, match="memory, states, disk, off"):
        MatteNode(RECURRENT).connect(plate, cache="dsik")
