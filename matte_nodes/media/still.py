# SPDX-License-Identifier: Apache-2.0
"""One picture file by OpenImageIO: its header, and its pixels by channel name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.errors import MediaError
from matte_nodes.media import array_file
from matte_nodes.media.image import Image, Window
from matte_nodes.media.metadata import carried

# OpenImageIO would premultiply straight alpha on reading; the plate is wanted as it lies there.
_AS_STORED = oiio.ImageSpec()
_AS_STORED.attribute("oiio:UnassociatedAlpha", 1)

_NATIVE = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
_COLOUR = (("R", "G", "B"), ("r", "g", "b"), ("red", "green", "blue"), ("Red", "Green", "Blue"))
_ALPHA = ("A", "a", "alpha", "Alpha")

# Corners of EXR chromaticities (Rx Ry Gx Gy Bx By Wx Wy) and the space they say.
_CHROMATICITIES = {
    "lin_ap0_scene": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "lin_ap1_scene": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
    "lin_rec709_scene": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    "lin_rec2020_scene": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329),
}


@dataclass(frozen=True)
class Header:
    """What is known of a picture before its pixels are read; windows as they are shown."""

    subimage: int
    indices: tuple[int, ...]
    channels: tuple[str, ...]
    dtype: str
    data_window: Window
    display_window: Window
    pixel_aspect: float
    colorspace: str
    rate: tuple[int, int] | None
    orientation: int


def read_header(path: Path, layer: str = "") -> Header:
    """The header of one file. Raises MediaError with the reader's reason."""
    if array_file.is_array(path):
        return _array_header(path, layer)
    with _opened(path) as source:
        return _header(source, path, layer)[0]


def read_image(path: Path, layer: str = "") -> Image:
    """One file as an Image: native type, channels by name, EXIF orientation applied.

    Half stays float16, float float32, 8 and 16 bits uint8 and uint16; 10 and 12 bit DPX come as
    full-range uint16, other types as float32. Raises MediaError when the file is damaged or ends
    early, or holds no picture of this kind.
    """
    if array_file.is_array(path):
        return _array_image(path, layer)
    with _opened(path) as source:
        header, spec = _header(source, path, layer)
        low, high = min(header.indices), max(header.indices) + 1
        pixels = source.read_image(header.subimage, 0, low, high, header.dtype)
        if pixels is None or source.has_error:
            raise MediaError(f"{path}: the file is damaged or not whole ({reason(source)})")
        association = _association(spec, source.format_name(), header.channels)
    if header.indices != tuple(range(low, high)):
        pixels = pixels[..., [index - low for index in header.indices]]
    if header.orientation > 1:
        pixels = _reorient(pixels, header.orientation)
    return Image(
        pixels=pixels,
        channels=header.channels,
        data_window=header.data_window,
        display_window=header.display_window,
        pixel_aspect=header.pixel_aspect,
        colorspace=header.colorspace,
        metadata=carried(spec),
        alpha_associated=association,
    )


def _array_header(path: Path, layer: str) -> Header:
    if layer:
        raise MediaError(f"{path}: the file has no layer {layer!r}; an array has none")
    (height, width, count), kind = array_file.shape_and_type(path)
    window = Window(0, 0, width, height)
    names = {np.dtype(numpy): name for name, numpy in _NATIVE.items()}
    return Header(
        subimage=0, indices=tuple(range(count)), channels=array_file.CHANNELS[count],
        dtype=names[kind.newbyteorder("=")], data_window=window, display_window=window,
        pixel_aspect=1.0, colorspace=array_file.facts(path).get("matte/colorspace", ""), rate=None,
        orientation=1,
    )  # fmt: skip


