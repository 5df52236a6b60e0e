# SPDX-License-Identifier: Apache-2.0
"""What is wrong is told before the first frame, and without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html import escape
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.errors import MissingFrameError, MissingInputError, UsageError
from matte_nodes.farm.paths import input_parameter, literal, one_line
from matte_nodes.publish.pages import page
from matte_nodes.render.progress import JsonLines, Quiet
from matte_nodes.render.render import Render
from matte_nodes.testing.scene import scene
from tests.made import write_image


def sequence(folder: Path, name: str, numbers: tuple[int, ...]) -> str:
    for number in numbers:
        write_image(folder / f"{name}.{number}.exr", scene(24, 32).plate.astype(np.float16))
    return str(folder / f"{name}.#.exr")


def test_all_gaps_are_told_before_the_first_frame(tmp_path: Path) -> None:
    plate = sequence(tmp_path, "p", (1, 2, 4, 5, 8, 9))
    render = Render(
        plate, str(tmp_path / "m.#.exr"), "green-screen", knobs={}, node={}, connect={}
    )  # fmt: skip
    with pytest.raises(MissingFrameError, match=r"frames 3,6-7 of 1-9 have no file.*--missing"):
        render.run(None, None, Quiet())
    assert not list(tmp_path.glob("m.*"))


def test_a_gap_outside_the_range_is_no_matter(tmp_path: Path) -> None:
    plate = sequence(tmp_path, "p", (1, 2, 4))
    Render(
        plate, str(tmp_path / "m.#.exr"), "green-screen", knobs={}, node={}, connect={}
    ).run(1, 2, Quiet())  # fmt: skip
    assert len(list(tmp_path.glob("m.*.exr"))) == 2


def test_a_hint_s_gap_is_told_before_the_first_frame(tmp_path: Path) -> None:
    plate = sequence(tmp_path, "p", (1, 2, 3, 4))
    clean = sequence(tmp_path, "c", (1, 2, 3))
    render = Render(
        plate, str(tmp_path / "m.#.exr"), "green-screen", knobs={}, node={},
        connect={"background": clean, "hint_offset": 0},
    )  # fmt: skip
    with pytest.raises(MissingInputError, match="frame 4"):
        render.run(None, None, Quiet())
    assert not list(tmp_path.glob("m.*"))


def test_without_libgl_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(
        'raise ImportError("libGL.so.1: cannot open shared object file: No such file")'
    )
    plate = sequence(tmp_path, "p", (1,))
    ran = subprocess.run(
        [sys.executable, "-m", "matte_nodes", "run", plate, "-o", str(tmp_path / "m.#.exr"),
         "--model", "green-screen", "--no-service"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 5
    assert "Traceback" not in ran.stderr
    assert "apt-get install libgl1" in ran.stderr


@pytest.mark.parametrize("name", ["a\nrm -rf b", "a\rb", "a\x1b[2Jb", "a\0b", "a\x85b"])
def test_names_with_control_characters_go_into_no_job(name: str) -> None:
    for check in (one_line, literal, lambda text: input_parameter("Plate", f"/x/{text}/p.#.exr")):
        with pytest.raises(UsageError, match="control characters"):
            check(name)


@pytest.mark.parametrize("name", ["@FACTS@", "@SCRIPT@", "@STYLE@@TITLE@", r"\1\g<0>"])
def test_a_title_with_a_mark_of_the_page_breaks_nothing(name: str) -> None:
    made = page(name, {"note": name})
    assert f"<title>{escape(name)}" in made
    assert made.count("<script") == page("x", {"note": "x"}).count("<script")
    assert len(made) - len(page("", {"note": ""})) < 300


def test_a_full_disk_behind_json_is_one_line(tmp_path: Path) -> None:
    plate = sequence(tmp_path, "p", (1,))
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "matte_nodes", "run", plate, "-o", str(tmp_path / "m.#.exr"),
             "--model", "green-screen", "--no-service", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
    assert ran.returncode == 6
    assert "Traceback" not in ran.stderr
    assert "standard output" in ran.stderr


def test_a_full_disk_behind_plain_text_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "matte_nodes", "--version"], stdout=full,
            stderr=subprocess.PIPE, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    assert ran.returncode == 6
    assert "Traceback" not in ran.stderr
    assert "standard output" in ran.stderr


def test_json_of_a_stopped_run_has_the_exit_code_of_the_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), JsonLines():
        raise KeyboardInterrupt
    assert json.loads(capsys.readouterr().out)["exit_code"] == 130
