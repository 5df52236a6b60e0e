# SPDX-License-Identifier: Apache-2.0
"""Cutting ranges: every frame once, cuts first, chains where states are handed over."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from matte_nodes import models
from matte_nodes.errors import UsageError
from matte_nodes.farm.plan import MOST_STEPS, balanced, handover, plan
from matte_nodes.frame_range import parsed_frames, spelled

FRAMES = range(1001, 1101)


@pytest.mark.parametrize(
    ("model", "warm_up", "expected"),
    [
        ("closed-form", None, ("free", None)),
        ("mmnet", None, ("free", None)),
        ("rvm", None, ("exact", None)),  # its card states no measured length
        ("rvm", 24, ("warm", 24)),
        ("rvm", 0, ("warm", 0)),
        ("closed-form", 24, ("free", None)),
    ],
)
def test_how_chunks_begin(
    model: str, warm_up: int | None, expected: tuple[str, int | None]
) -> None:
    assert handover([models.card(model)], warm_up) == expected


def test_chain_of_models_begins_as_its_strictest() -> None:
    cards = [models.card("rvm"), models.card("closed-form")]
    assert handover(cards, None) == ("exact", None)


def test_warm_chunks_are_cut_at_takes_first() -> None:
    found = plan(FRAMES, [1011, 1060], 32, "warm", 8)
    assert [(s.frames[0], s.frames[-1]) for s in found.steps] == [
        (1001, 1010), (1011, 1059), (1060, 1100),
    ]  # fmt: skip
    assert all(step.after is None for step in found.steps)
    assert found.chunks == [
        (1001, 1010), (1011, 1035), (1036, 1059), (1060, 1080), (1081, 1100),
    ]  # fmt: skip


def test_short_takes_share_a_chunk() -> None:
    found = plan(FRAMES, [1005, 1010, 1015, 1060], 32, "warm", 8)
    assert found.chunks[0] == (1001, 1014)


def test_exact_chunks_of_a_take_follow_each_other_and_takes_do_not() -> None:
    found = plan(FRAMES, [1041], 30, "exact", None)
    assert [(s.name, s.after) for s in found.steps] == [
        ("Matte_1001_1020", None), ("Matte_1021_1040", "Matte_1001_1020"),
        ("Matte_1041_1070", None), ("Matte_1071_1100", "Matte_1041_1070"),
    ]  # fmt: skip


def test_free_chunks_mind_no_cuts() -> None:
    found = plan(FRAMES, [1011], 50, "free", None)
    assert found.chunks == [(1001, 1050), (1051, 1100)]


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="larger chunks"):
        plan(range(1, 1001), [], 5, "exact", None)


@settings(max_examples=60, deadline=None)
@given(
    frames=some.sets(some.integers(-50, 400), min_size=1, max_size=200).map(sorted),
    cuts=some.sets(some.integers(-50, 400), max_size=20).map(sorted),
    size=some.integers(1, 64) | some.none(),
    begins=some.sampled_from(["free", "warm", "exact"]),
)
def test_every_frame_is_in_one_chunk(
    frames: list[int], cuts: list[int], size: int | None, begins: str
) -> None:
    try:
        found = plan(frames, cuts, size, begins, 4)  # type: ignore[arg-type]
    except UsageError:
        assert size is not None
        return
    assert len(found.steps) <= MOST_STEPS
    assert list(chain(*(step.frames for step in found.steps))) == frames
    covered = [n for low, high in found.chunks for n in frames if low <= n <= high]
    assert covered == frames
    if begins != "free":
        for low, high in found.chunks:
            inside = [cut for cut in cuts if low < cut <= high and cut in frames]
            take = [n for n in frames if low <= n <= high]
            assert not inside or len(take) <= (size or 1000)
    names = [step.name for step in found.steps]
    assert len(set(names)) == len(names)


@given(some.sets(some.integers(-999, 9999), min_size=1, max_size=60).map(sorted))
def test_ranges_are_read_as_they_are_spelled(frames: list[int]) -> None:
    assert parsed_frames(spelled(frames)) == frames


def test_chunks_differ_by_one_frame_at_most() -> None:
    assert [len(part) for part in balanced(range(10), 4)] == [4, 3, 3]