def _array_image(path: Path, layer: str) -> Image:
    header = _array_header(path, layer)
    pixels = array_file.read(path)
    window = header.data_window
    if pixels.shape != (window.height, window.width, len(header.channels)):
        raise MediaError(f"{path}: the file was replaced while it was read")
    return Image(
        pixels=pixels,
        channels=header.channels,
        data_window=window,
        display_window=window,
        colorspace=header.colorspace,
        alpha_associated=False if "A" in header.channels else None,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    _wait_for(path)
    try:
        source = oiio.ImageInput.open(str(path), _AS_STORED)
    except TypeError as error:  # bytes that are no UTF-8 in the name
        raise MediaError(f"{str(path)!r}: rename the file, its name is not UTF-8") from error
    if source is None:
        said = reason(oiio)
        if not path.exists():
            raise MediaError(f"{path}: there is no such file")
        if not path.stat().st_size:
            raise MediaError(f"{path}: the file is empty")
        raise MediaError(f"{path}: cannot be read as a picture ({said})")
    try:
        yield source
    except UnicodeDecodeError as error:  # channel names, which are text by the standard
        raise MediaError(f"{path}: the file is damaged (its header is not text)") from error
    finally:
        source.close()


def _wait_for(path: Path) -> None:
    """Wait here for a file on a slow or hung disk.

    OpenImageIO holds the interpreter's lock while it opens a file, so every thread of the process
    would wait with it. Python's own calls let other threads go on.
    """
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:  # the opener says why
        file.read(1)


def reason(source: Any) -> str:
    """The first line of OpenImageIO's error; some readers and writers repeat it for pages."""
    try:
        lines = source.geterror().strip().splitlines()
    except UnicodeDecodeError:
        lines = []
    return str(lines[0]) if lines else "no reason given"


def _header(source: Any, path: Path, layer: str) -> tuple[Header, Any]:
    names: list[str] = []
    subimage = 0
    while source.seek_subimage(subimage, 0):
        spec = source.spec()
        part = spec.get_string_attribute("oiio:subimagename")
        chosen = _choose(tuple(spec.channelnames), layer, part)
        if chosen is not None:
            if spec.deep:
                raise MediaError(f"{path}: deep pixels are not supported; flatten the file")
            return _describe(spec, source.format_name(), subimage, *chosen), spec
        names += spec.channelnames
        subimage += 1
    what = f"no layer {layer!r}" if layer else "no R, G, B and no grey channel"
    raise MediaError(f"{path}: the file has {what}; its channels are {', '.join(names)}")


def _choose(
    names: tuple[str, ...], layer: str, part: str
) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """Which channels to read, and what they are called: R, G, B and A, or Y and A, or Y."""
    prefix = f"{layer}." if layer and any(n.startswith(f"{layer}.") for n in names) else ""
    if layer and not prefix and part != layer:
        return None
    own = {n.removeprefix(prefix): i for i, n in enumerate(names) if n.startswith(prefix)}
    alpha = next((own[a] for a in _ALPHA if a in own), None)
    for colour in _COLOUR:
        if all(c in own for c in colour):
            indices = tuple(own[c] for c in colour)
            return (
                (indices, ("R", "G", "B"))
                if alpha is None
                else (
                    (*indices, alpha),
                    ("R", "G", "B", "A"),
                )
            )
    # Grey: by name, or a matte alone (A, alpha.V), or a file with one channel of any name.
    for grey in ("Y", "y", "I", "L", "V"):
        if grey in own:
            return ((own[grey],), ("Y",)) if alpha is None else ((own[grey], alpha), ("Y", "A"))
    if alpha is not None and (layer or not any("." not in n for n in own if n not in _ALPHA)):
        return (alpha,), ("Y",)
    if len(own) == 1:
        return tuple(own.values()), ("Y",)
    return None


def _describe(
    spec: Any, form: str, subimage: int, indices: tuple[int, ...], channels: tuple[str, ...]
) -> Header:
    data = Window(spec.x, spec.y, spec.width, spec.height)
    display = Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    orientation = spec.get_int_attribute("Orientation", 1)
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    if not (np.isfinite(aspect) and aspect > 0):
        aspect = 1.0
    if orientation >= 5:  # turned by a quarter: width and height change places
        data = Window(data.y, data.x, data.height, data.width)
        display = Window(display.y, display.x, display.height, display.width)
        aspect = 1.0 / aspect
    rate = spec.getattribute("framesPerSecond")
    kind = str(spec.format)
    return Header(
        subimage=subimage,
        indices=indices,
        channels=channels,
        dtype=kind if kind in _NATIVE else "float",
        data_window=data,
        display_window=display,
        pixel_aspect=aspect,
        colorspace=_colorspace(spec) if form == "openexr" else "",
        rate=rate if isinstance(rate, tuple) and len(rate) == 2 and all(rate) else None,
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )


def _colorspace(spec: Any) -> str:
    """What an EXR says of its colours, by how sure we can be that somebody meant it.

    Not `oiio:ColorSpace`: OpenImageIO 3.0 makes it up for files that say nothing, later ones copy
    it from colorInteropID.
    """
    for name in ("matte/colorspace", "colorInteropID"):
        said = spec.get_string_attribute(name)
        if said and said != "unknown":
            return str(said)
    if spec.get_int_attribute("acesImageContainerFlag"):
        return "lin_ap0_scene"
    corners = spec.getattribute("chromaticities")
    if isinstance(corners, tuple) and len(corners) == 8:
        for name, known in _CHROMATICITIES.items():
            if np.allclose(corners, known, atol=1e-3):
                return name
    return ""


def _association(spec: Any, form: str, channels: tuple[str, ...]) -> bool | None:
    if "A" not in channels:
        return None
    named = spec.get_string_attribute("matte/association")
    if named in ("premultiplied", "straight"):
        return bool(named == "premultiplied")
    if form == "tiff":
        return not spec.get_int_attribute("tiff:UnassociatedAlpha")
    return form in ("openexr", "rla", "zfile")


def _reorient(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """EXIF orientation 2 to 8: pixels as they are to be shown."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
