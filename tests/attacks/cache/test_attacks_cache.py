# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken files in the cache: detected, dropped, computed again; never a crash or a hang."""

from __future__ import annotations

import json
import os
import pickle
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from matte_nodes.temporal.tensors import DamagedEntry, load_tensors, save_tensors
from matte_nodes.temporal.verify import damaged
from tests.made import write_image
from tests.temporal.rig import RECURRENT, disk, plates, same, straight

COUNT = 5


class Owned:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return os.system, ("echo owned > owned.txt",)


def header(said: Any, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header."""
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def tensor(shape: list[int], offsets: list[int], kind: str = "F32") -> dict[str, Any]:
    """One array's line in a header."""
    return {"luma": {"dtype": kind, "shape": shape, "data_offsets": offsets}}


def flipped(good: bytes, first: int) -> bytes:
    """The same with sixteen bytes changed."""
    return (
        good[:first] + bytes(byte ^ 255 for byte in good[first : first + 16]) + good[first + 16 :]
    )


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "one byte": lambda good: good[:1],
    "seven bytes": lambda good: good[:7],
    "half": lambda good: good[: len(good) // 2],
    "last byte missing": lambda good: good[:-1],
    "a byte more": lambda good: good + b"\0",
    "zeros": lambda good: bytes(len(good)),
    "noise": lambda good: np.random.default_rng(1).bytes(len(good)),
    "text": lambda good: b"<html>404</html>" * 50,
    "pickle": lambda good: pickle.dumps(Owned()),
    "first byte": lambda good: bytes([good[0] ^ 255]) + good[1:],
    "last byte": lambda good: good[:-1] + bytes([good[-1] ^ 1]),
    "inside": lambda good: flipped(good, 3 * len(good) // 4),  # a text before it harms no pixel
    "twice": lambda good: good * 2,
    "header of 2^63": lambda good: header(b"{}", length=2**63),
    "header longer than the file": lambda good: header(b"{}", length=1 << 19),
    "no object": lambda good: header([1, 2]),
    "metadata is a list": lambda good: header({"__metadata__": [1]}),
    "deep": lambda good: header(b"[" * 200_000),
    "not text": lambda good: header(b"\xff\xfe{}"),
    "huge shape": lambda good: header(tensor([2**40, 2**40], [0, 4]), b"\0" * 4),
    "shape and bytes differ": lambda good: header(tensor([9, 9], [0, 4]), b"\0" * 4),
    "offsets beyond the end": lambda good: header(tensor([4], [0, 1 << 40])),
    "negative": lambda good: header(tensor([-1], [0, 4]), b"\0" * 4),
    "unknown type": lambda good: header(tensor([1], [0, 4], "OBJ"), b"\0" * 4),
}


@pytest.fixture
def shot_files(tmp_path: Path) -> tuple[str, Any]:
    """Plates, and their straight render."""
    plate = plates(tmp_path / "in", COUNT)
    return plate, straight(MatteNode(RECURRENT), plate)


def filled(tmp_path: Path, plate: str) -> Store:
    """A store with everything of the shot."""
    cache = disk(tmp_path / "cache")
    dict(MatteNode(RECURRENT).connect(plate, cache=cache).render())
    assert cache.store is not None
    assert len(cache.store.entries()) == 3 * COUNT
    return cache.store


def right_again(tmp_path: Path, plate: str, expected: Any, steps: int) -> None:
    """Every frame is right, and afterwards the store is sound."""
    cache = disk(tmp_path / "cache")
    shot = MatteNode(RECURRENT).connect(plate, cache=cache)
    for frame in (5, 1, 4, 2, 3):
        assert same(shot.at(frame), expected[frame]), frame
    assert shot.steps == steps
    assert cache.store is not None
    assert not list(damaged(cache.store))
    assert not Path("owned.txt").exists()


@pytest.mark.parametrize("kind", ["states", "predictions", "results"])
@pytest.mark.parametrize("name", BYTES)
def test_damaged_entries(tmp_path: Path, shot_files: Any, kind: str, name: str) -> None:
    plate, expected = shot_files
    store = filled(tmp_path, plate)
    for entry in store.entries():
        if entry.kind == kind:
            entry.path.write_bytes(BYTES[name](entry.path.read_bytes()))
        elif entry.kind == "results" or kind == "states":
            entry.path.unlink()  # so that the damaged ones are really asked for
    bad = len(list(damaged(store)))
    harmless = kind == "results" and name in ("a byte more", "twice")  # readers stop at the end
    assert bad == (0 if harmless else COUNT)
    right_again(tmp_path, plate, expected, 5 if kind != "results" else 0)


@pytest.mark.parametrize("kind", ["states", "predictions", "results"])
def test_entries_under_other_names(tmp_path: Path, shot_files: Any, kind: str) -> None:
    plate, expected = shot_files
    store = filled(tmp_path, plate)
    paths = sorted(entry.path for entry in store.entries() if entry.kind == kind)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    for entry in store.entries():
        if entry.kind != kind and (entry.kind == "results" or kind == "states"):
            entry.path.unlink()
    assert len(list(damaged(store))) == COUNT
    right_again(tmp_path, plate, expected, 5 if kind != "results" else 0)


@pytest.mark.parametrize("what", ["link", "broken link", "folder", "full folder", "pipe"])
def test_things_that_are_no_files(tmp_path: Path, shot_files: Any, what: str) -> None:
    plate, expected = shot_files
    store = filled(tmp_path, plate)
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    for entry in store.entries():
        entry.path.unlink()
        if what == "link":
            entry.path.symlink_to(victim)
        elif what == "broken link":
            entry.path.symlink_to(tmp_path / "nowhere")
        elif what == "pipe":
            os.mkfifo(entry.path)
        else:
            entry.path.mkdir()
            if what == "full folder":
                (entry.path / "link").symlink_to(tmp_path)
    right_again(tmp_path, plate, expected, 5)
    assert victim.read_text() == "mine"


def test_an_exr_that_claims_to_be_huge(tmp_path: Path, shot_files: Any) -> None:
    plate, expected = shot_files
    store = filled(tmp_path, plate)
    for entry in store.entries():
        if entry.kind == "results":
            content = entry.path.read_bytes()
            at = content.index(b"dataWindow\0box2i\0") + 17 + 4
            size = np.array([0, 0, 2_000_000, 2_000_000], "<i4").tobytes()
            entry.path.write_bytes(content[:at] + size + content[at + 16 :])
    right_again(tmp_path, plate, expected, 0)


def test_an_exr_of_another_size_or_kind(tmp_path: Path, shot_files: Any) -> None:
    plate, expected = shot_files
    store = filled(tmp_path, plate)
    sizes = [(12, 16, 3), (13, 16, 3), (1, 1, 3), (12, 16, 1), (12, 17, 4)]
    entries = [entry for entry in store.entries() if entry.kind == "results"]
    for entry, size in zip(entries, sizes, strict=True):
        key = entry.path.stem
        entry.path.unlink()
        pixels = np.zeros(size, np.float16)
        write_image(entry.path, pixels, "RGBA"[: size[2]], **{"matte/key": key})
    right_again(tmp_path, plate, expected, 0)


def test_a_hostile_memo_of_hashes(tmp_path: Path, shot_files: Any) -> None:
    plate, expected = shot_files
    memo = tmp_path / "cache" / "inputs.txt"
    for _ in range(40):  # files that were written just now are not remembered
        filled(tmp_path, plate)
        if memo.is_file():
            break
        time.sleep(0.25)
    lines = memo.read_text().splitlines()
    key, value, _ = lines[0].split(" ")
    forged = f"{key} {'0' * 64}"
    for content in (
        b"", b"\0" * 5000, b"\xff" * 5000, b"a b c\n" * 1000, b"x" * 1_000_000,
        "\n".join(line[:-1] for line in lines).encode() + b"\n",
        f"{forged} 00000000\n".encode(), f"{key} {value}".encode(),
        "\n".join(f"{'k' * 32} {n} {zlib.crc32(str(n).encode()):08x}" for n in range(999)).encode(),
    ):  # fmt: skip
        memo.write_bytes(content)
        right_again(tmp_path, plate, expected, 0)
    for make in (memo.mkdir, lambda: os.mkfifo(memo), lambda: memo.symlink_to("/dev/zero")):
        memo.unlink(missing_ok=True)
        make()
        with pytest.warns(UserWarning, match="cannot be used"):
            right_again(tmp_path, plate, expected, 0)
        if memo.is_dir():
            memo.rmdir()


def test_names_of_arrays_do_not_matter(tmp_path: Path) -> None:
    arrays = {"../../x": np.ones(3, np.float32), "": np.zeros((0, 2)), "ü\n": np.array(7)}
    save_tensors(tmp_path / "t", arrays, "k")
    found = load_tensors(tmp_path / "t", "k")
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    with pytest.raises(DamagedEntry):
        load_tensors(tmp_path / "t", "another")


@pytest.mark.parametrize("what", ["file", "link to nowhere", "locks are a file"])
def test_a_folder_that_cannot_be_used(tmp_path: Path, shot_files: Any, what: str) -> None:
    plate, expected = shot_files
    folder = tmp_path / "cache"
    if what == "file":
        folder.write_text("no folder")
    elif what == "link to nowhere":
        folder.symlink_to(tmp_path / "gone" / "folder")
        (tmp_path / "gone").write_text("no folder")
    else:
        folder.mkdir()
        (folder / "locks").write_text("no folder")
    shot = MatteNode(RECURRENT).connect(plate, cache=Cache("disk", store=Store(folder)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mattes = {frame: shot.at(frame) for frame in (5, 1, 4, 2, 3)}
    assert all(same(matte, expected[frame]) for frame, matte in mattes.items())
    assert len(said) == 1, "it is said once"
    assert "matte cache" in str(said[0].message)
    assert shot.steps == COUNT
