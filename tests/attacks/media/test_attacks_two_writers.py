# SPDX-License-Identifier: Apache-2.0
"""Two writers in one folder: containers with one host name and equal process ids, planted links."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import whole_files
from matte_nodes.errors import OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.writers import open_writer
from matte_nodes.render.resume_log import Manifest
from matte_nodes.temporal import claims
from tests.cli.test_run import matte, whole
from tests.made import plate_sequence, read_named
from tests.media.samples import matte_frame

HOST = "render01"
FRAMES = 80

# A worker: it writes its frames, each with its own number for alpha, as soon as the other is there.
WORKER = """
import os, socket, sys, time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
import numpy as np
from matte_nodes.media.writers import open_writer
from tests.media.samples import matte_frame

out, first, last, mine, other = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
writer = open_writer(out, colorspace="bt709", provenance={}, rate=Fraction(24))
made = matte_frame(1, 48, 64)
Path(mine).write_text(f"{socket.gethostname()} {os.getpid()}")
while not Path(other).exists():
    time.sleep(0.001)
for frame in range(first, last + 1):
    writer.write(replace(made, frame=frame, alpha=np.full_like(made.alpha, frame / 1000)))
writer.close()
"""


def _can_unshare() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run([*_container(), "true"], capture_output=True, check=False).returncode == 0


def _container() -> list[str]:
    """A command in a process namespace of its own, with the one host name."""
    named = 'hostname "$0" && exec "$@"'
    return ["unshare", "--pid", "--fork", "--uts", "--mount-proc", "sh", "-c", named, HOST]


containers = pytest.mark.skipif(
    not _can_unshare(), reason="process namespaces of its own (unshare, as root) are not had here"
)


def in_two_containers(folder: Path) -> None:
    """Two containers write the halves of one sequence; every frame must be its own."""
    folder.mkdir(parents=True)
    out = folder / "out" / "m.####.exr"
    marks = [folder / "one", folder / "two"]
    halves = [(1, FRAMES), (FRAMES + 1, 2 * FRAMES)]
    workers = [
        subprocess.Popen(
            [*_container(), sys.executable, "-c", WORKER, out, *map(str, half), *places],
            stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )
        for half, places in zip(halves, [marks, marks[::-1]], strict=True)
    ]  # fmt: skip
    ended = [(worker.communicate(timeout=120)[1], worker.returncode) for worker in workers]
    assert [code for _, code in ended] == [0, 0], ended
    assert marks[0].read_text() == marks[1].read_text(), "not the same host name and process id"
    clip = open_clip(out)
    assert len(clip.frames) == 2 * FRAMES
    wrong = [n for n in clip.frames if not _is_frame(clip.read(n).pixels, n)]
    assert wrong == []
    assert len(whole(out.parent)) == 2 * FRAMES


def _is_frame(pixels: np.ndarray, frame: int) -> bool:
    return bool(np.allclose(pixels[..., 3], frame / 1000, atol=1e-3))


@containers
def test_two_containers_with_one_host_name_write_one_folder(tmp_path: Path) -> None:
    for run in range(3):
        in_two_containers(tmp_path / str(run))


@containers
@pytest.mark.slow
def test_two_containers_twenty_times(tmp_path: Path) -> None:
    for run in range(20):
        in_two_containers(tmp_path / str(run))


@containers
def test_chunks_of_matte_run_in_two_containers(tmp_path: Path) -> None:
    """The whole command, with homes of their own: all frames, and the pixels of one run."""
    plate = plate_sequence(tmp_path / "in", 8)
    out, alone = tmp_path / "out" / "m.####.exr", tmp_path / "alone" / "m.####.exr"
    command = ["run", plate, "--model", "green-screen", "--quiet", "--no-service"]
    runs = []
    for name, frames in (("a", "1001-1004"), ("b", "1005-1008")):
        own = [sys.executable, "-m", "matte_nodes", *map(str, command)]
        environment = {**os.environ, "MATTE_HOME": str(tmp_path / name)}
        environment.pop("MATTE_CACHE", None)
        runs.append(subprocess.Popen(
            [*_container(), *own, "-o", str(out), "--frames", frames], env=environment,
        ))  # fmt: skip
    assert [run.wait(timeout=200) for run in runs] == [0, 0]
    assert matte(*command, "-o", alone).returncode == 0
    assert whole(out.parent) == whole(alone.parent)
    for path in alone.parent.glob("*.exr"):
        expected, found = read_named(path), read_named(out.parent / path.name)
        assert all(np.array_equal(expected[name], found[name]) for name in expected)


def _two_runs(tmp_path: Path) -> tuple[list[Path], Path]:
    (tmp_path / "out").mkdir()
    return [tmp_path / "home a", tmp_path / "home b"], tmp_path / "out" / "m.####.exr"


def test_a_second_run_of_another_home_waits_for_the_first(tmp_path: Path) -> None:
    """Claims lie beside the output, not in a home: another machine's run sees them."""
    _, out = _two_runs(tmp_path)
    with claims.output_claimed(str(out), 1, 9):
        (claim,) = out.parent.iterdir()
        script = (
            "import sys; from matte_nodes.temporal import claims\n"
            "with claims.claimed(__import__('pathlib').Path(sys.argv[1]), 0.2, print) as held:\n"
            "    print(held)"
        )
        environment = {**os.environ, "MATTE_HOME": str(tmp_path / "another")}
        told = subprocess.run(
            [sys.executable, "-c", script, str(claim)], env=environment, text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        assert told.stdout.strip() == "False"
    assert list(out.parent.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a posix thing")
def test_the_claim_of_a_killed_run_goes(tmp_path: Path) -> None:
    script = (
        "import sys; from matte_nodes.temporal import claims\n"
        "with claims.output_claimed(sys.argv[1], 1, 9):\n"
        "    print('held', flush=True); input()"
    )
    out = tmp_path / "m.####.exr"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == b"held"
    whole_files.prepare_folder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1, "a living run has its claim taken away"
    child.kill()
    child.communicate()
    whole_files.prepare_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_temporary_names_cannot_be_guessed() -> None:
    names = {whole_files.temporary_name() for _ in range(1000)}
    assert len(names) == 1000
    assert all(whole_files.is_temporary(name) for name in names)
    assert all(str(os.getpid()) != part for name in names for part in name.split("-"))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_lies_under_a_temporary_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Should somebody guess a name all the same: it is not followed, and another name is taken."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "out"
    folder.mkdir()
    names = [".matte-00000000-planted.tmp", whole_files.temporary_name()]
    _plant(folder / names[0], victim, kind)
    monkeypatch.setattr(whole_files, "temporary_name", lambda: names[0])
    with pytest.raises(OutputError, match=r"m\.exr"), whole_files.whole_file(folder / "m.exr"):
        raise AssertionError("the planted name was taken")
    monkeypatch.setattr(whole_files, "temporary_name", lambda: names[1])
    with whole_files.whole_file(folder / "m.exr") as path:
        path.write_bytes(b"new")
    assert victim.read_bytes() == b"precious"
    assert (folder / "m.exr").read_bytes() == b"new"


def _plant(path: Path, victim: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)


def test_a_link_planted_while_a_file_is_written_is_not_put_into_place(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    final = tmp_path / "m.exr"
    final.write_bytes(b"old")

    def attacked() -> None:
        with whole_files.whole_file(final) as path:
            path.unlink()
            path.symlink_to(victim)

    with pytest.raises(OutputError, match="Another program"):
        attacked()
    assert victim.read_bytes() == b"precious"
    assert final.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.exr", "victim"]


def test_a_link_under_the_final_name_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "m.0001.exr").symlink_to(victim)
    writer = open_writer(
        tmp_path / "m.####.exr", colorspace="bt709", provenance={}, rate=Fraction(24)
    )
    writer.write(matte_frame(1))
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "m.0001.exr").is_symlink()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_the_manifest_follows_no_link(tmp_path: Path, kind: str) -> None:
    """A link in its place: nothing is appended to its target, and the run says what is wrong."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    plate = plate_sequence(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    _plant(tmp_path / "out" / ".m.____.exr.matte.jsonl", victim, kind)
    told = matte("run", plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen")
    assert told.returncode == 6
    assert ".m.____.exr.matte.jsonl" in told.stderr
    assert "Traceback" not in told.stderr
    assert victim.read_text() == "precious\n"


def test_a_frame_of_another_run_is_not_recorded_as_ours(tmp_path: Path) -> None:
    """Our frame was replaced between its rename and its line in the manifest."""
    from matte_nodes.render.done import written

    writer = open_writer(
        tmp_path / "m.####.exr", colorspace="bt709", provenance={"key": "theirs"}, rate=Fraction(24)
    )
    path = writer.write(matte_frame(1))
    with pytest.raises(OutputError, match="Another run wrote frame 1"):
        written(1, "ours", path)
    assert written(1, "theirs", path)[0] == path.stat().st_size


def test_skip_after_hold_leaves_no_frame_that_it_would_not_write(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 5)
    (tmp_path / "in" / "plate.1003.exr").unlink()
    out = tmp_path / "out" / "m.####.exr"
    common = ["run", plate, "-o", out, "--model", "green-screen"]
    assert matte(*common, "--missing", "hold").returncode == 0
    assert len(whole(out.parent)) == 5
    told = matte(*common, "--missing", "skip")
    assert told.returncode == 0
    assert "Removed the mattes of frames 1003" in told.stderr
    assert whole(out.parent) == [f"m.{n}.exr" for n in (1001, 1002, 1004, 1005)]


def test_skip_after_hold_leaves_a_frame_that_somebody_changed(tmp_path: Path) -> None:
    """Only what lies as our manifest says is ours to remove."""
    plate = plate_sequence(tmp_path / "in", 4)
    (tmp_path / "in" / "plate.1003.exr").unlink()
    out = tmp_path / "out" / "m.####.exr"
    common = ["run", plate, "-o", out, "--model", "green-screen"]
    assert matte(*common, "--missing", "hold").returncode == 0
    painted = out.parent / "m.1003.exr"
    painted.write_bytes(painted.read_bytes() + b"painted")
    assert matte(*common, "--missing", "skip").returncode == 0
    assert painted.read_bytes().endswith(b"painted")
    assert Manifest(str(out), {}).entries([1003])


def test_a_disk_that_numbers_its_files_anew_at_each_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network disks do: files are written, claims are held, and a planted link is still found."""
    looks = itertools.count(1 << 40)
    real = os.lstat

    def renumbered(path: object, **more: Any) -> Any:
        found = real(path, **more)  # type: ignore[arg-type]
        values = list(found)
        values[1] = next(looks)
        times = {"st_mtime_ns": found.st_mtime_ns, "st_ctime_ns": found.st_ctime_ns}
        return os.stat_result(values, times)

    monkeypatch.setattr(whole_files.os, "lstat", renumbered)
    with whole_files.whole_file(tmp_path / "m.exr") as path:
        path.write_bytes(b"new")
    assert (tmp_path / "m.exr").read_bytes() == b"new"
    with claims.output_claimed(str(tmp_path / "n.exr"), 1, 1):
        assert len(list(tmp_path.iterdir())) == 2

    def attacked() -> None:
        with whole_files.whole_file(tmp_path / "m.exr") as path:
            path.unlink()
            path.symlink_to(tmp_path / "victim")

    with pytest.raises(OutputError, match="Another program"):
        attacked()
