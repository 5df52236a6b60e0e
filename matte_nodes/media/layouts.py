# SPDX-License-Identifier: Apache-2.0
"""Layouts: the channels of an output file, their names, and how they are packed into one array."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import OutputError
from matte_nodes.media import cryptomatte, halves
from matte_nodes.media.clip import paste
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.pattern import Pattern


@dataclass(frozen=True)
class OutputFrame:
    """One matte to write.

    alpha: (H, W) float32 over `window`, 0 to 1, already rounded to half. foreground: (H, W, 3)
    float32, straight, in the output space (linear for EXR, encoded for movies). window: the data
    window of the arrays. source: the plate's frame: display window, pixel aspect, metadata and
    time are carried over. extras: further channels by name, (H, W) or (H, W, 3). provenance: texts
    of this frame alone, beside the writer's own. shown: the plate in the output space, (H, W, 3)
    over the display window; only where the output needs it.
    """

    frame: int
    alpha: NDArray[np.float32]
    foreground: NDArray[np.float32]
    window: Rect
    source: Image
    extras: Mapping[str, NDArray[Any]]
    provenance: Mapping[str, str] = field(default_factory=dict)
    shown: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Layout:
    """A layout: its help text, its file extensions, and how alpha and colour relate.

    objects: what becomes of several objects: `layers` of one file, their `union`, or nothing, since
    a file has `one` matte.
    """

    help: str
    extensions: tuple[str, ...]
    association: str
    objects: Literal["layers", "union", "one"] = "one"


LAYOUTS: dict[str, Layout] = {
    "nuke": Layout(
        "R,G,B,A = foreground x alpha and alpha; fg.R,fg.G,fg.B = straight foreground; "
        "extras as layers (name.A); half, zips",
        (".exr",),
        "premultiplied",
        "layers",
    ),
    "blender": Layout(
        "one multilayer EXR: foreground.R,G,B straight, alpha.V; R,G,B,A premultiplied, for the "
        "sequencer; extras as name.V, objects as alpha_NAME.V; half, zips",
        (".exr",),
        "premultiplied",
        "layers",
    ),
    "cryptomatte": Layout(
        "premultiplied R,G,B and A, and the objects by name as Cryptomatte layers; 32-bit, zips",
        (".exr",),
        "premultiplied",
        "layers",
    ),
    "alpha": Layout(
        "the matte alone: channel A of a half EXR, grey of a 16-bit PNG or TIFF",
        (".exr", ".png", ".tif", ".tiff"),
        "none",
    ),
    "array": Layout(
        "straight foreground and alpha as plain float32 numbers (H, W, 4), for other programs to "
        "map; of metadata our own texts alone, behind the numbers",
        (".npy",),
        "straight",
        "union",
    ),
    "cutout": Layout(
        "straight foreground and alpha, encoded as the plate is: a picture or movie with "
        "transparency that opens anywhere; 8 bits a channel, 16 for PNG and TIFF of a plate with "
        "more; GIF has alpha 0 or 1 and dithered colours",
        (".png", ".webp", ".tif", ".tiff", ".gif", ".webm"),
        "straight",
    ),
    "over": Layout(
        "the subject over a colour, a picture or its own blurred plate (--over); opaque",
        (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".webm", ".mp4"),
        "none",
        "union",
    ),
    "movie": Layout(
        "foreground and alpha in one movie: ProRes 4444 (.mov), FFV1 (.mkv); with the plate's sound",
        (".mov", ".mkv"),
        "straight",
    ),
}

_DEFAULTS = {".exr": "nuke", ".png": "alpha", ".tif": "alpha", ".tiff": "alpha"}
_DEFAULTS |= {".npy": "array", ".mov": "movie", ".mkv": "movie"}
_DEFAULTS |= {".webp": "cutout", ".gif": "cutout", ".webm": "cutout"}
_OPAQUE = (".mp4", ".jpg", ".jpeg")


def choose_layout(layout: str, extension: str, spec: str, over: str = "") -> str:
    """The layout for a file: `auto` goes by extension. OutputError when the two do not fit.

    One PNG or TIFF is a cut-out; numbered ones are mattes, as roto artists hand them on. over: what
    the subject is put over ("": nothing).
    """
    if layout == "auto" and over:
        layout = "over"
    if (layout == "auto" and extension in _OPAQUE) or (layout == "over" and not over):
        raise OutputError(
            f"{spec}: {extension} has no transparency. Say what the subject is put over: --over "
            "white, --over blur, --over picture.jpg. With transparency: PNG, WebP, .webm, .mov."
        )
    if layout == "auto":
        if _DEFAULTS.get(extension) == "alpha" and Pattern.parse(spec) is None:
            return "cutout"
        if extension not in _DEFAULTS:
            raise OutputError(
                f"{spec}: {extension or 'a name without extension'} cannot be written; use one of "
                f"{', '.join(_DEFAULTS)}."
            )
        return _DEFAULTS[extension]
    if layout not in LAYOUTS:
        raise OutputError(f"There is no layout {layout!r}; use one of auto, {', '.join(LAYOUTS)}.")
    if extension not in LAYOUTS[layout].extensions:
        raise OutputError(
            f"{spec}: layout {layout} is written as {', '.join(LAYOUTS[layout].extensions)}, not "
            f"as {extension or 'a name without extension'}."
        )
    return layout


def layer_name(name: str) -> str:
    """Return a layer name that every host accepts: letters, digits and _, first a letter."""
    clean = re.sub(r"\W", "_", name, flags=re.ASCII)
    return clean if clean[:1].isalpha() else f"x_{clean}"


def _extra_channels(
    extras: Mapping[str, NDArray[Any]], single: str, taken: set[str]
) -> tuple[list[str], list[NDArray[Any]]]:
    names: list[str] = []
    planes: list[NDArray[Any]] = []
    for name, extra in extras.items():
        layer = layer_name(name)
        if object_name(name) and extra.ndim == 2:
            # One of several objects. Channels of one layer, by their names; Blender reads only
            # channels of one letter, so there each object is a layer.
            own = layer_name(object_name(name))
            names.append(f"alpha.{own}" if single == "A" else f"alpha_{own}.{single}")
            planes.append(extra)
            continue
        if layer in taken:
            raise OutputError(f"Extra {name!r} would overwrite the layer {layer!r}; rename it.")
        taken.add(layer)
        if extra.ndim == 2:
            names.append(f"{layer}.{single}")
            planes.append(extra)
        else:
            names += [f"{layer}.{c}" for c in "RGB"]
            planes += [extra[..., i] for i in range(3)]
    return names, planes


def nuke(frame: OutputFrame) -> tuple[tuple[str, ...], NDArray[np.float16]]:
    """Premultiplied R,G,B and A, straight fg.R,G,B, then extras; half, interleaved."""
    names, planes = _extra_channels(frame.extras, "A", {"fg"})
    return ("R", "G", "B", "A", "fg.R", "fg.G", "fg.B", *names), _both(frame, planes)


def blender(frame: OutputFrame) -> tuple[tuple[str, ...], NDArray[np.float16]]:
    """Premultiplied R,G,B and A, straight foreground.R,G,B and alpha.V, then extras; half, interleaved.

    Blender calls the channels without a layer Combined: its sequencer shows them, from 5.0 on.
    """
    names, planes = _extra_channels(frame.extras, "V", {"foreground", "alpha"})
    own = ("R", "G", "B", "A", "foreground.R", "foreground.G", "foreground.B", "alpha.V")
    return (*own, *names), _both(frame, [frame.alpha, *planes])


def _both(frame: OutputFrame, planes: list[NDArray[Any]]) -> NDArray[np.float16]:
    """Return premultiplied R,G,B, A, straight R,G,B and further planes, (H, W, C) half.

    The product is made from the halves that are written: R = half(fg.R x A), and R = fg.R, bit for
    bit, where A is 1. 7 ms at 720p, all of them soft (32 by numpy's half floats).
    """
    # Halves are moved as integers: an OpenCV without half floats can do that too.
    codes = cv2.split(halves.bounded(frame.foreground).view(np.uint16))
    straight = [np.asarray(plane).view(np.float16) for plane in codes]
    alpha = halves.to_half(frame.alpha)
    products = [halves.product(plane, alpha) for plane in straight]
    further = [halves.bounded(plane) for plane in planes]
    joined = cv2.merge([p.view(np.uint16) for p in (*products, alpha, *straight, *further)])
    return np.asarray(joined, np.uint16).view(np.float16)


def objects(frame: OutputFrame) -> dict[str, NDArray[Any]]:
    """Return the coverage of each object by name; one that nobody named is `object`."""
    return of_objects(frame.extras) or {"object": frame.alpha}


def of_objects(extras: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return those extras that are objects, `alpha.NAME`, (H, W) each, by NAME."""
    return {
        own: extra
        for name, extra in extras.items()
        if (own := object_name(name)) and extra.ndim == 2
    }


def object_name(extra: str) -> str:
    """Return the object that an extra or a channel is the alpha of: NAME of alpha.NAME, else ""."""
    return extra.removeprefix("alpha.") if extra.startswith("alpha.") else ""


def crypto(frame: OutputFrame) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return premultiplied R,G,B and A, and the layers of `media/cryptomatte.py`; float32."""
    names, pixels = cryptomatte.channels(objects(frame))
    alpha = frame.alpha[..., None]
    shown = np.dstack([frame.foreground * alpha, alpha]).astype(np.float32)
    return ("R", "G", "B", "A", *names), np.concatenate([shown, pixels], axis=2)


def alpha_half(frame: OutputFrame) -> tuple[tuple[str, ...], NDArray[np.float16]]:
    """Return alpha as channel A: Nuke's Read shows it as alpha, and checks expect this name."""
    return ("A",), halves.to_half(frame.alpha)[..., None]


def alpha_codes(frame: OutputFrame) -> NDArray[np.uint16]:
    """Return alpha as full-range 16-bit codes (H, W, 1) over the display window."""
    shown = over_display(frame, frame.alpha[..., None])
    return np.rint(shown * np.float32(65535)).astype(np.uint16)


def array(frame: OutputFrame) -> NDArray[np.float32]:
    """Return straight R, G, B and alpha as float32 (H, W, 4) over the display window."""
    # OpenCV copies whole pixels: half of the time of numpy's strided copies.
    colour = np.ascontiguousarray(frame.foreground, np.float32)
    pixels = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2RGBA), np.float32)
    pixels[..., 3] = frame.alpha
    return np.ascontiguousarray(over_display(frame, pixels), np.float32)


