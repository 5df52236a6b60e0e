# SPDX-License-Identifier: Apache-2.0
"""What leaves the node besides the matte: the plate's layers, the choice of the output, its box.

The stand-in follows each channel through the nodes of the gizmo, as the NDK says of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.nuke.desk import Desk

RGBA = ("red", "green", "blue", "alpha")
FG = ("red", "green", "blue")


def matted(desk: Desk) -> Any:
    """A matted node whose plate has more layers, and whose result has two objects."""
    node = desk.open()
    desk.press()
    desk.plate.has = [
        *(f"rgba.{c}" for c in RGBA), "depth.Z", "forward.u", "fg.red", "fg.green", "fg.blue",
    ]  # fmt: skip
    node.node("result").has = [
        *(f"rgba.{c}" for c in RGBA), *(f"fg.{c}" for c in FG), "alpha.left", "alpha.right",
    ]  # fmt: skip
    return node


def layers(desk: Desk) -> dict[str, str]:
    found: dict[str, str] = desk.nuke.layers(desk.node, 1002)
    return found


def test_the_plates_other_layers_pass_through(desk: Desk) -> None:
    matted(desk)
    found = layers(desk)
    assert found["depth.Z"] == "Read1.depth.Z"
    assert found["forward.u"] == "Read1.forward.u"


def test_rgba_and_fg_are_the_results_alone(desk: Desk) -> None:
    """The plate has an alpha and a layer fg of its own: nothing of it may be added."""
    matted(desk)
    found = layers(desk)
    assert {found[f"rgba.{c}"] for c in RGBA} == {f"result.rgba.{c}" for c in RGBA}
    assert {found[f"fg.{c}"] for c in FG} == {f"result.fg.{c}" for c in FG}


def test_each_object_has_a_layer(desk: Desk) -> None:
    matted(desk)
    assert layers(desk)["alpha.left"] == "result.alpha.left"
    assert layers(desk)["alpha.right"] == "result.alpha.right"


def test_straight(desk: Desk) -> None:
    matted(desk)
    desk.set(output="straight")
    found = layers(desk)
    assert [found[f"rgba.{c}"] for c in RGBA] == [
        "result.fg.red", "result.fg.green", "result.fg.blue", "result.rgba.alpha",
    ]  # fmt: skip
    assert found["depth.Z"] == "Read1.depth.Z"


def test_plate_and_alpha(desk: Desk) -> None:
    matted(desk)
    desk.set(output="plate and alpha")
    found = layers(desk)
    assert [found[f"rgba.{c}"] for c in RGBA] == [
        "Read1.rgba.red", "Read1.rgba.green", "Read1.rgba.blue", "result.rgba.alpha",
    ]  # fmt: skip
    assert found["fg.red"] == "result.fg.red"
    assert found["depth.Z"] == "Read1.depth.Z"


@pytest.mark.parametrize("output", ["premultiplied", "straight", "plate and alpha"])
def test_a_render_has_the_output_that_was_chosen(desk: Desk, output: str) -> None:
    matted(desk)
    desk.set(output=output, view="alpha")
    rendered = layers(desk)
    desk.nuke.GUI = True
    seen = layers(desk)
    desk.set(view="final")
    assert rendered == layers(desk)
    assert rendered != seen


def test_without_the_plates_layers(desk: Desk) -> None:
    matted(desk)
    desk.set(pass_layers=False)
    assert "depth.Z" not in layers(desk)
    assert desk.nuke.box(desk.node, 1002) == {"result"}


@pytest.mark.parametrize("output", ["premultiplied", "straight", "plate and alpha"])
def test_the_bounding_box_holds_both_or_is_the_mattes(desk: Desk, output: str) -> None:
    matted(desk)
    desk.set(output=output)
    assert desk.nuke.box(desk.node, 1002) == {"Read1", "result"}
    desk.set(tight=True)
    assert desk.nuke.box(desk.node, 1002) == {"result"}


def test_a_missing_matte_is_still_an_error_in_a_render(desk: Desk) -> None:
    desk.open()
    desk.nuke.GUI = False
    with pytest.raises(RuntimeError, match="press_Matte_range"):
        desk.nuke.shown(desk.node, 1002)
