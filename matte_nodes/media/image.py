# SPDX-License-Identifier: Apache-2.0
"""Image: one frame with the pixels of its file. Rect: a rectangle of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rect:
    """A rectangle in pixels: origin (x, y) and size; y grows downward, as in EXR."""

    x: int
    y: int
    width: int
    height: int

    def union(self, other: Rect) -> Rect:
        """Return the smallest rectangle that contains both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Rect(x, y, right - x, bottom - y)

    def holds(self, other: Rect) -> bool:
        """Whether the other rectangle lies completely inside this one."""
        return self.union(other) == self


Window = Rect
"""The old name of `Rect`, kept for clips of other packages."""


@dataclass(frozen=True)
class Image:
    """One frame as it lies in its file, in plate space.

    pixels: (H, W, C) uint8, uint16, float16 or float32; integer types are full-range codes
    (255 or 65535 is 1.0). The array covers the data window. channels: names, as many as C; colour
    images come as R, G, B (and A where the file has it), grey ones as Y. alpha_associated is None
    where there is no alpha. colorspace: what the file says of itself ("" when it says nothing).
    metadata: attributes worth carrying over (time code, frame rate, camera, user text), named and
    valued as OpenImageIO does. time: when a movie shows the frame, in seconds from the first
    frame of the movie, else None.
    """

    pixels: NDArray[Any]
    channels: tuple[str, ...]
    data_window: Rect
    display_window: Rect
    pixel_aspect: float = 1.0
    colorspace: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    time: float | None = None
    alpha_associated: bool | None = None

    def floats(self) -> NDArray[np.float32]:
        """Return the pixels as float32.

        Integer codes are divided by the largest code of their type.
        """
        floats: NDArray[np.float32]
        if self.pixels.dtype == np.uint8:
            floats = np.multiply(self.pixels, np.float32(1 / 255), dtype=np.float32)
        elif self.pixels.dtype == np.uint16:
            floats = np.multiply(self.pixels, np.float32(1 / 65535), dtype=np.float32)
        else:
            floats = self.pixels.astype(np.float32, copy=False)
        return floats
