# SPDX-License-Identifier: Apache-2.0
"""Clicks in Nuke: from the position to the text, from the text to the request and a matte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matte_nodes import points

pytestmark = pytest.mark.nuke
WIDTH, HEIGHT = 160, 96


@pytest.fixture
def clicks(desk: Any) -> Any:
    import importlib

    return importlib.import_module("matte_nuke.clicks")


def test_buttons_add_clicks_in_nukes_own_coordinates(desk: Any) -> None:
    node = desk.open(frames=3)
    node["pick"]._value = [40.5, 20.0]
    desk.press("click_subject", wait=False)
    desk.nuke.set_frame(1003)
    node["pick"]._value = [5.0, 6.0]
    desk.press("click_not", wait=False)
    desk.set(click_object="left")
    desk.press("click_subject", wait=False)
    assert desk.text("clicks") == "+40.5,20@1001 -5,6@1003 left=+5,6@1003"
    desk.press("clear_clicks", wait=False)
    assert desk.text("clicks") == ""


def test_a_position_that_follows_a_tracker_gives_a_click_every_tenth_frame(desk: Any) -> None:
    node = desk.open(frames=3)
    desk.set(first=1001, last=1023)
    node["pick"]._value = [lambda frame: frame - 1000.0, 7.0]
    desk.press("click_along", wait=False)
    assert desk.text("clicks") == "+1,7@1001 +11,7@1011 +21,7@1021 +23,7@1023"


def test_the_request_counts_from_the_upper_left(clicks: Any) -> None:
    plain = clicks.points("+40,20@1001 -5,96@1003 left=+1,1@1001", WIDTH, HEIGHT)
    found = points.from_dict(json.loads(json.dumps(plain)))
    assert found.size == (WIDTH, HEIGHT)
    assert found.names == ("object", "left")
    assert found.at(1001).marks["object"].subject == ((40.0, 76.0),)
    assert found.at(1003).marks["object"].others == ((5.0, 0.0),)


def test_a_box_is_drawn_in_the_viewer_and_counts_from_the_upper_left(
    desk: Any, clicks: Any
) -> None:
    node = desk.open(frames=3)
    node["box"]._value = [10.0, 20.0, 60.0, 90.5]
    desk.press("click_box", wait=False)
    assert desk.text("clicks") == "box10,20,60,90.5@1001"
    plain = clicks.points(desk.text("clicks"), WIDTH, HEIGHT)
    found = points.from_dict(json.loads(json.dumps(plain)))
    assert found.at(1001).marks["object"].box == (10.0, 5.5, 60.0, 76.0)


def test_an_object_has_one_box_in_a_frame(desk: Any) -> None:
    node = desk.open(frames=3)
    desk.set(clicks="box=+1,1@1001 left=+2,2@1001")
    for right in (60.0, 70.0):
        node["box"]._value = [10.0, 20.0, right, 90.0]
        desk.press("click_box", wait=False)
    desk.set(click_object="left")
    desk.press("click_box", wait=False)
    assert desk.text("clicks") == (
        "box=+1,1@1001 left=+2,2@1001 box10,20,70,90@1001 left=box10,20,70,90@1001"
    )


def test_an_empty_box_is_refused(desk: Any) -> None:
    desk.open(frames=3)
    with pytest.raises(desk.actions.Trouble, match="box is empty"):
        desk.press("click_box", wait=False)


def test_a_word_that_is_no_click_and_a_bad_name_are_refused(desk: Any, clicks: Any) -> None:
    with pytest.raises(desk.actions.Trouble, match="is no click"):
        clicks.points("+40,20", WIDTH, HEIGHT)
    for word in ("+40,20,30@1001", "box1,2@1001", "box1,2,3@1001"):
        with pytest.raises(desk.actions.Trouble, match="is no click"):
            clicks.points(word, WIDTH, HEIGHT)
    desk.open(frames=3)
    desk.set(click_object="2 left")
    with pytest.raises(desk.actions.Trouble, match="cannot name an object"):
        desk.press("click_subject", wait=False)


def test_a_selector_without_a_click_says_what_to_press(desk: Any) -> None:
    desk.open(frames=3)
    desk.set(model="click")
    desk.press_and_fail("press 'Subject'")


def test_a_click_becomes_a_matte(desk: Any) -> None:
    node = desk.open(frames=3)
    shape = desk.plate.format()
    desk.set(model="click")
    node["pick"]._value = [shape.width() / 2, shape.height() / 2]
    desk.press("click_subject", wait=False)
    desk.press()
    assert desk.result(1003).is_file()
    desk.nuke.root().is_proxy = True
    desk.press_and_fail("Proxy mode is on")