def shrunk(frame: OutputFrame) -> OutputFrame:
    """Return the frame over the smallest data window that holds its matte.

    The window begins and ends at even pixels where the plate's window lets it, and holds at least
    2 x 2 pixels. Outside it alpha, foreground and extras are 0.
    """
    planes = [frame.alpha, *(frame.extras[name] for name in frame.extras)]
    rows, columns = (
        np.logical_or.reduce([_any(plane, axis) for plane in planes]) for axis in (1, 0)
    )
    top, bottom = _even_span(rows, frame.window.y)
    left, right = _even_span(columns, frame.window.x)
    height, width = frame.alpha.shape
    if (top, bottom, left, right) == (0, height, 0, width):
        return frame
    part = (slice(top, bottom), slice(left, right))
    return replace(
        frame, alpha=frame.alpha[part], foreground=frame.foreground[part],
        window=Rect(frame.window.x + left, frame.window.y + top, right - left, bottom - top),
        extras={name: extra[part] for name, extra in frame.extras.items()},
    )  # fmt: skip


def _any(plane: NDArray[Any], axis: int) -> NDArray[np.bool_]:
    """Whether a row (axis 1) or a column (axis 0) of (H, W) or (H, W, C) holds anything."""
    found = np.asarray(plane.any(axis), np.bool_)
    return found if found.ndim == 1 else np.asarray(found.any(1), np.bool_)


def _even_span(held: NDArray[np.bool_], origin: int) -> tuple[int, int]:
    """The first and the end of what is held, at even pixels of the display window."""
    where = np.flatnonzero(held)
    first, end = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, min(2, len(held)))
    first -= (origin + first) % 2
    end += (origin + end) % 2
    return max(0, first), min(len(held), end)


def over_display(frame: OutputFrame, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels (H, W, C) of the data window on the display window, black outside."""
    display = frame.source.display_window
    return paste(Image(pixels, ("Y",) * pixels.shape[2], frame.window, display), display)


EXR: dict[str, Callable[[OutputFrame], tuple[tuple[str, ...], NDArray[Any]]]] = {
    "nuke": nuke,
    "blender": blender,
    "cryptomatte": crypto,
    "alpha": alpha_half,
}
