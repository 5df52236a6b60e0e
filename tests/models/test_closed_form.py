# SPDX-License-Identifier: Apache-2.0
"""Closed form where its solver does not settle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from tests.made import scenes


def test_a_frame_on_which_it_does_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest that the solver came to, and a word to the artist; the trimap still holds."""
    pymatting = pytest.importorskip("pymatting")
    from matte_nodes.models import closed_form

    (made,) = scenes(1)
    plate, trimap = made.plate, made.trimap
    whole = MatteNode("closed-form", device="cpu")(plate, trimap=trimap).alpha
    monkeypatch.setattr(closed_form, "MOST_STEPS", 2)
    monkeypatch.setattr(
        pymatting, "estimate_alpha_cf", lambda *a, **k: _without_preconditioner(*a, **k)
    )
    with pytest.warns(closed_form.SolverWarning, match="did not converge"):
        early = MatteNode("closed-form", device="cpu")(plate, trimap=trimap).alpha
    assert np.array_equal(early[trimap != 0.5], trimap[trimap != 0.5])
    assert np.isfinite(early).all()
    assert early.min() >= 0
    assert early.max() <= 1
    assert not np.array_equal(early, whole)


def _without_preconditioner(*arguments: Any, **named: Any) -> Any:
    from pymatting.alpha.estimate_alpha_cf import estimate_alpha_cf

    return estimate_alpha_cf(*arguments, **{**named, "preconditioner": lambda a: None})


def test_an_unknown_island_in_the_background() -> None:
    """No unknown pixel lies at the foreground: all of them are background, and no error."""
    pytest.importorskip("pymatting")
    (made,) = scenes(1)
    trimap = np.zeros(made.trimap.shape, np.float32)
    trimap[20:40, 20:40] = 1
    trimap[50:60, 60:80] = 0.5
    alpha = MatteNode("closed-form", device="cpu")(made.plate, trimap=trimap).alpha
    assert np.array_equal(alpha, trimap == 1)


def test_another_fault_of_the_solver_is_told() -> None:
    from matte_nodes.models.closed_form import solve

    def broken(*arguments: Any, **named: Any) -> Any:
        raise ValueError("shapes differ")

    with pytest.raises(ValueError, match="shapes differ"):
        solve(broken, np.zeros((3, 3, 3)), np.full((3, 3), 0.5))
