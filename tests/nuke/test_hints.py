# SPDX-License-Identifier: Apache-2.0
"""Hints that are drawn on some frames only: from a text, from a Roto's keys."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.nuke.desk import Desk


@pytest.fixture
def hints(desk: Desk) -> Any:
    return importlib.import_module("matte_nuke.hints")


class Curve:
    """A point of a shape, or one of a stroke, with its keys."""

    def __init__(self, *times: float) -> None:
        self.times = times

    def getControlPointKeyTimes(self) -> list[float]:
        return list(self.times)


class Point:
    def __init__(self, *times: float) -> None:
        self.center = Curve(*times)


class Curves:
    def __init__(self, layer: Any) -> None:
        self.rootLayer = layer


def roto(desk: Desk, layer: Any) -> Any:
    node = desk.nuke.Node("Roto", "Roto1")
    node._knobs["curves"] = Curves(layer)
    return node


def test_frames_as_a_text(hints: Any, desk: Desk) -> None:
    assert hints.key_frames("1001 1012-1014, 1003") == [1001, 1003, 1012, 1013, 1014]
    for wrong in ("x", "1005-1001", "10.5"):
        with pytest.raises(desk.actions.Trouble, match="names no frames"):
            hints.key_frames(wrong)


def test_only_the_key_frames_are_rendered_and_the_key_before_is_held(desk: Desk) -> None:
    desk.open()
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    desk.set(model="closed-form", trimap_channel="red", trimap_keys="1001 1004")
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    done = [call[2:] for call in desk.nuke.CALLS if call[0] == "execute"]
    assert done == [(1001, 1001), (1004, 1004)]


def test_one_frame_between_keys_has_its_key(desk: Desk) -> None:
    desk.open()
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    desk.set(model="closed-form", trimap_channel="red", trimap_keys="1001")
    desk.nuke.set_frame(1003)
    desk.press("matte_frame")
    assert desk.text("state") == "done: 1 of 1 frames (1 matted now)"


def test_a_frame_that_no_key_serves_is_said(desk: Desk) -> None:
    desk.open()
    desk.node.setInput(1, desk.read("trimap", suffix="png"))
    desk.set(model="closed-form", trimap_channel="red", trimap_keys="1003 1005")
    desk.set(hint_between="only")
    desk.press_and_fail("1001")


def test_between_is_in_the_request_and_in_the_settings(desk: Desk) -> None:
    from tests.nuke.test_handover import make_plan

    desk.open()
    desk.node.setInput(3, desk.read("trimap", suffix="png"))
    assert "hint_keys" not in make_plan(desk).request("/run")["connect"]
    desk.set(segmentation_keys="1001", hint_between="nearest")
    assert make_plan(desk).request("/run")["connect"]["hint_keys"] == "nearest"


def test_keys_come_from_a_roto(desk: Desk) -> None:
    node = desk.open()
    stroke = [Curve(1010.0)]
    shape = [Point(1001.0, 1007.0), Point(1001.0)]
    above = desk.nuke.Node("Blur", "Blur1")
    above.setInput(0, roto(desk, [shape, stroke]))
    node.setInput(1, above)
    desk.press("keys_of_roto")
    assert desk.text("trimap_keys") == "1001 1007 1010"
    assert desk.text("segmentation_keys") == ""


def test_a_layer_in_a_layer(desk: Desk, hints: Any) -> None:
    assert hints.roto_keys(roto(desk, [[[Point(1004.0)]]])) == [1004]


def test_no_roto_and_no_keys_are_said(desk: Desk, hints: Any) -> None:
    desk.open()
    with pytest.raises(desk.actions.Trouble, match="no Roto"):
        desk.press("keys_of_roto")
    with pytest.raises(desk.actions.Trouble, match="has no keys"):
        hints.roto_keys(roto(desk, []))
    with pytest.raises(desk.actions.Trouble, match="cannot be read"):
        hints.roto_keys(desk.nuke.Node("Roto", "Roto2"))
