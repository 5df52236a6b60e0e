# SPDX-License-Identifier: Apache-2.0
"""Full disks, closed folders, kills: whole files or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from matte_nodes import whole_files as whole
from matte_nodes.errors import OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.writers import Writer, open_writer
from tests.media.samples import matte_frame

OUTPUTS = ["m.####.exr", "m.####.png", "m.####.tif", "m.####.npy", "m.mov", "m.mkv"]
FULL = Path("/dev/full")


def writer(path: Path, **more: Any) -> Writer:
    return open_writer(path, colorspace="bt709", provenance={}, rate=Fraction(24), **more)


def write_all(out: Writer, size: int) -> None:
    for n in range(1, 6):
        out.write(matte_frame(n, size, size))
    out.close()


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("size", [4, 400], ids=["tiny", "large"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int) -> None:
    """A tiny file fails in the last flush, which OpenImageIO does not report."""
    out = writer(tmp_path / name)

    def on_full_disk(folder: Path, mode: int) -> tuple[Path, int]:
        path = folder / whole.temporary_name()
        path.symlink_to(FULL)
        return path, os.open(FULL, os.O_RDWR)

    monkeypatch.setattr(whole, "_created", on_full_disk)
    with pytest.raises(OutputError, match=r"m\..*cannot be written"):
        write_all(out, size)
    assert list(tmp_path.iterdir()) == []
    assert FULL.exists()


LIMITED = """
import resource, sys
from fractions import Fraction
from pathlib import Path
from matte_nodes.errors import OutputError
from matte_nodes.media.writers import open_writer
from tests.media.samples import matte_frame
out = open_writer(sys.argv[1], colorspace="bt709", provenance={}, rate=Fraction(24))
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    for n in range(1, 9):
        out.write(matte_frame(n, 100, 100))
    out.close()
except OutputError as error:
    print(error)
    sys.exit(6)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are a posix thing")
@pytest.mark.parametrize("name", OUTPUTS[:2] + OUTPUTS[3:])
def test_disk_that_fills_up_while_writing(tmp_path: Path, name: str) -> None:
    """A limit on file size fails writes like a quota: in the middle of a file."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 6, run.stderr
    assert name.split(".")[0] in run.stdout
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_folders_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """Also for root: below a file, and in a file system without files."""
    (tmp_path / "file").touch()
    closed = [tmp_path / "file" / "sub"]
    if Path("/proc/self").exists():
        closed.append(Path("/proc/self/out"))
    for folder in closed:
        with pytest.raises(OutputError, match="cannot write in this folder"):
            writer(folder / name)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="Permission denied"):
        writer(tmp_path / "m.####.exr")


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "m.0001.exr").mkdir()
    with pytest.raises(OutputError, match=r"m\.0001\.exr: cannot be written"):
        writer(tmp_path / "m.####.exr").write(matte_frame(1))
    assert [p.name for p in tmp_path.iterdir()] == ["m.0001.exr"]


def test_a_failing_rename_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.0001.exr").write_bytes(b"old")

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    out = writer(tmp_path / "m.####.exr")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="disk is full"):
        out.write(matte_frame(1))
    assert [p.name for p in tmp_path.iterdir()] == ["m.0001.exr"]
    assert (tmp_path / "m.0001.exr").read_bytes() == b"old"


ENDLESS = """
import sys
from fractions import Fraction
from matte_nodes.media.writers import open_writer
from tests.media.samples import matte_frame
out = open_writer(sys.argv[1], colorspace="bt709", provenance={}, rate=Fraction(24))
out.write(matte_frame(1, 200, 300))
print("ready", flush=True)
for n in range(2, 100000):
    out.write(matte_frame(n, 200, 300))
"""


def killed(spec: Path, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(spec)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    process.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a posix thing")
def test_kill_leaves_whole_files_only(tmp_path: Path) -> None:
    for n in range(4):
        killed(tmp_path / "m.####.exr", 0.05 + 0.031 * n)
    clip = open_clip(tmp_path / "m.####.exr")
    assert clip.canvas.width == 300
    for n in clip.frames:
        clip.read(n)
    writer(tmp_path / "m.####.exr")
    assert all(p.suffix == ".exr" for p in tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a posix thing")
def test_kill_leaves_no_movie_and_the_next_writer_tidies_up(tmp_path: Path) -> None:
    killed(tmp_path / "m.mov", 0.2)
    left = list(tmp_path.iterdir())
    assert [p.suffix for p in left] == [".tmp"]
    out = writer(tmp_path / "m.mov")
    assert list(tmp_path.iterdir()) == []
    out.abort()


def test_living_writers_keep_their_temporaries(tmp_path: Path) -> None:
    first = writer(tmp_path / "a.mov")
    first.write(matte_frame(1))
    second = writer(tmp_path / "b.mov")
    second.write(matte_frame(1))
    first.close()
    second.close()
    assert {p.name for p in tmp_path.iterdir()} == {"a.mov", "b.mov"}


WRITER = """
import sys
from pathlib import Path
from matte_nodes.whole_files import TemporaryFile
file = TemporaryFile(Path(sys.argv[1]) / "m.1001.exr")
file.path.write_bytes(b"half")
print(file.path, flush=True)
input()
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a posix thing")
@pytest.mark.parametrize("moment", ["before", "during"])
def test_what_a_killed_child_left_goes(tmp_path: Path, moment: str) -> None:
    """Its parent has not asked for it yet, as a host seldom does: it still has its number."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        living = Path(child.stdout.readline().strip())
        out = writer(tmp_path / "m.####.exr")
        assert living.exists(), "a writer that lives has its file taken away"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        os.kill(child.pid, 0)  # it does have its number
        if moment == "before":
            out = writer(tmp_path / "m.####.exr")
            assert not living.exists()
        out.write(matte_frame(1, 8, 8))
        out.close()
    finally:
        child.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["m.0001.exr"]
