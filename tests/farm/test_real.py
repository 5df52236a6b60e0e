# SPDX-License-Identifier: Apache-2.0
"""Jobs that really run: by `openjd run`, with RVM on a real clip, and with a made model and clip."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.farm.parts import farm_folder, recorded
from matte_nodes.render.resume_log import Manifest, manifest_path
from tests.conftest import data_folder, has_weights
from tests.farm.engine import SCRIPTS, Bundle, bundle, chunks, command, environment
from tests.made import write_movie
from tests.service.serving import same_frames, wait_for

pytestmark = [pytest.mark.xdist_group("farm"), pytest.mark.timeout(900)]

REAL = "video-people/carphone_pristine.mp4"


@dataclass(frozen=True)
class Footage:
    """A clip, the model for it, and the warm-up that was measured on it for chunks of 30."""

    clip: Path
    flags: tuple[str, ...]
    warm_up: int
    frames: int


@pytest.fixture(scope="module", params=["real", "made"])
def footage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """RVM on a real clip; and a model that forgets by half each frame, on a made one."""
    layout = ("--layout", "alpha")
    data = data_folder()
    if request.param == "real":
        if data is None or not has_weights("rvm"):
            pytest.skip("no real pictures here (MATTE_TEST_DATA), or no weights of rvm")
        return Footage(data / REAL, ("--model", "rvm", *layout), 64, 120)
    if data is not None and has_weights("rvm"):
        pytest.skip("the real clip is here: the made one stands in for it where it is not")
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (6, 8, 3), np.uint8) for _ in range(90)]
    write_movie(folder / "plate.mkv", [np.kron(f, np.ones((8, 8, 1), np.uint8)) for f in frames])
    # A code of 255 after 8 frames: 0.5 ** 8 is 1 / 256.
    return Footage(folder / "plate.mkv", ("--model", "toy", *layout), 10, 90)


@pytest.fixture(scope="module")
def straight(footage: Footage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 60 frames by one `matte run`."""
    folder = tmp_path_factory.mktemp("straight")
    command(
        "matte", "run", footage.clip, "-o", folder / "out" / "matte.####.exr", *footage.flags,
        "--frames", "1-60", "--quiet", home=folder / "home",
    )  # fmt: skip
    return folder / "out"


def exact(footage: Footage, folder: Path) -> Bundle:
    """A bundle of three chunks that hand their states over."""
    return bundle(folder, footage.clip, *footage.flags, "--frames", "1-60", "--chunk", 20)


STEPS = ("Matte_1_20", "Matte_21_40", "Matte_41_60")
RANGES = ("1-20", "21-40", "41-60")


def test_a_job_gives_the_frames_of_one_run(
    footage: Footage, straight: Path, tmp_path: Path
) -> None:
    job = exact(footage, tmp_path)
    log = job.whole(service=True).stdout
    assert chunks(log) == list(RANGES)
    assert "openjd_progress" in log
    assert log.count("the model stays loaded") == 3  # a session for each of the chained steps
    assert same_frames(straight, job.output) == 60
    assert "60 frames are whole" in log
    # States were handed over, and are gone when all is well.
    assert not (farm_folder(str(job.output / "matte.####.exr")) / "states").exists()


