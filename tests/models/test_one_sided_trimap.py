# SPDX-License-Identifier: Apache-2.0
"""A trimap that knows one side only: the subject has left the picture, or fills it."""

from __future__ import annotations

import numpy as np
import pytest

from matte_nodes import MatteNode

MODELS = ("closed-form", "closed-form-refined", "trimap-cues")


@pytest.mark.parametrize("side", [0.0, 1.0])
def test_closed_form_is_that_side_everywhere(side: float) -> None:
    plate = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    trimap = np.full((24, 32), side, np.float32)
    trimap[8:16, 8:20] = 0.5
    assert (MatteNode("closed-form", device="cpu")(plate, trimap=trimap).alpha == side).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_trimap_without_a_known_pixel_is_an_answer_all_the_same(name: str) -> None:
    plate = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    trimap = np.full((24, 32), 0.5, np.float32)
    alpha = MatteNode(name, device="cpu")(plate, trimap=trimap).alpha
    assert np.isfinite(alpha).all()
    assert 0 <= alpha.min() <= alpha.max() <= 1
