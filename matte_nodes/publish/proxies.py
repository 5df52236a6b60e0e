# SPDX-License-Identifier: Apache-2.0
"""Frames for a browser: plate and colour as JPEG, alpha as lossless WebP, 8 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.color import PlateColor
from matte_nodes.errors import ColorError, MatteError, OutputError
from matte_nodes.media.clip import paste
from matte_nodes.media.image import Image
from matte_nodes.publish.picture import DeliveredPicture, read_matte
from matte_nodes.shot.bind import as_clip, guessed, rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.publish.delivery import Delivery

    Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Proxy:
    """The pictures of one frame as encoded files in memory; None for a missing one."""

    plate: bytes | None
    alpha: bytes | None
    color: bytes | None

    @property
    def bytes(self) -> int:
        """The total size of all pictures."""
        return sum(len(item) for item in (self.plate, self.alpha, self.color) if item)


class Proxies:
    """Makes the pictures of one version. Thread-safe.

    side: largest length of the longer side in pixels. quality: JPEG quality. plate: include the
    plate.
    """

    def __init__(self, delivery: Delivery, side: int, quality: int, *, plate: bool) -> None:
        self._delivery, self._quality = delivery, quality
        self._plate = delivery.plate if plate else None
        window = delivery.readable[0][1].display_window
        scale = min(1.0, side / max(window.width, window.height))
        self.size = max(1, round(window.width * scale)), max(1, round(window.height * scale))
        self._color: PlateColor | None = None

    def of(self, frame: int) -> Proxy:
        """Return the pictures of one frame; empty when its file cannot be read."""
        plate = self._seen_plate(frame)
        path = self._delivery.files.get(frame)
        try:
            picture = None if path is None else read_matte(path)
        except MatteError:
            picture = None
        if picture is None:
            return Proxy(jpeg(plate, self._quality), None, None)
        alpha = np.clip(np.nan_to_num(_shown(picture, picture.alpha[..., None])[..., 0]), 0, 1)
        small = _resized(alpha, self.size)
        color = self._seen_color(picture, alpha, small)
        if color is None and self._plate is not None:
            color = plate
        return Proxy(jpeg(plate, self._quality), webp(_codes(small)), jpeg(color, self._quality))

    def _seen_plate(self, frame: int) -> Codes | None:
        clip = self._plate
        if clip is None or self._delivery.color is None or frame not in clip.frames:
            return None
        image = clip.read(frame)
        pixels = rgb(image, clip, frame, allow_grey=True)
        shown = paste(replace(image, pixels=pixels, channels=("R", "G", "B")), image.display_window)
        seen = self._delivery.color.to_network(shown)
        return _codes(_resized(seen, self.size))

    def _seen_color(self, picture: DeliveredPicture, alpha: Float, small: Float) -> Codes | None:
        """Return the straight foreground, downscaled premultiplied."""
        straight = picture.foreground
        if straight is None and picture.premultiplied is not None:
            inside = np.clip(picture.alpha, 1e-3, 1)[..., None]
            straight = picture.premultiplied / inside
        if straight is None:
            return None
        placed = np.nan_to_num(_shown(picture, straight), posinf=65504.0, neginf=0.0)
        if self.size == (placed.shape[1], placed.shape[0]):
            return _codes(self._encoded(picture, placed))
        plain = _resized(placed, self.size)
        product = _resized(placed * alpha[..., None], self.size)
        covered = (small > 1e-3)[..., None]
        colour = np.where(covered, product / np.maximum(small, 1e-3)[..., None], plain)
        return _codes(self._encoded(picture, colour))

    def _encoded(self, picture: DeliveredPicture, colour: Float) -> Float:
        if self._color is None:
            space = picture.says("matte/colorspace")
            try:
                self._color = PlateColor(space or "lin_rec709")
            except ColorError:  # a space of a config that is not here
                self._color = PlateColor("lin_rec709")
        return self._color.to_network(np.ascontiguousarray(colour, np.float32))


def picture_behind(source: str, size: tuple[int, int]) -> Codes:
    """Return the user's background picture as (height, width, 3) codes, cropped to the frame's
    shape.
    """
    clip = as_clip(source, "picture")
    image = clip.read(clip.frames[0])
    pixels = rgb(image, clip, clip.frames[0], allow_grey=True)
    seen = PlateColor(guessed(clip)).to_network(pixels)
    clip.close()
    width, height = size
    scale = max(width / seen.shape[1], height / seen.shape[0])
    wide = max(width, round(seen.shape[1] * scale)), max(height, round(seen.shape[0] * scale))
    large = _resized(seen, wide)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return _codes(large[top : top + height, left : left + width])


def jpeg(codes: Codes | None, quality: int) -> bytes | None:
    """Return colour (H, W, 3) as a JPEG file."""
    import cv2

    if codes is None:
        return None
    return _file(".jpg", codes[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(codes: Codes) -> bytes:
    """Return a plane (H, W) as a lossless WebP file."""
    import cv2

    return _file(".webp", np.repeat(codes[..., None], 3, axis=2), [cv2.IMWRITE_WEBP_QUALITY, 101])


def _file(suffix: str, pixels: Codes, options: list[int]) -> bytes:
    import cv2

    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise OutputError(f"OpenCV here cannot write {suffix} pictures for the review report.")
    return bytes(data.tobytes())


def _shown(picture: DeliveredPicture, pixels: Float) -> Float:
    names = ("Y",) * pixels.shape[2]
    window = picture.display_window
    return paste(Image(pixels, names, picture.data_window, window), window)


def _resized(pixels: NDArray[Any], size: tuple[int, int]) -> Float:
    import cv2

    array = np.ascontiguousarray(pixels, np.float32)
    if size == (array.shape[1], array.shape[0]):
        return array
    way = cv2.INTER_AREA if size[0] < array.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(array, size, interpolation=way), np.float32)


def _codes(values: Float) -> Codes:
    codes: Codes = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return codes
