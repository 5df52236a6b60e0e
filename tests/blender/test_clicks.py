# SPDX-License-Identifier: Apache-2.0
"""Clicks as a text on the node, and as the points of a request. No Blender is run here."""

from __future__ import annotations

import importlib

import pytest

from matte_nodes.points import from_dict
from tests.blender.test_logic import Trouble, job

clicks = importlib.import_module("matte_nodes_blender.clicks")


def text(*marks: list[object]) -> str:
    return str(clicks.added("", marks))


def test_places_are_turned_round_for_the_service() -> None:
    """Blender counts from the lower left, the service in pixels from the upper left."""
    told = clicks.points(
        text([3, "subject", 0.25, 0.75], [3, "not", 0.0, 0.0]), 200, 100, still=False
    )
    frames = told["objects"][0]["frames"]
    assert frames == {"3": {"subject": [[50.0, 25.0]], "not": [[0.0, 99.5]]}}
    assert from_dict(told).size == (200, 100), "the library reads it"


def test_a_box_may_go_beyond_the_picture_and_a_click_may_not() -> None:
    told = clicks.points(text([1, "box", -0.5, 0.5, 0.5, 1.5]), 200, 100, still=True)
    assert told["objects"][0]["frames"] == {"first": {"box": [0.0, 0.0, 100.0, 50.0]}}
    with pytest.raises(Trouble, match="frame 1 lies outside"):
        clicks.points(text([1, "subject", 1.2, 0.5]), 200, 100, still=False)


def test_a_new_box_takes_the_place_of_the_old_one() -> None:
    once = text([1, "box", 0.1, 0.1, 0.2, 0.2], [2, "box", 0.1, 0.1, 0.2, 0.2])
    twice = clicks.read(clicks.added(once, [[1, "box", 0.3, 0.3, 0.4, 0.4]]))
    assert twice == [[1, "box", 0.3, 0.3, 0.4, 0.4], [2, "box", 0.1, 0.1, 0.2, 0.2]]


def test_the_nearest_click_of_the_frame_is_removed() -> None:
    there = text([1, "subject", 0.5, 0.5], [1, "not", 0.504, 0.5], [2, "subject", 0.5, 0.5])
    left = clicks.read(clicks.removed(there, 1, 0.505, 0.5))
    assert left == [[1, "subject", 0.5, 0.5], [2, "subject", 0.5, 0.5]]
    assert clicks.read(clicks.removed(there, 1, 0.9, 0.9)) == clicks.read(there)


def test_what_cannot_be_asked_for_is_said() -> None:
    with pytest.raises(Trouble, match="beside the subject"):
        clicks.points(text([1, "not", 0.5, 0.5]), 200, 100, still=False)
    with pytest.raises(Trouble, match="how large"):
        clicks.points(text([1, "subject", 0.5, 0.5]), 0, 0, still=False)
    assert clicks.read("{") == clicks.read('[["x"]]') == []


def test_named_objects_are_objects_of_the_request() -> None:
    """Each with its own clicks and box; the one that nobody named is `subject`."""
    there = text([1, "subject", 0.25, 0.5, "left"], [1, "subject", 0.75, 0.5])
    there = clicks.added(there, [[1, "box", 0.5, 0.0, 1.0, 1.0, "right"]])
    there = clicks.added(there, [[1, "box", 0.6, 0.0, 1.0, 1.0, "right"]])
    found = from_dict(clicks.points(there, 200, 100, still=False))
    assert sorted(found.objects) == ["left", "right", "subject"]
    assert clicks.in_words(there) == [
        "right: 1 box, in 1 frame",
        "left: 1 on it, in 1 frame",
        "subject: 1 on it, in 1 frame",
    ]
    beside = clicks.added(there, [[2, "not", 0.5, 0.5, "pot"]])
    with pytest.raises(Trouble, match="beside the object pot"):
        clicks.points(beside, 200, 100, still=False)
    assert clicks.read(clicks.removed(there, 1, 0.25, 0.5)) == [
        mark for mark in clicks.read(there) if mark[-1] != "left"
    ]


def test_a_name_that_no_object_can_have_is_refused() -> None:
    assert [clicks.checked(name) for name in ("", "subject", " left-2 ")] == ["", "", "left-2"]
    for name in ("2nd", "a b", "a.b"):
        with pytest.raises(Trouble, match="begin with a letter"):
            clicks.checked(name)


def test_words_for_the_panel() -> None:
    there = text([1, "subject", 0.5, 0.5], [9, "box", 0.1, 0.1, 0.2, 0.2])
    assert clicks.in_words(there) == ["1 on it, 1 box, in 2 frames"]
    assert clicks.in_words("") == ["no marks yet"]
    assert clicks.along(1, 25) == [1, 11, 21, 25]
    assert [job.in_words(s) for s in (0.2, 59, 90, 7300)] == [
        "1 s left", "59 s left", "2 min left", "2 h 2 min left",
    ]  # fmt: skip
