# SPDX-License-Identifier: Apache-2.0
"""Small made files for the media tests: pictures with known values, movies with known frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.media.image import Image, Rect
from matte_nodes.media.writers import OutputFrame

_TYPES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}


def write_picture(
    path: Path,
    pixels: NDArray[Any],
    names: tuple[str, ...] | None = None,
    *,
    data: tuple[int, int] = (0, 0),
    display: Rect | None = None,
    kind: str | None = None,
    **attributes: Any,
) -> Path:
    """Write (H, W, C) with OpenImageIO; attribute values are plain or (type, value)."""
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, kind or _TYPES[str(pixels.dtype)])
    if names:
        spec.channelnames = names
    spec.x, spec.y = data
    shown = display or Rect(*data, width, height)
    spec.full_x, spec.full_y = shown.x, shown.y
    spec.full_width, spec.full_height = shown.width, shown.height
    for name, value in attributes.items():
        if isinstance(value, tuple):
            spec.attribute(name, oiio.TypeDesc(value[0]), value[1])
        else:
            spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None, oiio.geterror()
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(pixels)), output.geterror()
    assert output.close(), output.geterror()
    return path


def plate(frame: int = 1, height: int = 6, width: int = 8, dtype: str = "float16") -> NDArray[Any]:
    """A small RGB picture, another one for every frame."""
    random = np.random.default_rng(abs(frame))
    pixels = random.random((height, width, 3), dtype=np.float32)
    if dtype.startswith("uint"):
        pixels = pixels * np.iinfo(dtype).max
    return pixels.astype(dtype)


def write_sequence(folder: Path, frames: Iterable[int], name: str = "plate", **more: Any) -> str:
    """EXR frames `name.####.exr`; returns the pattern."""
    folder.mkdir(exist_ok=True)
    for frame in frames:
        write_picture(folder / f"{name}.{frame:04d}.exr", plate(frame), **more)
    return str(folder / f"{name}.####.exr")


def write_movie(
    path: Path,
    pictures: Iterable[av.VideoFrame],
    codec: str,
    *,
    rate: Fraction = Fraction(25),
    options: dict[str, str] | None = None,
    times: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    setup: Callable[[Any, Any], None] | None = None,
    pix_fmt: str | None = None,
) -> Path:
    """Encode pictures; times are in units of time_base, one unit a frame when left out."""
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        first = pictures[0] if pictures else av.VideoFrame(64, 48, "yuv420p")
        stream.width, stream.height = first.width, first.height
        stream.pix_fmt = pix_fmt or first.format.name
        base = time_base or 1 / rate
        stream.codec_context.time_base = base
        if setup:
            setup(container, stream)
        for pts, picture in zip(times or range(len(pictures)), pictures, strict=False):
            picture.pts, picture.time_base = pts, base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def numbered(n: int, width: int = 64, height: int = 48, form: str = "yuv420p") -> av.VideoFrame:
    """A movie frame that can be told from every other: its number in eight black or white bars."""
    bars = [235 if n >> bit & 1 else 16 for bit in range(8)]
    luma = np.repeat(np.array(bars, np.uint8), width // 8)[None].repeat(height, 0)
    picture = av.VideoFrame(width, height, form)
    for plane, codes in zip(picture.planes, (luma, None, None), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
        rows[:] = 128
        if codes is not None:
            rows[:, :width] = codes
    return picture


def number_of(image: Image) -> int:
    """The number that `numbered` drew, read from the decoded picture."""
    row = image.floats()[image.pixels.shape[0] // 2, :, 0]
    width = len(row) // 8
    return sum(int(row[bit * width + width // 2] > 0.5) << bit for bit in range(8))


def matte_frame(
    frame: int = 1,
    height: int = 24,
    width: int = 32,
    *,
    window: Rect | None = None,
    display: Rect | None = None,
    scale: float = 1.0,
    time: float | None = None,
    **more: Any,
) -> OutputFrame:
    """A matte with solid, soft and empty parts over a foreground of random values."""
    data = window or Rect(0, 0, width, height)
    random = np.random.default_rng(frame)
    ramp = np.linspace(-0.5, 1.5, data.width, dtype=np.float32).clip(0, 1)
    alpha = np.broadcast_to(ramp.astype(np.float16), (data.height, data.width))
    foreground = random.random((data.height, data.width, 3), dtype=np.float32) * scale
    source = Image(
        pixels=np.zeros((data.height, data.width, 3), np.float16),
        channels=("R", "G", "B"),
        data_window=data,
        display_window=display or data,
        time=time,
        **more,
    )
    return OutputFrame(frame, alpha.astype(np.float32), foreground, data, source, {})
