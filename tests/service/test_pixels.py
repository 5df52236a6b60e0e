# SPDX-License-Identifier: Apache-2.0
"""Pixels in mapped files, in both directions, by the client alone."""

from __future__ import annotations

import array
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.media.clip import open_clip
from matte_nodes.service.client import ServiceError, map_pixels, write_pixels
from matte_nodes.service.frames import prune
from tests.made import plate_sequence, read_named
from tests.service.serving import request, serving


def test_a_frame_as_mapped_pixels(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2, size=(30, 50))
    with serving(tmp_path / "home") as here:
        numbers, width, height = here.client.pixels(request(plate, None), 1002)
        path = here.client.frame(request(plate, None), 1002)
    assert (width, height) == (50, 30)
    assert numbers.readonly
    found = np.asarray(numbers).reshape(height, width, 4)
    exr = read_named(Path(path))
    assert np.array_equal(found[..., 3], exr["A"])
    for index, channel in enumerate("RGB"):
        assert np.array_equal(found[..., index].astype(np.float16), exr[f"fg.{channel}"])


def test_a_plate_that_the_client_holds(tmp_path: Path) -> None:
    """What a host has in its memory, without a codec: the same matte as of the EXR."""
    plate = plate_sequence(tmp_path / "in", 1, size=(30, 50))
    image = open_clip(plate).read(1001)
    own = array.array("f", image.floats()[..., :3].ravel())
    write_pixels(str(tmp_path / "host.1001.npy"), own, 50, 30)
    with serving(tmp_path / "home") as here:
        by_file, _, _ = here.client.pixels(request(plate, None), 1001)
        by_map, _, _ = here.client.pixels(request(str(tmp_path / "host.####.npy"), None), 1001)
    assert bytes(by_file) == bytes(by_map)


def test_what_was_written_is_what_is_mapped(tmp_path: Path) -> None:
    pixels = array.array("f", [index / 7 for index in range(3 * 5 * 4)])
    write_pixels(str(tmp_path / "p.npy"), pixels, 5, 3, 4)
    numbers, width, height = map_pixels(str(tmp_path / "p.npy"))
    assert (width, height) == (5, 3)
    assert list(numbers) == list(pixels)
    assert np.load(tmp_path / "p.npy").shape == (3, 5, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npy"]


def test_many_threads_write_each_its_own(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            path = str(tmp_path / f"p{number}.npy")
            write_pixels(path, array.array("f", [float(number)] * 9000), 50, 60)
            assert np.load(path).max() == np.load(path).min() == number

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("content", [b"", b"short", bytes(200), b"\x93NUMPY\x01\x00v\x00{}"])
def test_what_is_no_matte(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npy").write_bytes(content)
    with pytest.raises(ServiceError, match="layout array"):
        map_pixels(str(tmp_path / "p.npy"))


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_another_number_of_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "p.npy", np.zeros(shape, np.float32))
    with pytest.raises(ServiceError, match="layout array"):
        map_pixels(str(tmp_path / "p.npy"))


def test_kept_frames_leave_oldest_first(tmp_path: Path) -> None:
    """Never those of the last minute, whoever asked for them may not have opened them yet."""
    now = time.time()
    for folder, number, age in (("a", 1, 500), ("a", 2, 100), ("b", 1, 300), ("b", 2, 5)):
        path = tmp_path / folder / f"frame.{number:04d}.npy"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (now - age, now - age))
    (tmp_path / "a" / "notes.jsonl").touch()
    prune(tmp_path, 2500)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/frame.*")}
    assert left == {"a/frame.0002.npy", "b/frame.0002.npy"}
    for folder in ("a", "b"):
        os.utime(tmp_path / folder, (now - 900, now - 900))
    prune(tmp_path, 0)
    assert [path.name for path in tmp_path.glob("*/frame.*")] == ["frame.0002.npy"]


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_a_buffer_of_another_size(tmp_path: Path, channels: int) -> None:
    with pytest.raises(ServiceError, match="bytes are no picture"):
        write_pixels(str(tmp_path / "p.npy"), array.array("f", [0.0] * 11), 2, 2, channels)
    assert not list(tmp_path.iterdir())
