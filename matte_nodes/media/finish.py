# SPDX-License-Identifier: Apache-2.0
"""Cut-outs: a matte as a picture that opens anywhere, with transparency or over something."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import InputError, MediaError, OutputError, UsageError
from matte_nodes.media import still
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.layouts import OutputFrame, array

Float = NDArray[np.float32]

COLOURS = {
    "white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128), "gray": (128, 128, 128),
    "red": (255, 0, 0), "green": (0, 177, 64), "blue": (0, 71, 187), "magenta": (255, 0, 255),
}  # fmt: skip
"""Named colours as sRGB codes. Green and blue are those of chroma key cloth."""

_SEEN = np.float32(0.5 / 255)
"""An alpha below this is 0 in a file of 8 bits."""


@dataclass(frozen=True)
class Finish:
    """How a matte becomes a cut-out. Pictures are display-encoded, as browsers and editors blend."""

    over: str = ""
    """"": transparent. A colour (white, #20c0ff), "checker", "blur" (the plate itself, blurred), or
    the path of a picture."""

    trim: float | None = None
    """Cut the picture to the subject, with this margin in percent of the subject's longer side.
    None: the whole picture."""

    square: bool = False
    """Make the picture a square round the subject (or round the whole picture)."""

    bits: int = 0
    """Bits a channel, 8 or 16. 0: as the plate has, at least 8."""

    audio: bool = True
    """Movies take over the sound of the plate."""

    def __post_init__(self) -> None:
        """Raise UsageError for values that cannot be meant."""
        if self.bits not in (0, 8, 16):
            raise UsageError(f"Cut-outs have 8 or 16 bits a channel, not {self.bits}.")
        if self.trim is not None and not 0 <= self.trim <= 100:
            raise UsageError(
                f"The margin of --trim is 0 to 100 percent of the subject, not {self.trim:g}."
            )
        if self.over.startswith("#"):
            colour(self.over)

    @property
    def is_crop(self) -> bool:
        """Whether the size of the picture depends on the matte."""
        return self.square or self.trim is not None

    def texts(self) -> dict[str, str]:
        """What the pixels depend on, for keys and provenance; nothing for an unchanged matte."""
        found = {}
        if self.over:
            found["matte/over"] = self.over
        if self.trim is not None:
            found["matte/trim"] = f"{self.trim:g}"
        if self.square:
            found["matte/square"] = "yes"
        if self.bits:
            found["matte/bits"] = str(self.bits)
        return found

    def of(self, plate: Image) -> int:
        """Bits a channel for a plate."""
        return self.bits or (8 if plate.pixels.dtype == np.uint8 else 16)

    def picture(self, frame: OutputFrame, shown: Float | None = None) -> Float:
        """The finished picture, (H, W, 4) straight, or (H, W, 3) over something; float32, 0..1.

        shown: the plate in the output's space, (H, W, 3), over the display window; for "blur".
        Raises InputError when the picture to put it over cannot be read.
        """
        pixels = np.clip(array(frame), 0, 1)
        if self.is_crop:
            window = framed(pixels[..., 3], self.trim, self.square)
            pixels = cropped(pixels, window)
            shown = None if shown is None else cropped(shown, window, edge=True)
        if not self.over:
            return pixels
        back = background(self.over, pixels.shape[0], pixels.shape[1], shown)
        import cv2

        # Plane by plane: half of the time of numpy's strided arithmetic.
        *front, alpha = cv2.split(pixels)
        rest = 1 - alpha
        planes = [plane * alpha + back[..., i] * rest for i, plane in enumerate(front)]
        return np.asarray(cv2.merge(planes), np.float32)


def colour(text: str) -> Float | None:
    """A colour by name or as #rgb or #rrggbb, (3,) float32 0..1; None for other texts.

    Raises UsageError for a # that is followed by something else.
    """
    name = text.strip().lower()
    if name in COLOURS:
        return np.array(COLOURS[name], np.float32) / np.float32(255)
    if not name.startswith("#"):
        return None
    if not re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", name):
        raise UsageError(f"{text!r} is no colour. Write #rrggbb, as in #20c0ff, or a name: "
                         f"{', '.join(COLOURS)}.")  # fmt: skip
    digits = name[1:] if len(name) == 7 else "".join(2 * digit for digit in name[1:])
    return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / np.float32(255)


def background(over: str, height: int, width: int, shown: Float | None) -> Float:
    """What a cut-out is put over, (H, W, 3) float32, 0..1. See `Finish.over`."""
    import cv2

    plain = colour(over)
    if plain is not None:
        return np.broadcast_to(plain, (height, width, 3))
    if over == "checker":
        side = max(4, round(max(height, width) / 60))
        rows, columns = np.arange(height) // side, np.arange(width) // side
        dark = (rows[:, None] + columns) % 2
        grey = np.where(dark, np.float32(0.62), np.float32(0.78))
        return np.repeat(grey[..., None], 3, 2)
    if over == "blur":
        assert shown is not None  # whoever writes it gives the plate
        sigma = max(height, width) / 40
        made = cv2.GaussianBlur(np.clip(shown, 0, 1), (0, 0), sigma)
        return np.asarray(made, np.float32)
    return covering(read_picture(over), height, width)


def read_picture(path: str) -> Float:
    """A picture of 8 or 16 bits, (H, W, 3) float32, as it is encoded.

    Raises InputError when there is none, or when its pixels are not display-encoded.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(
            f"{path} is neither a colour nor a picture to put the subject over. Give a file, #rrggbb, "
            f"checker, blur, or one of {', '.join(COLOURS)}."
        )
    try:
        image = still.read_image(file)
    except MediaError as error:
        raise InputError(f"The subject cannot be put over {path}: {error}") from error
    if image.pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} holds float pixels. Give a picture of 8 or 16 bits to --over.")
    pixels = image.floats()
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, 2)
    return np.ascontiguousarray(colours)


