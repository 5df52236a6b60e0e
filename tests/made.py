# SPDX-License-Identifier: Apache-2.0
"""Files that tests make: EXR and PNG sequences, movies, read back by name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.testing.scene import Scene, scene


def write_image(
    path: Path,
    pixels: NDArray[Any],
    channels: str = "RGB",
    **attributes: Any,
) -> None:
    """One picture of any type that OpenImageIO takes by its ending."""
    array = pixels if pixels.ndim == 3 else pixels[..., None]
    height, width = array.shape[:2]
    spec = oiio.ImageSpec(width, height, array.shape[2], str(array.dtype))
    if array.dtype == np.float16:
        spec.set_format(oiio.HALF)
    spec.channelnames = tuple(channels)
    for name, value in attributes.items():
        spec.attribute(name.replace("__", ":"), value)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None, oiio.geterror()
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(array)), output.geterror()
    output.close()


def read_named(path: Path) -> dict[str, NDArray[np.float32]]:
    """All channels of a file, by name: over the display window where that holds the data window."""
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    spec = source.spec()
    pixels = source.read_image("float")
    source.close()
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    inside = (
        0 <= left <= spec.full_width - spec.width and 0 <= top <= spec.full_height - spec.height
    )
    if inside and (spec.width, spec.height) != (spec.full_width, spec.full_height):
        whole = np.zeros((spec.full_height, spec.full_width, spec.nchannels), np.float32)
        whole[top : top + spec.height, left : left + spec.width] = pixels
        pixels = whole
    return {name: pixels[..., i] for i, name in enumerate(spec.channelnames)}


def attributes_of(path: Path) -> dict[str, Any]:
    """All attributes of a file."""
    source = oiio.ImageInput.open(str(path))
    found = {item.name: item.value for item in source.spec().extra_attribs}
    source.close()
    return found


def scenes(count: int, height: int = 72, width: int = 96) -> list[Scene]:
    """A moving made scene."""
    return [scene(height, width, time=0.3 * index) for index in range(count)]


def plate_sequence(
    folder: Path,
    count: int = 5,
    first: int = 1001,
    *,
    size: tuple[int, int] = (72, 96),
    gain: float = 1.0,
) -> Path:
    """folder/plate.####.exr (half, scene-linear) and folder/trimap.####.png; answers the pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, made in enumerate(scenes(count, *size)):
        number = first + index
        write_image(folder / f"plate.{number:04d}.exr", (made.plate * gain).astype(np.float16))
        codes = np.round(made.trimap * 255).astype(np.uint8)
        write_image(folder / f"trimap.{number:04d}.png", codes, "Y")
    return folder / "plate.####.exr"


def write_movie(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "ffv1",
    rate: int = 25,
    pix_fmt: str = "bgr0",
) -> None:
    """A small movie; FFV1 in RGB keeps every value."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = (
            frames[0].shape[1],
            frames[0].shape[0],
            pix_fmt,
        )
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            for packet in stream.encode(picture.reformat(format=pix_fmt)):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
