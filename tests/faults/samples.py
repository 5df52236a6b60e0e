# SPDX-License-Identifier: Apache-2.0
"""Files of odd kinds, made byte by byte, that several tests here share."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes import MatteNode
from tests.faults.rig import picture
from tests.made import write_image


def codes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """0 to 1 as 8-bit codes."""
    return (pixels * 255).round().astype(np.uint8)


def half(pixels: NDArray[Any]) -> NDArray[np.float16]:
    """As half floats."""
    return pixels.astype(np.float16)


def write_parts(path: Path, parts: list[tuple[str, tuple[str, ...], NDArray[Any], str]]) -> None:
    """A multi-part EXR: name, channels, pixels, view of each part."""
    specs = []
    for name, channels, pixels, view in parts:
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(channels), oiio.HALF)
        spec.channelnames = channels
        spec.attribute("oiio:subimagename", name)
        if view:
            spec.attribute("view", view)
        specs.append(spec)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), specs), output.geterror()
    for number, (_, _, pixels, _) in enumerate(parts):
        if number:
            assert output.open(str(path), specs[number], "AppendSubimage")
        assert output.write_image(np.ascontiguousarray(pixels, np.float16))
    output.close()


def write_exr(
    path: Path,
    channels: list[tuple[str, int, int]],
    window: tuple[int, int, int, int],
    rows: list[bytes],
    *,
    display: tuple[int, int, int, int] | None = None,
    attributes: tuple[tuple[str, str, bytes], ...] = (),
) -> Path:
    """A half-float EXR without compression, byte by byte: channels are (name, x and y sampling)."""
    head = bytearray(struct.pack("<II", 20000630, 2))

    def attribute(name: str, kind: str, value: bytes) -> None:
        head.extend(name.encode() + b"\0" + kind.encode() + b"\0")
        head.extend(struct.pack("<I", len(value)) + value)

    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<IB3xII", 1, 0, x, y) for name, x, y in channels
    )
    attribute("channels", "chlist", listed + b"\0")
    attribute("compression", "compression", b"\0")
    attribute("dataWindow", "box2i", struct.pack("<4i", *window))
    attribute("displayWindow", "box2i", struct.pack("<4i", *(display or window)))
    attribute("lineOrder", "lineOrder", b"\0")
    attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0))
    attribute("screenWindowWidth", "float", struct.pack("<f", 1))
    for one in attributes:
        attribute(*one)
    head.append(0)
    at, table, data = len(head) + 8 * len(rows), b"", b""
    for y, row in enumerate(rows):
        table += struct.pack("<Q", at + len(data))
        data += struct.pack("<iI", window[1] + y, len(row)) + row
    path.write_bytes(bytes(head) + table + data)
    return path


def icc(primaries: tuple[float, ...], gamma: float, name: str) -> bytes:
    """A small display profile: matrix columns (D50) and a gamma."""

    def s15(number: float) -> bytes:
        return struct.pack(">i", round(number * 65536))

    text = name.encode()
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" * 79}
    for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), range(3), strict=True):
        tags[key] = b"XYZ " + bytes(4) + b"".join(s15(primaries[3 * column + i]) for i in range(3))
    for key in (b"rTRC", b"gTRC", b"bTRC"):
        tags[key] = b"para" + bytes(8) + s15(gamma)
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", key, at + len(data), len(value))
        data += padded
    body = struct.pack(">I", len(tags)) + table + data
    head = bytearray(128)
    head[0:4] = struct.pack(">I", 128 + len(body))
    head[8:12] = b"\x02\x10\0\0"
    head[12:24] = b"mntrRGB XYZ "
    head[36:40] = b"acsp"
    return bytes(head) + body


ADOBE = (0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457)


def write_as_is(path: Path, pixels: NDArray[Any]) -> None:
    """A file of just these values: floats stay floats, and integers of 32 bits what they are."""
    buffer = oiio.ImageBuf(np.ascontiguousarray(pixels))
    assert buffer.write(str(path))


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    whole = name + data
    return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))


def png(path: Path, *chunks: bytes, pixels: NDArray[Any] | None = None) -> Path:
    """A PNG of 8 bits (RGB, or grey for (H, W)) with further chunks, byte by byte."""
    found = codes(picture()) if pixels is None else pixels
    height, width = found.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in found)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if found.ndim == 3 else 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def gama(value: float) -> bytes:
    """A gAMA chunk."""
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def plate_of(folder: Path) -> Path:
    """The plate of frame 0 as p.png."""
    write_image(folder / "p.png", codes(picture()))
    return folder / "p.png"


def seen(plate: object, segmentation: object, **options: Any) -> Any:
    """The segmentation's binding to a plate."""
    shot = MatteNode("green-screen").connect(plate, segmentation=segmentation, **options)
    return shot.hints["segmentation"]
