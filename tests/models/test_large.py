# SPDX-License-Identifier: Apache-2.0
"""Every model at 1919 x 1079, and (slow) at 8K: shapes, range, solid pixels are the plate."""

from __future__ import annotations

import pytest

from matte_nodes import MatteNode, models
from matte_nodes.testing.compliance import check_matte
from matte_nodes.testing.scene import scene
from tests.conftest import has_weights
from tests.models.test_compliance import small

NAMES = [name for name in models.names() if name != "toy"]


def matte_at(name: str, height: int, width: int) -> None:
    card = models.card(name)
    if not has_weights(name):
        pytest.skip(f"weights of {name} are not here")
    node = MatteNode(card, device="cpu", untrained=card.checkpoint is not None, **small(card))
    made = scene(height, width)
    hints = {hint: made.hint(hint) for hint in card.needs}
    if name.startswith("closed-form"):
        # Its time goes with the unknown band: a narrow one is what a roto artist draws.
        known = (made.alpha < 0.45) | (made.alpha > 0.55)
        hints["trimap"] = made.trimap.copy()
        hints["trimap"][known] = (made.alpha > 0.5)[known]
    check_matte(node(made.plate, **hints), made.plate, f"{name} at {width} x {height}")


@pytest.mark.parametrize("name", NAMES)
def test_odd_hd(name: str) -> None:
    matte_at(name, 1079, 1919)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_8k(name: str) -> None:
    matte_at(name, 4320, 7680)
