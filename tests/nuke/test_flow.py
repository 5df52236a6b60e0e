# SPDX-License-Identifier: Apache-2.0
"""From button to picture: the plug-in as it is installed, the stand-in for Nuke, a real service."""

from __future__ import annotations

import numpy as np

from tests.made import read_named
from tests.nuke.desk import Desk


def test_matte_range_in_terminal_mode(desk: Desk) -> None:
    desk.open()
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    assert desk.text("has_result") is True
    assert str(desk.node.node("result")["file"].value()).startswith(
        "[file dirname [value root.name]]/"
    )
    for frame in range(1001, 1006):
        found = read_named(desk.result(frame))
        assert {"R", "G", "B", "A", "fg.R", "fg.G", "fg.B"} <= set(found)
        assert found["A"].max() == 1
        assert found["A"].min() == 0
        np.testing.assert_allclose(found["R"], found["fg.R"] * found["A"], atol=2e-3)


def test_matte_range_with_a_window(desk: Desk) -> None:
    desk.open(gui=True)
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"
    assert desk.result(1003).is_file()
    assert 100 in desk.nuke.task().told
