# SPDX-License-Identifier: Apache-2.0
"""ArrayClip: arrays in memory as a clip, for hosts, notebooks and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media.as_array import as_array
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.protocol import ClipBase
from matte_nodes.media.stat_cache import StatCache

_CHANNELS = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
_TYPES = (np.uint8, np.uint16, np.float16, np.float32)


class ArrayClip(ClipBase):
    """Arrays as a clip: one (H, W) or (H, W, C) array, several in a row, or arrays by frame.

    arrays: uint8, uint16, float16 or float32, C = 1, 2 (grey, alpha), 3 or 4; one array is a clip
    of one frame, a sequence counts from `first`. Alpha is taken as associated (premultiplied) in
    float arrays and as straight in integer ones, as in EXR and PNG files. Arrays are not copied:
    do not change them while the clip is in use. Raises MediaError for other shapes or types, or
    when the sizes differ.
    """

    is_constant = True
    pixel_aspect = 1.0

    def __init__(
        self,
        arrays: NDArray[Any] | Sequence[NDArray[Any]] | Mapping[int, NDArray[Any]],
        first: int = 1,
        name: str = "array",
        colorspace: str = "",
        rate: Fraction | None = None,
    ) -> None:
        self.name = name
        self.colorspace = colorspace
        self.rate = rate
        by_frame: dict[int, Any]
        if isinstance(arrays, Mapping):
            by_frame = dict(sorted(arrays.items()))
        elif getattr(arrays, "ndim", 4) < 4 or type(arrays).__module__.startswith("PIL."):
            by_frame = {first: arrays}
        else:
            by_frame = dict(enumerate(arrays, first))
        is_mask = name.startswith(("trimap", "segmentation"))
        by_frame = {
            int(frame): as_array(picture, f"Frame {frame} of the {name}", is_mask=is_mask)
            for frame, picture in by_frame.items()
        }
        if is_mask:
            by_frame = {frame: _as_codes(array) for frame, array in by_frame.items()}
        if not by_frame:
            raise MediaError(f"{name}: there are no arrays.")
        self._arrays = {frame: self._checked(frame, array) for frame, array in by_frame.items()}
        self.frames: Sequence[int] = tuple(self._arrays)
        height, width = self._arrays[self.frames[0]].shape[:2]
        for frame, array in self._arrays.items():
            if array.shape[:2] != (height, width):
                raise MediaError(
                    f"{name}: frame {frame} is {array.shape[1]}x{array.shape[0]}, frame "
                    f"{self.frames[0]} is {width}x{height}; a clip has one size."
                )
        self.canvas = self.display_window = Rect(0, 0, width, height)

    def _checked(self, frame: int, array: NDArray[Any]) -> NDArray[Any]:
        pixels = array[..., None] if array.ndim == 2 else array
        if pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS or 0 in pixels.shape:
            raise MediaError(
                f"{self.name}: frame {frame} has shape {array.shape}, expected (height, width) "
                "or (height, width, 1 to 4 channels)."
            )
        if pixels.dtype not in _TYPES:
            raise MediaError(
                f"{self.name}: frame {frame} is {pixels.dtype}, expected uint8, uint16, float16 "
                "or float32."
            )
        return pixels

    def _array(self, frame: int) -> NDArray[Any]:
        if frame not in self._arrays:
            raise MissingFrameError(
                f"{self.name}: there is no frame {frame} (it has {self.frames[0]} to "
                f"{self.frames[-1]})."
            )
        return self._arrays[frame]

    def read(self, frame: int) -> Image:
        """Return one frame. Raises MissingFrameError when there is no such frame."""
        pixels = self._array(frame)
        channels = _CHANNELS[pixels.shape[2]]
        floating = pixels.dtype.kind == "f"
        return Image(
            pixels=pixels,
            channels=channels,
            data_window=self.canvas,
            display_window=self.display_window,
            colorspace=self.colorspace,
            alpha_associated=floating if "A" in channels else None,
        )

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return the hash of the frame's pixels, type and shape."""
        pixels = self._array(frame)
        digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
        return f"array:{pixels.dtype}:{pixels.shape}:{digest.hexdigest()}"

    def close(self) -> None:
        """Does nothing: arrays need no closing."""


def _as_codes(mask: NDArray[Any]) -> NDArray[Any]:
    """A mask of bool as floats, and of wide integers as the codes that they fit into."""
    if mask.dtype == np.bool_:
        return mask.astype(np.float32)
    if mask.dtype.kind not in "iu" or mask.dtype in _TYPES or mask.min(initial=0) < 0:
        return mask
    highest = mask.max(initial=0)
    kind = next((k for k in (np.uint8, np.uint16) if highest <= np.iinfo(k).max), None)
    return mask if kind is None else mask.astype(kind)
