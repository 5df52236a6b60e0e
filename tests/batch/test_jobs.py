# SPDX-License-Identifier: Apache-2.0
"""`matte run --jobs N`: several processes write what one writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.batch import processes
from matte_nodes.farm.plan import ChunkPlan, FarmStep
from matte_nodes.farm.request import FarmPlan, local_parts
from tests.batch.test_stills import alpha_of, matte, picture
from tests.conftest import has_weights
from tests.made import read_named, write_image


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Seven frames."""
    for number in range(1, 8):
        write_image(tmp_path / f"p.{number:04d}.png", picture(number % 5))
    return str(tmp_path / "p.####.png")


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def same(first: Path, second: Path) -> bool:
    """Whether two folders hold the same frames with the same pixels."""
    names = [path.name for path in sorted(first.glob("*.exr"))]
    assert names == [path.name for path in sorted(second.glob("*.exr"))]
    for name in names:
        a, b = read_named(first / name), read_named(second / name)
        assert a.keys() == b.keys()
        if not all(np.array_equal(a[channel], b[channel]) for channel in a):
            return False
    return bool(names)


def test_a_clip_in_parts_has_the_pixels_of_one_process(clip: str, tmp_path: Path) -> None:
    one = matte(clip, "-o", tmp_path / "one/m.####.exr", "--gamma", "1.3", "--frames", "2-7")
    assert one.exit_code == 0, one.output
    two = matte(clip, "-o", tmp_path / "two/m.####.exr", "--gamma", "1.3", "--frames", "2-7",
                "--jobs", "2", "--json")  # fmt: skip
    assert two.exit_code == 0, two.output
    assert same(tmp_path / "one", tmp_path / "two")
    told = events(two.output)
    assert [event["event"] for event in told].count("start") == 1
    assert sorted(event["frame"] for event in told if event["event"] == "frame") == [*range(2, 8)]
    assert told[-1] == {"event": "done", "frames": 6, "output": str(tmp_path / "two/m.####.exr")}
    again = matte(clip, "-o", tmp_path / "two/m.####.exr", "--gamma", "1.3", "--frames", "2-7",
                  "--jobs", "2", "--json")  # fmt: skip
    assert events(again.output)[-1]["frames"] == 0  # all were done before


def test_a_model_that_remembers_is_cut_at_takes(clip: str, tmp_path: Path) -> None:
    if not has_weights("rvm"):
        pytest.skip("needs the weights of rvm")
    for jobs, name in ((1, "one"), (2, "two")):
        ran = matte(clip, "-o", tmp_path / name / "m.####.exr", "--cuts", "4", "--jobs", jobs,
                    "--refine", "trimap-cues", "--model", "rvm")  # fmt: skip
        assert ran.exit_code == 0, ran.output
    assert same(tmp_path / "one", tmp_path / "two")


def plan_of(handover: str, cuts: tuple[int, ...]) -> FarmPlan:
    frames = tuple(range(1, 13))
    steps = (FarmStep("Matte", frames, 99),)
    plan = ChunkPlan(handover, None, steps)  # type: ignore[arg-type]
    return FarmPlan(plan, ("rvm",), "rvm", None, cuts, frames, (), ())


def test_where_a_clip_is_cut() -> None:
    assert local_parts(plan_of("free", ()), 4, is_warm=False) == [(1, 3), (4, 6), (7, 9), (10, 12)]
    assert local_parts(plan_of("exact", (5, 6)), 4, is_warm=False) == [(1, 4), (5, 5), (6, 12)]
    # A measured warm-up of the card is no reason to change a pixel.
    assert local_parts(plan_of("warm", (5,)), 4, is_warm=False) == [(1, 4), (5, 12)]
    assert local_parts(plan_of("exact", ()), 4, is_warm=False) == [(1, 12)]
    assert len(local_parts(plan_of("warm", (5,)), 4, is_warm=True)) == 4


def test_a_part_that_fails_ends_the_run_with_its_words(clip: str, tmp_path: Path) -> None:
    (tmp_path / "p.0006.png").write_bytes(b"no picture")
    ran = matte(clip, "-o", tmp_path / "out/m.####.exr", "--jobs", "2", "--json")
    assert ran.exit_code != 0
    assert "p.0006.png" in str(ran.exception or "") + ran.output


def test_a_movie_is_written_by_one_process(clip: str, tmp_path: Path) -> None:
    ran = matte(clip, "-o", tmp_path / "m.mov", "--jobs", "2")
    assert ran.exit_code != 0
    assert "####" in str(ran.exception)


def test_memory_bounds_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.stills, "available", lambda: 16 << 30)
    assert processes.fitting(64, 1280 * 720) == 5
    assert processes.fitting(4, 1280 * 720) == 4
    assert processes.fitting(64, 7680 * 4320) == 1


def test_stills_by_processes_are_those_of_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        write_image(tmp_path / "in" / f"{'abc'[number]}.png", picture(number))
    (tmp_path / "in" / "d.png").write_bytes(b"no picture")
    for jobs, name in ((1, "one"), (2, "two")):
        ran = matte(tmp_path / "in", "-o", f"{tmp_path}/{name}/", "--jobs", jobs)
        assert ran.exit_code == 3, ran.output
        assert "d.png" in ran.output
    for name in ("a.png", "b.png", "c.png"):
        assert np.array_equal(alpha_of(tmp_path / "one" / name), alpha_of(tmp_path / "two" / name))
