# SPDX-License-Identifier: Apache-2.0
"""Pictures as .npy files, in and out."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.errors import MediaError, OutputError
from matte_nodes.evaluate import read_matte
from matte_nodes.media import array_file
from matte_nodes.media.clip import open_clip
from matte_nodes.media.metadata import own_attribute
from matte_nodes.media.sequence_writer import is_whole
from matte_nodes.media.writers import open_writer
from matte_nodes.publish.picture import read_matte as delivered

from .samples import matte_frame, write_sequence


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", ">f4", "<f2"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_a_clip_of_arrays(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    pictures = [(rng.random(shape) * 200).astype(kind) for _ in range(2)]
    for number, picture in enumerate(pictures, 1001):
        np.save(tmp_path / f"p.{number}.npy", picture)
    clip = open_clip(tmp_path / "p.####.npy")
    assert tuple(clip.frames) == (1001, 1002)
    image = clip.read(1002)
    assert image.pixels.dtype == np.dtype(kind).newbyteorder("=")
    assert np.array_equal(image.pixels, pictures[1].reshape(5, 7, -1))
    assert image.channels == {1: ("Y",), 3: tuple("RGB"), 4: tuple("RGBA")}[image.pixels.shape[2]]
    assert image.alpha_associated is (False if shape[-1] == 4 else None)
    assert (image.data_window.width, image.display_window.height) == (7, 5)


def test_in_the_order_of_columns(tmp_path: Path) -> None:
    picture = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    np.save(tmp_path / "p.npy", np.asfortranarray(picture))
    assert np.array_equal(open_clip(tmp_path / "p.npy").read(1).pixels, picture)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 4, 2), np.float32), np.zeros((3, 4, 3)), np.zeros(5, np.float32),
     np.zeros((0, 4, 3), np.float32), np.zeros((2, 2, 2, 3), np.float32),
     np.zeros((3, 4, 3), np.complex64), np.float32(1)],
    ids=["two channels", "double", "a row", "empty", "four axes", "complex", "a number"],
)  # fmt: skip
def test_what_is_no_picture(tmp_path: Path, wrong: Any) -> None:
    np.save(tmp_path / "p.npy", wrong)
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(tmp_path / "p.npy").read(1)


def test_objects_are_not_unpacked(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(MediaError, match=r"not a picture"):
        open_clip(tmp_path / "p.npy").read(1)


HEADERS = {
    "unclosed": "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4, 3",
    "mixed": "{1: 2, 'a': 3}",
    "unhashable": "{[1]: 2}",
    "truths": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, True, 3)}",
    "deep": "-" * 3000 + "1",
    "sums": "1" + "+1" * 1500,
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (200000, 200000, 4)}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4, 3)}",
    "code": "__import__('os').abort()",
    "of objects": "{'descr': '|O', 'fortran_order': False, 'shape': (4, 4, 3)}",
    "no text": "\xff\xfe",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_header(tmp_path: Path, name: str) -> None:
    head = HEADERS[name].encode("latin-1")
    path = tmp_path / "p.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    with path.open("r+b") as file:
        file.truncate(1 << 20)
    assert not is_whole(path)
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(path).read(1)


def test_a_header_without_end(tmp_path: Path) -> None:
    path = tmp_path / "p.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + (600 << 20).to_bytes(4, "little") + bytes(1000))
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(path).read(1)


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="Is a directory"):
        array_file.read(tmp_path)


def test_a_sidecar_beside_a_clip(tmp_path: Path) -> None:
    """A camera or a depth map in a plate's folder is no second clip."""
    write_sequence(tmp_path, [1, 2])
    np.save(tmp_path / "camera.npy", np.zeros((4, 4), np.float32))
    assert len(open_clip(tmp_path).frames) == 2


@pytest.mark.parametrize("left", [0, 5, 60, 200])
def test_cut_short(tmp_path: Path, left: int) -> None:
    path = tmp_path / "p.npy"
    np.save(path, np.zeros((8, 8, 3), np.float32))
    path.write_bytes(path.read_bytes()[:left])
    assert not is_whole(path)
    with pytest.raises(MediaError, match=r"p\.npy"):
        open_clip(path).read(1)


def test_a_layer_of_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(MediaError, match="no layer"):
        open_clip(tmp_path / "p.npy", layer="beauty").read(1)


def test_the_array_layout(tmp_path: Path) -> None:
    frame = matte_frame(7, 12, 16)
    writer = open_writer(tmp_path / "m.####.npy", colorspace="ACEScg", provenance={}, rate=None)
    path = writer.write(frame)
    writer.close()
    assert path.name == "m.0007.npy"
    found = np.load(path)
    assert found.dtype == np.float32
    shown, data = frame.source.display_window, frame.window
    inside = found[
        data.y - shown.y : data.y - shown.y + data.height,
        data.x - shown.x : data.x - shown.x + data.width,
    ]
    assert found.shape == (shown.height, shown.width, 4)
    assert np.array_equal(inside[..., 3], frame.alpha)
    assert np.array_equal(inside[..., :3], frame.foreground)
    assert is_whole(path)
    assert own_attribute(path, "matte/colorspace") == "ACEScg"
    assert own_attribute(path, "matte/association") == "straight"
    assert open_clip(path).read(1).colorspace == "ACEScg"
    assert np.array_equal(read_matte(path), found[..., 3])
    assert np.array_equal(delivered(path).alpha, found[..., 3])


def test_a_disk_that_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Any, pixels: Any, texts: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_file, "write", full)
    writer = open_writer(tmp_path / "m.####.npy", colorspace="", provenance={}, rate=None)
    with pytest.raises(OutputError, match="disk is full"):
        writer.write(matte_frame(7, 12, 16))
    assert not list(tmp_path.iterdir())


def test_the_layout_fits_no_other_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="layout array"):
        open_writer(tmp_path / "m.exr", layout="array", colorspace="", provenance={}, rate=None)
