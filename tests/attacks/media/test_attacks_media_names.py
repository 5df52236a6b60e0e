# SPDX-License-Identifier: Apache-2.0
"""Hostile file names, in and out: what the system takes as a name is a name."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.errors import MatteError, MediaError, OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.writers import open_writer
from tests.media.samples import matte_frame, numbered, plate, write_movie, write_picture

NAMES = [
    "two words",
    "brackets [x] (y) {z}",
    "100% sure %s %n",
    "50%done",
    "ünïcödé 影片 🎬",
    "-rf",
    "--help",
    "new\nline",
    "tab\tand'quotes\"",
    "semi;colon&&$HOME`id`",
    "question?mark=1&x=2",
    "*star*",
    "back\\slash",
    "dot.dot..",
    "http:colon",
    "file:pipe|x",
    ".hidden",
    "~",
]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names that begin with a hyphen are only met as relative ones


@pytest.mark.parametrize("name", NAMES)
def test_sequences(name: str) -> None:
    for frame in (1, 2):
        write_picture(Path.cwd() / f"{name}.{frame:04d}.exr", plate(frame))
    clip = open_clip(f"{name}.####.exr")
    assert list(clip.frames) == [1, 2]
    assert np.array_equal(clip.read(2).pixels, plate(2))
    assert name in clip.name
    still = open_clip(f"{name}.0002.exr")
    assert np.array_equal(still.read(1).pixels, plate(2))


@pytest.mark.parametrize("name", NAMES)
def test_folders(name: str) -> None:
    folder = Path.cwd() / name
    folder.mkdir()
    write_picture(folder / "p.0001.exr", plate(1))
    assert list(open_clip(name).frames) == [1]
    assert list(open_clip(f"{name}/p.%04d.exr").frames) == [1]


@pytest.mark.parametrize("name", NAMES)
def test_movies(name: str) -> None:
    made = write_movie(Path.cwd() / "made.mkv", map(numbered, (1, 2)), "ffv1")
    made.rename(Path.cwd() / f"{name}.mkv")
    assert len(open_clip(f"{name}.mkv").frames) == 2


@pytest.mark.parametrize("extension", ["####.exr", "####.png", "####.tif", "mov", "mkv"])
@pytest.mark.parametrize("name", NAMES)
def test_outputs(name: str, extension: str) -> None:
    out = open_writer(f"{name}.{extension}", colorspace="bt709", provenance={}, rate=Fraction(24))
    path = out.write(matte_frame(1))
    out.close()
    assert path == Path(f"{name}.{extension}".replace("####", "0001"))
    assert os.listdir() == [path.name]
    assert open_clip(path).read(1).pixels.shape[:2] == (24, 32)


@pytest.mark.parametrize("name", ["nul\0byte", "x" * 300, "a/" * 2500, "", "\udcff"])
def test_names_the_system_refuses(name: str) -> None:
    for spec in (f"{name}.exr", f"{name}.####.exr", f"{name}.mov"):
        with pytest.raises(MediaError):
            open_clip(spec).read(1)


@pytest.mark.parametrize("name", ["nul\0byte", "x" * 300, "a/" * 2500, "\udcff"])
def test_outputs_the_system_refuses(name: str) -> None:
    for spec in (f"{name}.####.exr", f"{name}.mov"):
        with pytest.raises(OutputError):
            write_one(spec)


def write_one(spec: str) -> None:
    out = open_writer(spec, colorspace="bt709", provenance={}, rate=None)
    out.write(matte_frame(1))
    out.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there names are bytes")
def test_a_name_that_is_no_text_inside_a_folder(tmp_path: Path) -> None:
    (tmp_path / "\udcff.0001.exr").write_bytes(b"x")
    with pytest.raises(MediaError, match="not valid UTF-8"):
        open_clip(tmp_path).read(1)


def test_metadata_that_lies(tmp_path: Path) -> None:
    """Attributes of the right name and the wrong type or value do no harm."""
    path = write_picture(
        tmp_path / "p.exr",
        plate(),
        framesPerSecond="fast",
        chromaticities="none",
        Orientation=77,
        acesImageContainerFlag="no",
    )
    clip = open_clip(path)
    assert clip.pixel_aspect == 1.0
    assert clip.rate is None
    image = clip.read(1)
    frame = matte_frame(1, metadata=image.metadata)
    out = open_writer(tmp_path / "m.####.exr", colorspace="x", provenance={}, rate=None)
    out.write(frame)


def test_bytes_of_chance_never_crash(tmp_path: Path) -> None:
    whole = write_picture(tmp_path / "p.exr", plate(), compression="zips").read_bytes()
    random = np.random.default_rng(0)
    for n in range(150):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 1 + n % 4):
            data[at] = int(random.integers(0, 256))
        path = tmp_path / "q.exr"
        path.write_bytes(data)
        try:
            open_clip(path).read(1)
        except MatteError as error:
            assert "q.exr" in str(error)  # noqa: PT017 - both outcomes are allowed
