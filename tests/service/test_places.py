# SPDX-License-Identifier: Apache-2.0
"""Jobs in their own places: working folder, umask, OCIO config, and what may not be read."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.service import client as protocol
from tests.cli.test_run import whole
from tests.made import attributes_of, plate_sequence, read_named
from tests.service.serving import Serving, request, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_umask_of_each_job(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    jobs = {
        mask: service.client.submit(
            request(plate, tmp_path / f"{mask:o}" / "m.####.exr", umask=mask)
        )
        for mask in (0o002, 0o077, 0o027)
    }
    for mask, job in jobs.items():
        assert list(service.client.events(job))[-1]["event"] == "done"
        for path in (tmp_path / f"{mask:o}").glob("*.exr"):
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask
        assert (tmp_path / f"{mask:o}").stat().st_mode & 0o777 == 0o777 & ~mask


def test_umask_is_the_clients_unless_named(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    before = os.umask(0o037)
    try:
        job = service.client.submit(request(plate, tmp_path / "m.####.exr"))
    finally:
        os.umask(before)
    list(service.client.events(job))
    assert (tmp_path / "m.1001.exr").stat().st_mode & 0o777 == 0o640


def test_working_folder_of_each_job(service: Serving, tmp_path: Path) -> None:
    for name in ("a", "b"):
        plate_sequence(tmp_path / name / "in", 3, gain=0.5 if name == "a" else 1.0)
    asked = request(Path("in/plate.####.exr"), Path("out/m.####.exr"), knobs={"seconds": 0.02})
    jobs = [service.client.submit({**asked, "cwd": str(tmp_path / name)}) for name in ("a", "b")]
    one = service.client.frame({**asked, "output": None, "cwd": str(tmp_path / "a")}, 1002)
    two = service.client.frame({**asked, "output": None, "cwd": str(tmp_path / "b")}, 1002)
    for job in jobs:
        events = list(service.client.events(job))
        assert events[-1]["event"] == "done"
        assert events[2]["path"] == "out/m.1001.exr"
    for name, single in (("a", one), ("b", two)):
        assert len(whole(tmp_path / name / "out")) == 3
        expected = read_named(tmp_path / name / "out" / "m.1002.exr")["A"]
        assert np.array_equal(read_named(Path(single))["A"], expected)


def test_ocio_of_each_job_and_never_the_services(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    with serving(tmp_path / "home", OCIO="/nowhere/config.ocio") as service:
        for name, ocio in (("default", None), ("studio", "ocio://studio-config-latest")):
            space = {"default": "ACEScg", "studio": "ARRI LogC4"}[name]
            asked = request(
                plate, tmp_path / name / "m.####.exr", node={"ocio": ocio},
                connect={"colorspace": space},
            )  # fmt: skip
            last = list(service.client.events(service.client.submit(asked)))[-1]
            assert last["event"] == "done", last
        spaces = [
            attributes_of(tmp_path / name / "m.1001.exr")["matte/plate_space"]
            for name in ("default", "studio")
        ]
        assert spaces == ["ACEScg", "ARRI LogC4"]


def test_ocio_is_the_clients(
    service: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    monkeypatch.setenv("OCIO", str(tmp_path / "mine.ocio"))
    last = list(service.client.events(service.client.submit(request(plate, tmp_path / "m.exr"))))[
        -1
    ]
    assert "mine.ocio" in last["message"]


@pytest.mark.parametrize("kind", ["pipe", "pipe in a sequence", "device", "folder", "socket"])
def test_what_is_no_file_is_a_plain_error(service: Serving, tmp_path: Path, kind: str) -> None:
    """A named pipe must not hold the lane for ever."""
    plate = plate_sequence(tmp_path / "in", 2)
    source = tmp_path / "pipe.exr"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "pipe in a sequence":
        source = plate
        (tmp_path / "in" / "plate.1002.exr").unlink()
        os.mkfifo(tmp_path / "in" / "plate.1002.exr")
    elif kind == "folder":
        source.mkdir()
    elif kind == "device":
        source = Path("/dev/zero")
    else:
        source = next((service.home / "service").glob("*")) / "socket"
    last = list(
        service.client.events(service.client.submit(request(source, tmp_path / "m.####.exr")))
    )[-1]
    assert last["event"] == "error"
    assert last["exit_code"] == 3
    assert service.client.frame(request(tmp_path / "in" / "plate.1001.exr", None), 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_path(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    (tmp_path / "in" / "plate.1001.exr").chmod(0)
    last = list(
        service.client.events(service.client.submit(request(plate, tmp_path / "m.####.exr")))
    )[-1]
    assert (last["event"], last["exit_code"]) == ("error", 3)


def test_unreadable_path_as_somebody_else() -> None:
    """As root: the check of what cannot be read, in a process that has given its rights away."""
    if os.geteuid() != 0:
        pytest.skip("test_unreadable_path covers it")
    # Not in pytest's folder, which is closed to others: the plate alone is what cannot be read.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        plate = plate_sequence(folder / "in", 1)
        (folder / "in").chmod(0o755)
        (folder / "in" / "plate.1001.exr").chmod(0o600)
        said = said_as_somebody_else(str(plate), str(folder / "m.####.exr"))
    assert "'event': 'error'" in said
    assert "'exit_code': 3" in said
    assert "plate.1001.exr" in said
    assert "ermission" in said


def said_as_somebody_else(source: str, output: str) -> str:
    """The last event of a job in a process of a user without rights, and what it printed."""
    code = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "from matte_nodes.render.render import Render\n"
        "from matte_nodes.service import frames, jobs, pool, request\n"
        "import matte_nodes.media.sequence, matte_nodes.media.movie, matte_nodes.color\n"
        "import matte_nodes.models\n"
        "matte_nodes.models.cards()\n"
        "asked = request.checked({'source': sys.argv[1], 'output': sys.argv[2], 'cwd': '/',\n"
        "                         'model': 'green-screen'})\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "board = jobs.Board(pool.ModelPool(1 << 30), lambda job: None, Path(sys.argv[2]).parent)\n"
        "job = board.submit(asked)\n"
        "while not job.ended: pass\n"
        "print(job.events(0)[-1])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, source, output],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


def _planted(kind: str, place: Path) -> None:
    """What somebody else left under the name of our folder for temporary files."""
    if kind == "file":
        place.write_text("in the way")
    elif kind == "link":
        aside = place.with_name("aside")
        aside.mkdir(mode=0o700)
        place.symlink_to(aside)
    else:
        place.mkdir()
        place.chmod(0o777)


@pytest.mark.parametrize("kind", ["file", "link", "open to all"])
def test_a_fallback_folder_that_somebody_else_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is not used, and it is not an error for good: the next name is taken, by all clients."""
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    temporary.chmod(0o1777)
    home.mkdir()
    (home / "service").write_text("in the way")
    found = [Path(place) for place in protocol.folders(str(home))]
    shared = [temporary / place.relative_to("/tmp") for place in found[1:]]
    monkeypatch.setattr(protocol, "folders", lambda home=None: [str(found[0]), *map(str, shared)])
    _planted(kind, shared[0].parent)
    taken = Path(protocol.make_folder(str(home)))
    assert taken == shared[1]
    assert taken.stat().st_mode & 0o777 == 0o700
    assert Path(protocol.make_folder(str(home))) == taken


def test_a_private_folder_in_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    """Whoever can rename it can put a folder of their own in its place."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o777)
    assert not protocol.private_folder(str(tmp_path / "all" / "own"))
    (tmp_path / "all").chmod(0o1777)
    assert protocol.private_folder(str(tmp_path / "all" / "own"))