def covering(picture: Float, height: int, width: int) -> Float:
    """The middle of a picture, scaled so that it covers (height, width)."""
    import cv2

    scale = max(height / picture.shape[0], width / picture.shape[1])
    rows, columns = (max(n, round(m * scale)) for n, m in
                     zip((height, width), picture.shape[:2], strict=True))  # fmt: skip
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = np.clip(cv2.resize(picture, (columns, rows), interpolation=how), 0, 1)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.asarray(large[top : top + height, left : left + width], np.float32)


def framed(alpha: Float, trim: float | None, square: bool) -> Rect:
    """The window of a cut-out, in pixels of the picture; a square one may reach beyond it.

    An empty matte keeps the whole picture.
    """
    height, width = alpha.shape
    window = Rect(0, 0, width, height)
    seen = alpha > _SEEN
    if trim is not None and seen.any():
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        tall, wide = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
        margin = round(max(tall, wide) * trim / 100)
        window = Rect(
            int(columns[0]) - margin, int(rows[0]) - margin, wide + 2 * margin, tall + 2 * margin
        )
    if square:
        side = max(window.width, window.height)
        left = window.x - (side - window.width) // 2
        top = window.y - (side - window.height) // 2
        window = Rect(left, top, side, side)
    return window


def cropped(pixels: Float, window: Rect, edge: bool = False) -> Float:
    """The part of (H, W, C) in a window. Beyond the picture it is 0, or its nearest pixel (edge)."""
    height, width = pixels.shape[:2]
    rows = np.arange(window.y, window.y + window.height)
    columns = np.arange(window.x, window.x + window.width)
    found = pixels[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
    if not edge:
        found[(rows < 0) | (rows >= height)] = 0
        found[:, (columns < 0) | (columns >= width)] = 0
    return np.ascontiguousarray(found)


def codes(picture: Float, bits: int) -> NDArray[Any]:
    """Full-range codes of 8 or 16 bits. Where the code of alpha is 0, so are the colours'."""
    largest, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    found: NDArray[Any] = np.rint(np.clip(picture, 0, 1) * np.float32(largest)).astype(kind)
    if found.shape[2] == 4:
        found[found[..., 3] == 0] = 0
    return found


def bled(picture: Float) -> Float:
    """The same cut-out with the subject's colours carried into what is transparent.

    Lossy formats mix the colours of neighbouring pixels, so black beside the subject would make a
    dark rim. picture: (H, W, 4) straight.
    """
    import cv2

    colours, alpha = picture[..., :3] * picture[..., 3:], picture[..., 3]
    if not bool((alpha > 0).any()):
        return picture
    mean = colours.sum((0, 1)) / alpha.sum()
    filled = np.broadcast_to(mean, colours.shape).astype(np.float32)
    sigma = max(picture.shape[:2]) / 16
    while sigma >= 1:
        weight = cv2.GaussianBlur(alpha, (0, 0), sigma)[..., None]
        near = cv2.GaussianBlur(colours, (0, 0), sigma) / np.maximum(weight, 1e-6)
        sure = np.clip(weight * 50, 0, 1)
        filled = near * sure + filled * (1 - sure)
        sigma /= 4
    thin = np.clip(alpha * 4, 0, 1)[..., None]
    found = picture.copy()
    found[..., :3] = picture[..., :3] * thin + filled * (1 - thin)
    return found


def check(finish: Finish, layout: str, name: str, several: bool) -> None:
    """Raise an error where a finish does not fit the output.

    several: whether more than one frame goes into it. Raises UsageError or OutputError.
    """
    picture = layout in ("cutout", "over")
    for said, given in (("--over", bool(finish.over)), ("--trim", finish.trim is not None),
                        ("--square", finish.square), ("--bits", bool(finish.bits))):  # fmt: skip
        if given and not picture:
            raise UsageError(
                f"{said} is for cut-outs, and {name} is written in layout {layout}. Name a PNG, "
                "WebP, TIFF, GIF, WebM or MP4 file."
            )
    if finish.is_crop and several:
        raise UsageError(
            "--trim and --square give each frame its own size. Use them for one still, not for "
            "several frames."
        )
    suffix = Path(name).suffix.lower()
    if finish.bits == 16 and suffix not in (".png", ".tif", ".tiff"):
        raise OutputError(f"{name}: {suffix} has 8 bits a channel. Write PNG or TIFF for 16.")
