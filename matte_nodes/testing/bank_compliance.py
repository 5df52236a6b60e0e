# SPDX-License-Identifier: Apache-2.0
"""What every model with a `Bank` must do: key frames, both directions, saved states, a first mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from matte_nodes.testing.compliance import ModelCompliance
from matte_nodes.testing.scene import Scene, scene

COUNT = 5


class BankCompliance(ModelCompliance):
    """The suite of a model that carries masks from key frames; used as `ModelCompliance` is."""

    def test_any_order_between_several_key_frames(self, node: MatteNode) -> None:
        """Frames between key frames, asked for in any order, are those of a straight render."""
        made = _clip()
        straight = _alphas(_keyed(node, made, (1, COUNT)))
        shot = _keyed(node, made, (1, COUNT))
        for number in (3, COUNT, 2, 4, 1, 3):
            assert np.array_equal(shot.at(number).alpha, straight[number - 1]), number

    def test_a_live_stream_is_a_shot_with_its_key_first(self, node: MatteNode) -> None:
        """Steps from a first click on equal the frames of a shot that has this click alone."""
        made = _clip()
        straight = _alphas(_keyed(node, made, (1,)))
        with node.stream() as live:
            for number, expected in enumerate(straight):
                hints: dict[str, Any] = {"points": made[0].points} if number == 0 else {}
                assert np.array_equal(live.step(made[number].plate, **hints).alpha, expected)

    def test_states_are_saved_and_loaded(self, node: MatteNode, tmp_path: Path) -> None:
        """A second process goes on from the states of the first: same pixels, fewer steps."""
        made = _clip()
        straight = _alphas(_keyed(node, made, (1,)))
        first = _keyed(node, made, (1,), cache=Cache("disk", store=Store(tmp_path)))
        first.at(COUNT - 1)
        again = _keyed(node, made, (1,), cache=Cache("disk", store=Store(tmp_path)))
        assert np.array_equal(again.at(COUNT).alpha, straight[COUNT - 1])
        assert again.steps < first.steps
        assert again.stamp(COUNT) == first.stamp(COUNT)

    def test_a_first_mask_is_the_mask_of_its_frame(self, node: MatteNode) -> None:
        """A painted mask wins over the clicks of its frame, and is in the keys of later frames."""
        made = _clip()
        drawn = np.zeros(made[0].alpha.shape, np.float32)
        drawn[6:30, 10:34] = 1
        painted = _keyed(node, made, (1,), segmentation={1: drawn}, hint_keys="only")
        assert ((painted.at(1).alpha > 0.5) == (drawn > 0.5)).mean() > 0.9
        assert painted.stamp(COUNT) != _keyed(node, made, (1,)).stamp(COUNT)

    def test_each_key_frame_is_in_the_keys_of_the_frames_it_reaches(self, node: MatteNode) -> None:
        """A click more in a later frame reaches back to the key before it, not further."""
        made = _clip()
        before, after = _keyed(node, made, (1, 3)), _keyed(node, made, (1, 3, COUNT))
        stamps = [(before.stamp(n), after.stamp(n)) for n in range(1, COUNT + 1)]
        assert [one == two for one, two in stamps] == [True, True, True, False, False]


def _clip() -> list[Scene]:
    return [scene(40, 56, time=0.3 * t) for t in range(COUNT)]


def _keyed(node: MatteNode, made: list[Scene], keys: tuple[int, ...], **more: Any) -> Any:
    """A shot with a click on the disc in these frames."""
    points = {number: made[number - 1].points for number in keys}
    return node.connect([item.plate for item in made], points=points, **more)


def _alphas(shot: Any) -> list[Any]:
    return [matte.alpha for _, matte in shot.render()]
