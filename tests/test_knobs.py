# SPDX-License-Identifier: Apache-2.0
"""Knob values: checked once, for every model and host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import KnobValueError, UnknownKnobError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", "1.0"),
        ("gamma", None),
        ("gamma", [1.0]),
        ("gamma", float("nan")),
        ("gamma", float("inf")),
        ("gamma", True),
        ("gamma", -1.0),
        ("tile", 1.5),
        ("view", "SRGB"),
        ("view", 1),
        ("align_background", 1),
        ("exposure", 99),
    ],
)
def test_wrong_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(KnobValueError, match=name):
        MatteNode("green-screen", **{name: value})


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2)])
def test_any_kind_of_number_is_one(value: Any) -> None:
    assert MatteNode("green-screen", exposure=value).knobs["exposure"] == 2.0


def test_old_names_of_a_knob_are_accepted() -> None:
    assert MatteNode("toy", keep=0.25).knobs["hold"] == 0.25


def test_a_misspelt_knob_gets_a_hint() -> None:
    with pytest.raises(UnknownKnobError, match="Did you mean 'exposure'"):
        MatteNode("green-screen", exposur=1)
