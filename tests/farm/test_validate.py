# SPDX-License-Identifier: Apache-2.0
"""What Validate finds, and what sessions of workers say: made plates, quick models."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from matte_nodes.cli import matte
from matte_nodes.farm.parts import farm_folder, recorded
from matte_nodes.farm.validate import validate
from tests.farm.engine import bundle, chunks, command, environment
from tests.made import plate_sequence

pytestmark = [pytest.mark.xdist_group("farm-validate"), pytest.mark.timeout(900)]

FRAMES = range(1001, 1009)


def chunk(plate: Path, output: Path, frames: str, *flags: object) -> None:
    """One chunk, in this process."""
    arguments = ["farm", "chunk", plate, "-o", output, "--model", "toy", "--frames", frames, *flags]
    answer = CliRunner().invoke(matte, [str(argument) for argument in arguments])
    assert answer.exit_code == 0, (answer.output, answer.exception)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two warm chunks of a made plate."""
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    plate = plate_sequence(tmp_path / "in", 8)
    pattern = tmp_path / "out" / "matte.####.exr"
    for frames in ("1001-1004", "1005-1008"):
        chunk(plate, pattern, frames, "--warm-up", 4, "--overlap", 2, "--job-last", 1008)
    return pattern


def problems(output: Path, **more: object) -> list[str]:
    found = validate(str(output), FRAMES, **more)  # type: ignore[arg-type]
    return found.problems


def test_all_is_well(output: Path) -> None:
    parts = recorded(str(output))
    assert [(part.first, part.last, part.overlap) for part in parts] == [
        (1001, 1004, (1005, 1006)), (1005, 1008, ()),
    ]  # fmt: skip
    found = validate(str(output), FRAMES, overlap=2)
    assert found.problems == []
    assert [seam.frame for seam in found.seams] == [1005, 1006]
    assert not (farm_folder(str(output)) / "seams").exists()


def test_missing_frames_are_named(output: Path) -> None:
    for number in (1003, 1007, 1008):
        (output.parent / f"matte.{number}.exr").unlink()
    assert problems(output) == ["Frames 1003,1007-1008 are missing: run their chunks again."]


def test_frames_that_are_cut_off_are_named(output: Path) -> None:
    path = output.parent / "matte.1002.exr"
    path.write_bytes(path.read_bytes()[:-900])
    assert problems(output) == [
        "Frames 1002 are not whole: delete them and run their chunks again."
    ]


def test_frames_of_somebody_else_are_named(output: Path, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "in" / "plate.1002.exr", output.parent / "matte.1002.exr")
    (found,) = problems(output)
    assert found.startswith("Frames 1002 were not written by this job")


@pytest.mark.parametrize("how", ["flipped", "another frame"])
def test_frames_that_are_not_as_they_were_written_are_named(output: Path, how: str) -> None:
    path = output.parent / "matte.1002.exr"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data if how == "flipped" else path.with_name("matte.1003.exr").read_bytes())
    (found,) = problems(output)
    assert found.startswith("Frames 1002 are not as they were written")


def test_workers_with_other_settings_are_named(output: Path, tmp_path: Path) -> None:
    chunk(tmp_path / "in" / "plate.####.exr", output, "1005-1006", "--gamma", 2)
    (found,) = problems(output)
    assert found.startswith("Frames 1005-1006 differ from 1001-1004,1007-1008 in matte/knobs")


def test_a_chunk_without_overlap_is_named(output: Path) -> None:
    shutil.rmtree(farm_folder(str(output)) / "seams")
    (found,) = problems(output, overlap=2)
    assert "chunks that begin at 1005: run the chunks before them again" in found


def test_at_a_cut_no_overlap_is_wanted(output: Path) -> None:
    shutil.rmtree(farm_folder(str(output)) / "seams")
    assert problems(output, overlap=2, cuts=[1005]) == []


def test_overlap_ends_at_cuts_and_at_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    plate = plate_sequence(tmp_path / "in", 8)
    pattern = tmp_path / "out" / "matte.####.exr"
    more = ("--warm-up", 2, "--overlap", 3)
    chunk(plate, pattern, "1001-1002", *more, "--cuts", "1004")
    chunk(plate, pattern, "1004-1005", *more, "--cuts", "1004", "--job-last", 1006)
    chunk(plate, pattern, "1007-1008", *more)
    assert [part.overlap for part in recorded(str(pattern))] == [(1003,), (1006,), ()]


