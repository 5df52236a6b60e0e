# SPDX-License-Identifier: Apache-2.0
"""Animated pictures: counts their frames, and reads an animated WebP as a clip."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media import limits
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.protocol import ClipBase, FilePart
from matte_nodes.media.stat_cache import StatCache
from matte_nodes.reads import Sign


def animated_frames(path: Path) -> int:
    """Return the number of frames of an animated GIF, PNG or WebP.

    0 for a still. Reads only headers.
    """
    with limits.opened(path) as file:
        start = file.read(12)
        if start[:4] == b"GIF8":
            return _many(_gif_frames(file))
        if start[:8] == b"\x89PNG\r\n\x1a\n":
            return _many(_png_frames(file))
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _many(_webp_frames(file))
    return 0


def _many(count: int) -> int:
    return count if count > 1 else 0


def _png_frames(file: BinaryIO) -> int:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"acTL":
            return int(struct.unpack(">I", file.read(4).ljust(4, b"\0"))[0])
        if kind == b"IDAT":
            break
        file.seek(size + 4, 1)
    return 0


def _webp_frames(file: BinaryIO) -> int:
    count = 0
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        count += kind == b"ANMF"
        file.seek(size + (size & 1), 1)
    return count


def _gif_frames(file: BinaryIO) -> int:
    """Image descriptors of a GIF (GIF89a, section 20)."""
    file.seek(10)
    flags = file.read(3)[:1] or b"\0"
    if flags[0] & 0x80:
        file.seek(3 << ((flags[0] & 7) + 1), 1)
    count = 0
    while block := file.read(1):
        if block == b",":
            count += 1
            descriptor = file.read(9)
            if len(descriptor) < 9:
                break
            if descriptor[8] & 0x80:
                file.seek(3 << ((descriptor[8] & 7) + 1), 1)
            file.seek(1, 1)
        elif block == b"!":
            file.seek(1, 1)
        else:
            break
        while size := file.read(1):
            if size == b"\0":
                break
            file.seek(size[0], 1)
    return count


class SubimageClip(ClipBase):
    """The frames of one animated WebP, counted from 1, as whole pictures. sRGB, straight alpha."""

    pixel_aspect = 1.0
    colorspace = "srgb"

    def __init__(self, name: str, path: Path, count: int, rate: Fraction | None = None) -> None:
        self.name = name
        self.frames = range(1, count + 1)
        self._path = path
        place = os.path.abspath(path)
        self.opened = Sign.of(place, os.stat(place))
        source = self._open()
        spec = source.spec()
        told = spec.getattribute("FramesPerSecond") or spec.getattribute("framesPerSecond")
        source.close()
        self.rate = rate
        if rate is None and isinstance(told, tuple) and len(told) == 2 and all(told):
            self.rate = Fraction(int(told[0]), int(told[1]))
        self.canvas = self.display_window = Rect(0, 0, spec.full_width, spec.full_height)
        limits.check_size(str(path), self.canvas)

    def _open(self) -> Any:
        source = oiio.ImageInput.open(str(self._path))
        if source is None:
            raise MediaError(f"{self.name}: cannot be read as a picture ({oiio.geterror()}).")
        return source

    def read(self, frame: int) -> Image:
        """Return one frame. Raises MissingFrameError, or MediaError for a damaged frame."""
        if frame not in self.frames:
            raise MissingFrameError(
                f"{self.name}: there is no frame {frame} (it has 1 to {len(self.frames)})."
            )
        source = self._open()
        try:
            spec = source.spec()
            pixels = source.read_image(frame - 1, 0, 0, spec.nchannels, "uint8")
            if pixels is None or source.has_error:
                raise MediaError(f"{self.name}: frame {frame} is damaged ({source.geterror()}).")
        finally:
            source.close()
        channels = ("R", "G", "B", "A")[: pixels.shape[2]]
        if "A" in channels:
            pixels = _straight(pixels)
        return Image(
            pixels=pixels,
            channels=channels,
            data_window=self.canvas,
            display_window=self.canvas,
            colorspace=self.colorspace,
            alpha_associated=False if "A" in channels else None,
        )

    def file_part(self, frame: int) -> FilePart:
        """Return the file, and the number of the frame in it."""
        return FilePart(self._path, f"frame {frame}")

    def files(self) -> Mapping[int, Path]:
        """Return the file by its first frame number."""
        return {1: self._path}

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return path, size in bytes and time of change of the file, and the frame's number."""
        try:
            stat = self._path.stat()
        except OSError as error:
            raise MediaError(f"{self.name}: the file is gone ({error.strerror}).") from error
        return f"{self._path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}:{frame}"

    def close(self) -> None:
        """Does nothing: no file stays open between reads."""


def _straight(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight codes of premultiplied ones, (H, W, 4).

    OpenImageIO lays the frames of an animation over each other only premultiplied.
    """
    alpha = pixels[..., 3:]
    soft = (alpha > 0) & (alpha < 255)
    if not soft.any():
        return pixels
    divided = np.rint(pixels[..., :3] * (255.0 / np.maximum(alpha, 1))).clip(0, 255)
    colours = np.where(soft, divided, pixels[..., :3]).astype(np.uint8)
    return np.concatenate([colours, alpha], axis=2)
