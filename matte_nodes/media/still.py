# SPDX-License-Identifier: Apache-2.0
"""One picture file by OpenImageIO: its header, and its pixels by channel name."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.errors import MediaError
from matte_nodes.media import array_file, heif, layers, limits, still_color
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.metadata import carried

# OpenImageIO would premultiply straight alpha on reading; the plate is wanted as it lies there.
_AS_STORED = oiio.ImageSpec()
_AS_STORED.attribute("oiio:UnassociatedAlpha", 1)

_WIDE = ("uint", "int")  # OpenImageIO's names for integers of 32 bits
_SIGNED = {"int8": "uint8", "int16": "uint16"}  # the unsigned type whose white is the same
_NATIVE = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
# Corners of EXR chromaticities (Rx Ry Gx Gy Bx By Wx Wy) and the space they say.
_CHROMATICITIES = {
    "lin_ap0_scene": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "lin_ap1_scene": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
    "lin_rec709_scene": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    "lin_rec2020_scene": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329),
    "lin_p3d65_scene": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329),
    "lin_adobergb_scene": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.329),
    "lin_arri_wide_gamut_3": (0.684, 0.313, 0.221, 0.848, 0.0861, -0.102, 0.3127, 0.329),
    "lin_sgamut3": (0.73, 0.28, 0.14, 0.855, 0.1, -0.05, 0.3127, 0.329),
    "lin_sgamut3cine": (0.766, 0.275, 0.225, 0.8, 0.089, -0.087, 0.3127, 0.329),
    "lin_vgamut": (0.73, 0.28, 0.165, 0.84, 0.1, -0.03, 0.3127, 0.329),
    "lin_rwg": (0.7803, 0.3043, 0.1216, 1.494, 0.0956, -0.0846, 0.3127, 0.329),
}

# Readers of luminance-chroma files are chosen for the whole process: one thread at a time.
_SUBSAMPLED = threading.Lock()


@dataclass(frozen=True)
class Header:
    """A picture's header. Windows are those after EXIF orientation."""

    subimage: int
    indices: tuple[int, ...]
    channels: tuple[str, ...]
    dtype: str
    data_window: Rect
    display_window: Rect
    pixel_aspect: float
    colorspace: str
    rate: tuple[int, int] | None
    orientation: int
    said: str = ""
    """Which channels were chosen, in words (`layers.Choice.said`)."""
    others: tuple[str, ...] = ()
    """Further masks in the file."""
    assumptions: tuple[str, ...] = ()
    """What the file leaves open, as it goes on after its name."""


@dataclass(frozen=True)
class Want:
    """The requested layer and view of a file, and its purpose."""

    layer: str = ""
    """A layer, part or channel by name; "" for the picture (or the mask)."""
    view: str = ""
    """A view of a stereo file; "" for its first."""
    purpose: layers.Purpose = "picture"
    """What it is for."""


PICTURE = Want()


def read_header(path: Path, want: Want = PICTURE) -> Header:
    """Return the header of one file. Raises MediaError with the reader's reason."""
    if array_file.is_array(path):
        return _array_header(path, want.layer)
    if path.suffix.lower() == ".exr" and path.is_file():
        limits.check_exr(path)
    if heif.is_heif(path) and path.is_file():
        return _heif_header(path, want.layer)
    with _opened(path) as source:
        header, spec = _header(source, path, want)
        if source.format_name() == "tiff" and _has_pages(source, spec):
            pages = "has several pages, and the first is taken"
            header = replace(header, assumptions=(*header.assumptions, pages))
        return header


def _has_pages(source: Any, first: Any) -> bool:
    """Whether a TIFF has a second picture of the same size: a page, not a thumbnail."""
    if not source.seek_subimage(1, 0):
        source.geterror()
        return False
    second = source.spec()
    return bool((second.width, second.height) == (first.width, first.height))