def test_parts_of_an_earlier_cutting_do_not_count(output: Path, tmp_path: Path) -> None:
    plate = tmp_path / "in" / "plate.####.exr"
    chunk(plate, output, "1001-1008", "--warm-up", 4, "--overlap", 2)
    found = validate(str(output), FRAMES, overlap=2)
    assert found.problems == []


def test_a_note_that_was_cut_off_is_left_out(output: Path) -> None:
    note = farm_folder(str(output)) / "parts" / "1001-1004.json"
    note.write_text(note.read_text()[:40])
    assert [part.first for part in recorded(str(output))] == [1005]


def test_a_failing_chunk_fails_the_job_and_says_why(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    job = bundle(tmp_path, plate, "--model", "green-screen", "--chunk", 2)
    (tmp_path / "in" / "plate.1003.exr").write_bytes(b"no picture")
    answer = job.whole(check=False)
    assert answer.returncode != 0
    assert "plate.1003.exr" in answer.stdout
    assert "frames are whole" not in answer.stdout


def test_one_session_loads_the_model_once_and_ends_what_it_started(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 6)
    job = bundle(tmp_path, plate, "--model", "green-screen", "--chunk", 2)
    log = job.whole(service=True).stdout
    assert chunks(log) == ["1001-1002", "1003-1004", "1005-1006"]
    assert log.count("does this; --no-service") == 3
    (line,) = [line for line in log.splitlines() if "openjd_env: MATTE_FARM_SERVICE=" in line]
    pid = int(line.rpartition("=")[2])
    assert f"the service, process {pid}, ends" in log
    until = time.monotonic() + 20
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that its parent has not looked at does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not status.parent.parent.is_dir()


def test_a_session_leaves_a_service_alone_that_others_started(tmp_path: Path) -> None:
    from tests.service.serving import serving

    plate = plate_sequence(tmp_path / "in", 2)
    job = bundle(tmp_path, plate, "--model", "green-screen")
    path = environment(tmp_path / "home")["PYTHONPATH"]
    with serving(tmp_path / "home", PYTHONPATH=path) as running:
        log = job.whole(service=True).stdout
        assert f"stays loaded in process {running.process.pid}" in log
        assert "does this; --no-service" in log
        assert "MATTE_FARM_SERVICE=" not in log
        assert running.process.poll() is None


def test_a_service_with_other_models_is_not_called_the_hot_one(tmp_path: Path) -> None:
    from tests.service.serving import serving

    home = tmp_path / "home"
    with serving(home) as running:  # it knows models that a worker here does not
        log = command("matte", "farm", "enter", "green-screen", home=home, service=True).stdout
        assert "every chunk loads the model itself" in log
        assert "stays loaded" not in log
        assert running.process.poll() is None


def test_a_worker_without_the_weights_says_so_before_any_chunk(tmp_path: Path) -> None:
    answer = command("matte", "farm", "enter", "modnet", home=tmp_path / "home", check=False)
    bare = command("matte", "farm", "enter", "u2netp", home=tmp_path / "home", check=False)
    assert bare.returncode == 4
    assert "`matte models pull u2netp`" in bare.stderr
    assert answer.returncode in (0, 4)  # weights that users bring travel with the job


def test_chunk_sizes_can_be_changed_when_the_job_is_submitted(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 6)
    job = bundle(tmp_path, plate, "--model", "green-screen", "--chunk", 2)
    log = job.run("--step", "Validate", "--run-dependencies", "-p", "ChunkSize=3").stdout
    assert chunks(log) == ["1001-1003", "1004-1006"]


def test_the_bundle_says_where_it_came_from_nowhere(tmp_path: Path) -> None:
    """Paths are parameters: nothing of the submitting machine is in the template itself."""
    plate = plate_sequence(tmp_path / "in", 2)
    job = bundle(tmp_path, plate, "--model", "green-screen")
    assert str(tmp_path) not in json.dumps(job.template)
