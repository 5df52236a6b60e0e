# SPDX-License-Identifier: Apache-2.0
"""The plate as the page sees it: frames through a view transform, linear values of a pixel."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.color import ColorConfig, NetworkView, PlateColor
from matte_nodes.color.view_table import ViewTable
from matte_nodes.errors import InputError, MediaError
from matte_nodes.media.clip import paste
from matte_nodes.render.view import fitted
from matte_nodes.shot.bind import Reading, as_clip, clip_is_float, guessed, rgb
from matte_nodes.studio import pictures
from matte_nodes.temporal.lru import Lru

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.studio.places import Places

KEPT = 3
"""Frames that are kept as they were read, for the next size and the next pixel."""

FILES = 32 << 20
"""Bytes of pictures that are kept as they were sent."""


class Plate:
    """An open plate. Thread-safe.

    source: a pattern, movie, folder or still. colorspace: "" is what the file says. ocio: "" is
    $OCIO. Floating-point plates are shown by the config's own view, others in sRGB. Raises
    MediaError, ColorError.
    """

    def __init__(
        self, source: str, *, layer: str, colorspace: str, ocio: str, places: Places
    ) -> None:
        self.clip = as_clip(source, "plate", Reading(layer))
        places.check_files(list(self.clip.files().values()))
        self.config = ColorConfig(ocio or None)
        self.is_hdr = clip_is_float(self.clip)
        self.view = NetworkView("view" if self.is_hdr else "srgb")
        self.color = PlateColor(
            colorspace or guessed(self.clip), view=self.view, config=self.config
        )
        self._lock = threading.Lock()
        self._encoders: dict[str, Callable[[Any], Float]] = {}
        self._kept: OrderedDict[tuple[int, str], NDArray[Any]] = OrderedDict()
        self._files: Lru[tuple[bytes, str]] = Lru(FILES)
        self._making: dict[str, threading.Lock] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the display window."""
        window = self.clip.display_window
        return window.width, window.height

    def facts(self) -> dict[str, Any]:
        """What the page needs to know of the clip."""
        clip = self.clip
        return {
            "name": clip.name,
            "frames": list(clip.frames),
            "width": self.size[0],
            "height": self.size[1],
            "rate": float(clip.rate or 24),
            "pixelAspect": clip.pixel_aspect,
            "colorspace": self.color.plate,
            "taken": clip.taken,
            "assumptions": list(clip.assumptions),
            "view": self.view.kind,
        }

    def frame_key(self, frame: int) -> str:
        """A hash that changes when the frame's file does."""
        if frame not in self.clip.frames:
            raise InputError(
                f"{self.clip.name} has no frame {frame}: it has "
                f"{self.clip.frames[0]}-{self.clip.frames[-1]}."
            )
        found = self.clip.file_part(frame)
        facts: list[Any] = [self.clip.name, frame, self.color.id]
        if found is not None:
            state = found.path.stat()
            facts += [str(found.path), found.part, state.st_size, state.st_mtime_ns]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

    def files_key(self) -> str:
        """A hash that changes when any file of the plate does."""
        facts = []
        for path in self.clip.files().values():
            try:
                state = path.stat()
            except OSError:
                facts.append((str(path), 0, 0))
                continue
            facts.append((str(path), state.st_size, state.st_mtime_ns))
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

    def picture(self, frame: int, width: int) -> tuple[bytes, str]:
        """A frame as a file for the browser and its type; width 0 is full size, in exact codes.

        Who asks for a picture that is just being made waits for it.
        """
        key = f"{self.frame_key(frame)} {width}"
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._files.get(key)
                if found is None:
                    found = self._picture(frame, width)
                    self._files.put(key, found, len(found[0]))
                return found
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _picture(self, frame: int, width: int) -> tuple[bytes, str]:
        pixels = self._pixels(frame)
        size = fitted(pixels.shape[1], pixels.shape[0], width)
        shown = self.shown(self.color.plate, pictures.resized(pixels, size))
        return pictures.colour_file(pictures.codes(shown), exact=size[0] == pixels.shape[1])

    def shown(self, space: str, pixels: NDArray[Any]) -> Float:
        """Pixels (H, W, 3) of a colour space as the page shows them: float32 codes in 0..1."""
        with self._lock:
            if space not in self._encoders:
                exact = PlateColor(space, view=self.view, config=self.config).to_network
                self._encoders[space] = ViewTable(exact) if self.is_hdr else exact
            encode = self._encoders[space]
        return encode(pixels)

    def value(self, frame: int, x: int, y: int) -> list[float]:
        """The linear R, G, B of a pixel, in working space."""
        pixels = self._pixels(frame)
        if not (0 <= y < pixels.shape[0] and 0 <= x < pixels.shape[1]):
            raise InputError(f"The pixel {x},{y} lies outside of the picture.")
        found = self.color.to_working(np.ascontiguousarray(pixels[y : y + 1, x : x + 1]))
        return [float(number) for number in found[0, 0]]

    def close(self) -> None:
        """Close the clip."""
        self.clip.close()

    def _pixels(self, frame: int) -> NDArray[Any]:
        """(H, W, 3) of the display window, in plate space."""
        key = frame, self.frame_key(frame)
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        try:
            image = self.clip.read(frame)
        except (OSError, ValueError) as error:
            raise MediaError(
                f"Frame {frame} of {self.clip.name} cannot be read: {error}."
            ) from error
        pixels = rgb(image, self.clip, frame, allow_grey=True)
        placed = paste(
            replace(image, pixels=pixels, channels=("R", "G", "B")), image.display_window
        )
        with self._lock:
            self._kept[key] = placed
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return placed