def read_image(path: Path, want: Want = PICTURE) -> Image:
    """Return one file as an Image: native type, channels by name, EXIF orientation applied.

    Half stays float16, float float32, 8 and 16 bits uint8 and uint16; 10 and 12 bit DPX come as
    full-range uint16, integers of 32 bits as uint16, other types as float32. Raises MediaError when the file is damaged or ends
    early, or holds no picture of this kind.
    """
    if array_file.is_array(path):
        return _array_image(path, want.layer)
    if heif.is_heif(path) and path.is_file():
        return _heif_image(path, want.layer)
    with _opened(path) as source:
        header, spec = _header(source, path, want)
        low, high = min(header.indices), max(header.indices) + 1
        pixels = source.read_image(header.subimage, 0, low, high, header.dtype)
        if pixels is None or source.has_error:
            raise MediaError(f"{path}: the file is damaged or not whole ({reason(source)}).")
        association = _association(spec, source.format_name(), header.channels)
    if header.dtype in _WIDE:
        pixels = _narrowed(pixels, path, want)
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


def _is_wide(spec: Any, indices: tuple[int, ...]) -> bool:
    return all(str(spec.channelformat(index)) in _WIDE for index in indices)


def _narrowed(pixels: NDArray[Any], path: Path, want: Want) -> NDArray[np.uint16]:
    """Return integers of 32 bits as uint16: small ones are a mask's codes, others fill the range.

    Raises MediaError for negative ones, and for a picture of small ones: it does not say what white
    is.
    """
    if pixels.min() < 0:
        raise MediaError(f"{path}: its integers are negative. Save it with 8 or 16 bits.")
    if pixels.max() > np.iinfo(np.uint16).max:
        return (pixels >> (15 if pixels.dtype == np.int32 else 16)).astype(np.uint16)
    if want.purpose != "mask" and pixels.any():
        raise MediaError(
            f"{path}: its integers of 32 bits are at most {pixels.max()}, so white is not known. Save "
            "it with 8 or 16 bits."
        )
    return pixels.astype(np.uint16)


def _array_header(path: Path, layer: str) -> Header:
    if layer:
        raise MediaError(f"{path}: the file has no layer {layer!r}; an array has none.")
    (height, width, count), kind = array_file.shape_and_type(path)
    window = Rect(0, 0, width, height)
    limits.check_size(f"{path}: its picture", window)
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
        raise MediaError(f"{path}: the file was replaced while it was read.")
    return Image(
        pixels=pixels,
        channels=header.channels,
        data_window=window,
        display_window=window,
        colorspace=header.colorspace,
        alpha_associated=False if "A" in header.channels else None,
    )


def _heif_header(path: Path, layer: str) -> Header:
    if layer:
        raise MediaError(f"{path}: the file has no layer {layer!r}; a photograph has none.")
    _wait_for(path)
    if not path.stat().st_size:
        raise _unreadable(path, "")
    window = heif.size(path)
    limits.check_size(f"{path}: its picture", window)
    is_wide, has_alpha, space = heif.facts(path)
    channels = ("R", "G", "B", "A")[: 3 + has_alpha]
    return Header(
        subimage=0, indices=tuple(range(len(channels))), channels=channels,
        dtype="uint16" if is_wide else "uint8", data_window=window, display_window=window,
        pixel_aspect=1.0, colorspace=space, rate=None, orientation=1,
    )  # fmt: skip


