# SPDX-License-Identifier: Apache-2.0
"""The compliance suite over every registered model, and over the toy of another package."""

from __future__ import annotations

from typing import Any

import pytest

from matte_nodes import models
from matte_nodes.card import Bank, ModelCard
from matte_nodes.testing import BankCompliance, ModelCompliance
from tests.conftest import has_weights


def small(card: ModelCard) -> dict[str, Any]:
    """Knobs of a small, quick network, as its architecture declares them."""
    architecture = models.architecture(card)
    return dict(architecture.small) if architecture else {}


def _suite(name: str) -> type:
    card = models.card(name)
    # Numbers of channels do not change what is tested.
    body = {"card": card, "knobs": small(card)}
    if card.checkpoint:
        body["node_options"] = {"untrained": True, "threads": 1}
    kind = BankCompliance if isinstance(card.memory, Bank) else ModelCompliance
    suite = type(f"Test_{name.replace('-', '_')}", (kind,), body)
    if not has_weights(name):
        suite = pytest.mark.skip(reason=f"weights of {name} are not here")(suite)
    return suite


for _name in models.names():
    globals()[f"Test_{_name.replace('-', '_')}"] = _suite(_name)


def test_the_toy_of_another_package_is_registered() -> None:
    assert "toy" in models.names()
    assert models.card("toy").code_licence == "MIT"
