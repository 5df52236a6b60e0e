# SPDX-License-Identifier: Apache-2.0
"""Sizes and values that are too large."""

from __future__ import annotations

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import BadPlateError, MatteError
from tests.faults.rig import HERE, mask, odd, picture, run
from tests.faults.samples import (
    codes,
    half,
    write_exr,
)
from tests.made import write_image


@odd(
    "Numbers",
    "A small EXR with a canvas of 100,064 square",
    "refused",
    "Before anything is allocated; MATTE_MAX_PIXELS raises the limit.",
)
def test_union_canvas(tmp_path: Path) -> None:
    rows = [half(np.zeros((3, 64))).tobytes()] * 48
    write_exr(
        tmp_path / "p.1.exr", [("B", 1, 1), ("G", 1, 1), ("R", 1, 1)],
        (100_000, 100_000, 100_063, 100_047), rows, display=(0, 0, 63, 47),
    )  # fmt: skip
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("MATTE_MAX_PIXELS")


@odd("Numbers", "A PNG of 30,000 square", "refused", "Before anything is allocated.")
def test_large_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    run(tmp_path / "o", tmp_path / "p.png").refused("png header claims")
    with (tmp_path / "p.png").open("ab") as file:  # now as large as such a picture may be
        file.truncate(100 << 20)
    run(tmp_path / "o", tmp_path / "p.png").refused("30000x30000", "MATTE_MAX_PIXELS")
    monkeypatch.setenv("MATTE_MAX_PIXELS", "100")
    write_image(tmp_path / "q.png", codes(picture()))
    run(tmp_path / "q", tmp_path / "q.png").refused("limit of 100")
    monkeypatch.setenv("MATTE_MAX_PIXELS", "many")
    assert run(tmp_path / "r", tmp_path / "q.png").code == 2


@odd("Numbers", "An EXR with 50,000 attributes", "refused", "Before the reader sees them.")
def test_many_attributes(tmp_path: Path) -> None:
    rows = [half(np.zeros((3, 64))).tobytes()] * 48
    write_exr(
        tmp_path / "p.1.exr", [("B", 1, 1), ("G", 1, 1), ("R", 1, 1)], (0, 0, 63, 47), rows,
        attributes=tuple((f"a{n}", "int", bytes(4)) for n in range(50_000)),
    )  # fmt: skip
    began = time.monotonic()
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("attributes")
    assert time.monotonic() - began < 30


@odd("Numbers", "Plate values of 3e38", "refused", "The pixel is named.")
def test_huge_values(tmp_path: Path) -> None:
    pixels = picture().copy()
    pixels[5, 7, 1] = 3e38
    write_image(tmp_path / "p.1.exr", pixels)
    run(tmp_path / "o", tmp_path / "p.#.exr").refused("7,5")
    with pytest.raises(BadPlateError, match="7,5"):
        MatteNode("green-screen")(pixels)


@odd("Numbers", "NaN or Inf in a mask", "refused", "The mask is named.")
def test_mask_that_is_not_finite(tmp_path: Path) -> None:
    bad = mask()
    bad[3, 3] = np.nan
    write_image(tmp_path / "p.png", codes(picture()))
    write_image(tmp_path / "m.exr", bad, "A")
    run(tmp_path / "o", tmp_path / "p.png", "--segmentation", tmp_path / "m.exr",
        "--segmentation-use", "core").refused("finite")  # fmt: skip


@odd("Numbers", "A pipe or a device as an input", "refused", "At once.")
@pytest.mark.parametrize("kind", ["pipe", "device", "pipe in a pattern", "hint"])
def test_pipes(tmp_path: Path, kind: str) -> None:
    write_image(tmp_path / "p.0001.png", codes(picture()))
    os.mkfifo(tmp_path / "p.0002.png")
    sources = {
        "pipe": tmp_path / "p.0002.png",
        "device": Path("/dev/zero"),
        "pipe in a pattern": tmp_path / "p.####.png",
        "hint": tmp_path / "p.0001.png",
    }
    flags = ("--segmentation", tmp_path / "p.0002.png") if kind == "hint" else ()
    run(tmp_path / "o", sources[kind], *flags).refused("pipe")


@odd("Numbers", "Deep JSON, Infinity as a frame number in a manifest", "taken", "Left out.")
def test_odd_manifest(tmp_path: Path) -> None:
    plate = HERE / "houdini_parts_N_first" / "plate.####.exr"
    assert run(tmp_path / "o", plate).code == 0
    manifest = next((tmp_path / "o").glob("*.jsonl"))
    deep = "[" * 100_000 + "]" * 100_000
    with manifest.open("a") as file:
        file.write(f'{{"frame": Infinity}}\n{{"frame": NaN}}\n{deep}\n[1]\n7\n')
    ran = run(tmp_path / "o", plate)
    assert ran.code == 0, ran.said


@odd(
    "Numbers",
    "An npz that unpacks to gigabytes, or says it is larger than it is",
    "refused",
    "Before anything is unpacked.",
)
def test_npz_bombs(tmp_path: Path) -> None:
    import io
    import zipfile

    from matte_nodes.checkpoints.read import read_tensors

    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 26,)}
        )
        archive.writestr("w.npy", header.getvalue() + bytes(1 << 28))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        )
        archive.writestr("w.npy", header.getvalue() + bytes(16))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(MatteError, match=name):
            read_tensors(tmp_path / name)