def _heif_image(path: Path, layer: str) -> Image:
    header = _heif_header(path, layer)
    found = heif.read(path)
    return Image(
        pixels=found.pixels,
        channels=("R", "G", "B", "A")[: found.pixels.shape[2]],
        data_window=header.data_window,
        display_window=header.display_window,
        colorspace=found.colorspace,
        alpha_associated=False if found.pixels.shape[2] == 4 else None,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise MediaError(f"{path}: is a folder, a pipe or a device, not a file.")
        _wait_for(path)
        source = oiio.ImageInput.open(str(path), _AS_STORED)
    except TypeError as error:  # bytes that are no UTF-8 in the name
        raise MediaError(
            f"{str(path)!r}: the file name is not valid UTF-8; rename the file."
        ) from error
    if source is None:
        said = reason(oiio)
        if "Subsampled" in said:
            source = _subsampled(path)
        if source is None:
            raise _unreadable(path, said)
    try:
        yield source
    except UnicodeDecodeError as error:  # channel names, which are text by the standard
        raise MediaError(f"{path}: the file is damaged (its header is not text).") from error
    finally:
        source.close()


def _wait_for(path: Path) -> None:
    """Wait here for a file on a slow or hung disk.

    OpenImageIO holds the interpreter's lock while it opens a file, so every thread of the process
    would wait with it. Python's own calls let other threads go on.
    """
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:  # the opener says why
        file.read(1)


def _subsampled(path: Path) -> Any:
    """Return a luminance-chroma EXR, which OpenImageIO's newer reader refuses and its older one
    reads.
    """
    with _SUBSAMPLED:
        core = oiio.get_int_attribute("openexr:core", 1)
        oiio.attribute("openexr:core", 0)
        try:
            return oiio.ImageInput.open(str(path), _AS_STORED)
        finally:
            oiio.attribute("openexr:core", core)


def _unreadable(path: Path, said: str) -> MediaError:
    if not path.exists():
        return MediaError(f"{path}: there is no such file.")
    if not path.stat().st_size:
        return MediaError(f"{path}: the file is empty.")
    return MediaError(f"{path}: cannot be read as a picture ({said}).")


def reason(source: Any) -> str:
    """Return the first line of OpenImageIO's error; some readers repeat it many times."""
    try:
        lines = source.geterror().strip().splitlines()
    except UnicodeDecodeError:
        lines = []
    return str(lines[0]) if lines else "no reason given"


def _header(source: Any, path: Path, want: Want) -> tuple[Header, Any]:
    parts: list[layers.Part] = []
    specs: list[Any] = []
    views: list[str] = []
    while source.seek_subimage(len(specs), 0):
        spec = source.spec()
        specs.append(spec)
        listed = spec.getattribute("multiView")
        views = views or ([str(v) for v in listed] if isinstance(listed, tuple) else [])
        parts.append(
            layers.Part(
                index=len(parts),
                name=spec.get_string_attribute("oiio:subimagename"),
                view=spec.get_string_attribute("view"),
                channels=tuple(spec.channelnames),
            )
        )
        if source.format_name() != "openexr":
            break  # pages, thumbnails or frames of an animation: the first is the picture
    try:
        chosen = layers.choose(
            parts, layer=want.layer, view=want.view, views=views, purpose=want.purpose
        )
    except MediaError as error:
        raise MediaError(f"{path}: {error}") from error
    spec = specs[chosen.part]
    if spec.deep:
        raise MediaError(f"{path}: deep pixels are not supported; flatten the file.")
    _check_kind(spec, source.format_name(), chosen, path, want)
    header = _describe(spec, source.format_name(), chosen, path)
    limits.check_size(f"{path}: its data window", header.data_window)
    limits.check_size(f"{path}: its display window", header.display_window)
    if len(specs) > 1:
        source.seek_subimage(chosen.part, 0)
    return header, spec


def _check_kind(
    spec: Any, form: str, chosen: layers.ChosenChannels, path: Path, want: Want
) -> None:
    """Raise MediaError for numbers that are no colours."""
    if spec.get_string_attribute("tiff:ColorSpace") in ("CIELAB", "ICCLAB", "ITULAB"):
        raise MediaError(f"{path}: its pixels are CIELAB, not R, G, B. Convert it to RGB.")
    if form == "openexr" and want.purpose == "picture" and _is_wide(spec, chosen.indices):
        raise MediaError(
            f"{path}: its channels hold whole numbers (uint), which are ids, not colours. Name a "
            "layer of half or float (--layer)."
        )


def _describe(spec: Any, form: str, chosen: layers.ChosenChannels, path: Path) -> Header:
    data = Rect(spec.x, spec.y, spec.width, spec.height)
    display = Rect(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    orientation = spec.get_int_attribute("Orientation", 1)
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    if not (np.isfinite(aspect) and aspect > 0):
        aspect = 1.0
    if orientation >= 5:  # turned by a quarter: width and height change places
        data = Rect(data.y, data.x, data.height, data.width)
        display = Rect(display.y, display.x, display.height, display.width)
        aspect = 1.0 / aspect
    kind = _SIGNED.get(str(spec.format), str(spec.format))
    return Header(
        subimage=chosen.part,
        indices=chosen.indices,
        channels=chosen.channels,
        dtype=kind if kind in _NATIVE or _is_wide(spec, chosen.indices) else "float",
        data_window=data,
        display_window=display,
        pixel_aspect=aspect,
        colorspace=_colorspace(spec) if form == "openexr" else still_color.of(spec, path, form),
        rate=_rate(spec),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        said=chosen.said,
        others=chosen.others,
        assumptions=_assumptions(spec, form, path),
    )


def _assumptions(spec: Any, form: str, path: Path) -> tuple[str, ...]:
    """Return what a header leaves open, or says twice and not alike."""
    if form == "openexr":
        named, corners = _named(spec), _of_chromaticities(spec)
        if named in _CHROMATICITIES and corners and corners != named:
            return (f"says {named} and has the chromaticities of another space; {named} is taken",)
        return ()
    if form == "hdr" and (found := _left_out_of_radiance(path)):
        return (f"has {found} in its header, which is left out",)
    kinds = [spec.get_string_attribute(f"{name}:ColorSpace") for name in ("jpeg", "tiff")]
    if any(kind in ("CMYK", "YCbCrK") for kind in kinds):
        return (
            "is CMYK, turned into R, G, B without a profile; convert it to RGB for its colours",
        )
    return ()


def _left_out_of_radiance(path: Path) -> str:
    """Return lines of a Radiance header that change its pixels and that its reader does not read."""
    with path.open("rb") as file:
        lines = file.read(4096).partition(b"\n\n")[0].decode("latin-1").splitlines()
    names = ("EXPOSURE", "COLORCORR", "PRIMARIES", "PIXASPECT")
    found = [line.strip() for line in lines if line.strip().startswith(names)]
    neutral = {"1", "1.0", "1 1 1", "1.0 1.0 1.0"}
    told = [line for line in found if line.partition("=")[2].strip() not in neutral]
    return ", ".join(told[:4])


def _rate(spec: Any) -> tuple[int, int] | None:
    """Return frames a second: framesPerSecond of the standard, or what Nuke carries of its input."""
    rate = spec.getattribute("framesPerSecond")
    if isinstance(rate, tuple) and len(rate) == 2 and all(rate):
        return int(rate[0]), int(rate[1])
    for name in ("nuke/input/frame_rate", "input/frame_rate", "dpx:FrameRate"):
        try:
            number = float(spec.getattribute(name) or 0)
        except (TypeError, ValueError):
            continue
        if 0 < number < 10_000:
            exact = spoken_rate(number)
            return exact.numerator, exact.denominator
    return None


def spoken_rate(number: float) -> Fraction:
    """Return the exact rate: 23.976 becomes 24000/1001, and 29.97 becomes 30000/1001."""
    whole = round(number * 1.001)
    if abs(number - whole / 1.001) < 0.002 and abs(number - whole) > 0.004:
        return Fraction(whole * 1000, 1001)
    return Fraction(number).limit_denominator(1000)


def _colorspace(spec: Any) -> str:
    """Return what an EXR says of its colours, by how sure we can be that somebody meant it.

    Not `oiio:ColorSpace`: OpenImageIO 3.0 makes it up for files that say nothing, later ones copy
    it from colorInteropID.
    """
    return _named(spec) or _of_chromaticities(spec)


def _named(spec: Any) -> str:
    for name in ("matte/colorspace", "colorInteropID"):
        said = spec.get_string_attribute(name)
        if said and said != "unknown":
            return str(said)
    return ""


def _of_chromaticities(spec: Any) -> str:
    if spec.get_int_attribute("acesImageContainerFlag"):
        return "lin_ap0_scene"
    corners = spec.getattribute("chromaticities")
    if isinstance(corners, tuple) and len(corners) == 8 and any(corners):
        for name, known in _CHROMATICITIES.items():
            if np.allclose(corners, known, atol=1e-3):
                return name
        return "chromaticities " + " ".join(f"{corner:.4g}" for corner in corners)
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
