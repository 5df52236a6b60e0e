# SPDX-License-Identifier: Apache-2.0
"""Frames that are kept as they were read: a finishing knob reads nothing again, and stays exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.card import Prediction
from matte_nodes.models.click import Click
from matte_nodes.shot.shot import Shot
from matte_nodes.temporal.cache import Cache
from tests.made import write_image
from tests.temporal.rig import disk, same


def plate(folder: Path, seed: int = 0) -> str:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for frame in range(1001, 1004):
        pixels = (0.2 * rng.random((48, 64, 3))).astype(np.float16)
        pixels[12:36, 16 + 2 * (frame - 1000) : 40 + 2 * (frame - 1000)] += np.float16(
            [0.6, 0.3, 0.1]
        )
        write_image(folder / f"plate.{frame}.exr", pixels)
    return str(folder / "plate.####.exr")


def matte(cache: Cache | None, source: str, model: str, **knobs: Any) -> Any:
    given = {"points": {1001: [(30, 24, True)], 1003: [(34, 24, True)]}} if model == "click" else {}
    node = MatteNode(model, device="cpu", threads=1, **knobs)
    shot = node.connect(source, cache=cache, **given)
    ((_, found),) = shot.process(lambda frame, matte, image: matte, 1002, 1002)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read and answered, in order."""
    found: list[str] = []
    for owner, name in ((Shot, "read"), (Click, "answer"), (Click, "advance")):
        real = getattr(owner, name)

        def noted(*arguments: Any, _real: Any = real, _name: str = name) -> Any:
            found.append(_name)
            return _real(*arguments)

        monkeypatch.setattr(owner, name, noted)
    return found


@pytest.mark.parametrize("model", ["click", "green-screen"])
def test_a_finishing_knob_reads_nothing_again(model: str, tmp_path: Path, reads: list[str]) -> None:
    source, hot = plate(tmp_path / "in"), disk(tmp_path / "cache", frames=1 << 26)
    first = matte(hot, source, model)
    assert "read" in reads
    reads.clear()
    turned = matte(hot, source, model, shrink=2.0)
    assert reads == []
    assert same(turned, matte(None, source, model, shrink=2.0))
    assert not same(turned, first)


def test_a_replaced_plate_is_read_and_answered_again(tmp_path: Path, reads: list[str]) -> None:
    source, hot = plate(tmp_path / "in"), disk(tmp_path / "cache", frames=1 << 26)
    first = matte(hot, source, "click")
    reads.clear()
    plate(tmp_path / "in", seed=1)
    again = matte(hot, source, "click")
    assert "read" in reads
    assert "answer" in reads
    assert same(again, matte(None, source, "click"))
    assert not np.array_equal(again.foreground, first.foreground)


def test_a_step_s_knob_answers_again(tmp_path: Path) -> None:
    source, hot = plate(tmp_path / "in"), disk(tmp_path / "cache", frames=1 << 26)
    matte(hot, source, "green-screen")
    for knobs in ({"exposure": 1.0}, {"view": "srgb"}):
        turned = matte(hot, source, "green-screen", **knobs)
        assert same(turned, matte(None, source, "green-screen", **knobs))


def test_steadied_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matte_nodes.temporal import steady

    source, hot = plate(tmp_path / "in"), disk(tmp_path / "cache", frames=1 << 26)
    matte(hot, source, "green-screen", steady=0.5)
    calls: list[int] = []
    real = steady.carry
    monkeypatch.setattr(steady, "carry", lambda *a: calls.append(1) or real(*a))
    turned = matte(hot, source, "green-screen", steady=0.5, shrink=1.0)
    assert calls == []
    assert same(turned, matte(None, source, "green-screen", steady=0.5, shrink=1.0))
    matte(hot, source, "green-screen", steady=0.7)
    assert len(calls) > 2


def test_an_answer_whose_key_changed_while_it_was_made_is_not_kept() -> None:
    cache = Cache(frames=1 << 20)
    keys = iter(["old", "new"])
    made: list[int] = []

    def make() -> Prediction:
        made.append(1)
        return Prediction(np.full((2, 2), len(made), np.float32))

    first = cache.answered(lambda: next(keys), make)
    assert first.alpha[0, 0] == 1
    assert cache.answered(lambda: "old", make).alpha[0, 0] == 2
    assert cache.answered(lambda: "old", make).alpha[0, 0] == 2