def test_three_machines_at_once_give_the_frames_of_one_run(
    footage: Footage, straight: Path, tmp_path: Path
) -> None:
    """One openjd for each chunk, in any order: states that are not there yet are computed."""
    job = exact(footage, tmp_path)
    processes = [
        subprocess.Popen(
            [str(SCRIPTS / "openjd"), *map(str, job.arguments(
                "--step", step, "--no-run-dependencies", "-tp", f"Frame={frames}"
            )[1:])],
            env=environment(tmp_path / f"machine{index}"), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for index, (step, frames) in reversed(list(enumerate(zip(STEPS, RANGES, strict=True))))
    ]  # fmt: skip
    for process in processes:
        said, _ = process.communicate(timeout=280)
        assert process.returncode == 0, said[-3000:]
    assert same_frames(straight, job.output) == 60
    # Workers that send files to each other keep one of their manifests: Validate mends it.
    output = str(job.output / "matte.####.exr")
    manifest_path(output).unlink()
    log = job.run("--step", "Validate", "--no-run-dependencies").stdout
    assert "60 frames are whole; 60 lines merged" in log
    lines = Manifest(output, {}).entries(range(1, 61))
    assert [line["frame"] for line in lines] == list(range(1, 61))
    again = command(
        "matte", "run", footage.clip, "-o", output, *footage.flags, "--frames", "1-60", "--json",
        home=tmp_path / "another",
    )  # fmt: skip
    assert '"done_before": 60' in again.stdout


def test_a_killed_chunk_and_one_that_runs_twice_leave_the_same_files(
    footage: Footage, straight: Path, tmp_path: Path
) -> None:
    job = exact(footage, tmp_path)
    output = job.output / "matte.####.exr"
    arguments = ["farm", "chunk", footage.clip, "-o", output, *footage.flags, "--frames"]
    process = subprocess.Popen(
        [str(SCRIPTS / "matte"), *map(str, arguments), "1-60"],
        env=environment(tmp_path / "home"), stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: len(list(job.output.glob("matte.*.exr"))) >= 3, 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(job.output.glob("matte.*.exr")))
    assert recorded(str(output)) == []
    twice = [
        subprocess.Popen(
            [str(SCRIPTS / "matte"), *map(str, arguments), "1-20"],
            env=environment(tmp_path / f"machine{index}"), stdout=subprocess.DEVNULL,
        )
        for index in range(2)
    ]  # fmt: skip
    assert [one.wait(timeout=280) for one in twice] == [0, 0]
    job.whole()
    assert 3 <= done <= 60
    assert same_frames(straight, job.output) == 60
    assert not [path for path in job.output.rglob("*") if path.name.endswith(".tmp")]


def warm(footage: Footage, folder: Path, warm_up: int) -> Bundle:
    """A bundle of chunks of 30 that begin so many frames early."""
    return bundle(folder, footage.clip, *footage.flags, "--chunk", 30, "--warm-up", warm_up)


def test_seams_pass_with_the_measured_warm_up(footage: Footage, tmp_path: Path) -> None:
    job = warm(footage, tmp_path, footage.warm_up)
    log = job.whole().stdout
    assert len(chunks(log)) == footage.frames // 30
    assert log.count("seam: frame") == footage.frames // 30 - 1
    assert f"{footage.frames} frames are whole" in log


def test_seams_fail_without_warm_up(footage: Footage, tmp_path: Path) -> None:
    job = warm(footage, tmp_path, 0)
    answer = job.whole(check=False)
    assert answer.returncode != 0
    failed = [line for line in answer.stdout.splitlines() if "A seam would be seen" in line]
    assert any("frame 61, begun anew after frame 60" in line for line in failed), answer.stdout
    assert "Take a longer --warm-up" in failed[0]
    # The frames and the overlaps stay, to be looked at.
    assert (farm_folder(str(job.output / "matte.####.exr")) / "seams" / "1-30").is_dir()


def test_chunks_run_by_plain_commands(footage: Footage, straight: Path, tmp_path: Path) -> None:
    """For engines that speak no OpenJD: the printed lines, as they are, in a shell."""
    output = tmp_path / "out" / "matte.####.exr"
    lines = command(
        "matte", "farm", "commands", footage.clip, "-o", output, *footage.flags, "--frames",
        "1-60", "--chunk", 30, home=tmp_path / "home",
    ).stdout  # fmt: skip
    answer = subprocess.run(
        ["sh", "-e", "-c", lines], env=environment(tmp_path / "home"), capture_output=True,
        text=True, check=False, timeout=280,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "60 frames are whole" in answer.stdout
    assert same_frames(straight, tmp_path / "out") == 60
