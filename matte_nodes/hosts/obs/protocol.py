# SPDX-License-Identifier: Apache-2.0
"""The shared memory of a filter and its daemon. Twin of plugins/obs/src/protocol.h.

Little-endian 32-bit words at fixed offsets, then seven picture slots: three plates, three mattes,
one clean plate, RGBA bytes without padding. A slot's lock word is odd while a side writes it. A
reader copies the slot, then checks that the lock has not changed. Values of the other side are used
only after they were copied and checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import MatteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"MATTELIV"
VERSION = 1
HEADER = 8192
SIDE = 1024
SLOT = SIDE * SIDE * 4
SIZE = HEADER + 7 * SLOT
TEXT = 252
SETTINGS = 4088

NONE, LOADING, READY, ERROR = range(4)

_PLATE, _GENERATION, _BACKGROUND, _SETTINGS, _ACTIVE = 16, 17, 18, 19, 20
_MATTE, _HEARTBEAT, _STATE, _TAKEN, _TENTHS, _DRIFT = 32, 33, 34, 35, 36, 37
_META, _TEXT_AT, _JSON = 64, 256, 1024
_SLOT_PLATE, _SLOT_MATTE, _SLOT_BACKGROUND = 0, 3, 6


class ProtocolError(MatteError):
    """The memory does not have the layout that this version and the filter share."""


@dataclass(frozen=True)
class SharedPicture:
    """A picture from the other side, copied: number, generation and (H, W, 4) uint8 pixels."""

    number: int
    generation: int
    pixels: NDArray[np.uint8]


class Channel:
    """One end of the shared memory, over a writable buffer of SIZE bytes.

    Raises ProtocolError when the header has another version or the buffer is too short.
    """

    def __init__(self, buffer: Any) -> None:
        self._bytes = np.frombuffer(buffer, np.uint8)
        if self._bytes.size < SIZE:
            raise ProtocolError(
                f"The shared memory has {self._bytes.size} bytes in place of {SIZE}: the plug-in "
                "and matte-nodes differ. Run `matte install obs` and start OBS again."
            )
        self._words = self._bytes[:HEADER].view("<u4")
        self._numbers = 0
        self.check()

    def check(self) -> None:
        """Raise ProtocolError unless magic number, version and sizes are right."""
        found = [int(word) for word in self._words[2:7]]
        if bytes(self._bytes[:8]) != MAGIC or found != [VERSION, HEADER, SIZE, SIDE, SLOT]:
            raise ProtocolError(
                "The shared memory is not of this version: the plug-in and matte-nodes differ. "
                "Run `matte install obs` and start OBS again."
            )

    def _slot(self, index: int) -> NDArray[np.uint8]:
        start = HEADER + index * SLOT
        return self._bytes[start : start + SLOT]

    def _read(self, index: int, number: int) -> SharedPicture | None:
        meta = _META + 16 * index
        lock, found, _, width, height, generation = map(int, self._words[meta : meta + 6])
        if lock & 1 or found != number or not (0 < width <= SIDE and 0 < height <= SIDE):
            return None
        pixels = self._slot(index)[: width * height * 4].copy().reshape(height, width, 4)
        if int(self._words[meta]) != lock:
            return None
        return SharedPicture(number, generation, pixels)

    def plate(self, seen: int) -> SharedPicture | None:
        """Return the newest whole plate, or None if it is still number `seen`."""
        number = int(self._words[_PLATE])
        if number in (0, seen):
            return None
        return self._read(_SLOT_PLATE + number % 3, number)

    def background(self, seen: int) -> SharedPicture | None:
        """Return the clean plate, or None if it is still number `seen`."""
        number = int(self._words[_BACKGROUND])
        return None if number in (0, seen) else self._read(_SLOT_BACKGROUND, number)

    @property
    def active(self) -> bool:
        """Whether the filter is shown. If not, no picture may stay in the memory."""
        return bool(self._words[_ACTIVE])

    @property
    def generation(self) -> int:
        """A counter that makes earlier mattes invalid: it rises with a new size, source or model."""
        return int(self._words[_GENERATION])

    @property
    def settings_number(self) -> int:
        """A counter that rises with every new text of settings."""
        return int(self._words[_SETTINGS])

    def settings(self) -> dict[str, Any] | None:
        """Return the filter's settings, or None while they are written or if they are not a JSON
        object.
        """
        lock, length = int(self._words[_JSON]), int(self._words[_JSON + 1])
        if lock & 1 or not 0 < length <= SETTINGS:
            return None
        start = 4 * (_JSON + 2)
        text = bytes(self._bytes[start : start + length])
        if int(self._words[_JSON]) != lock:
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def put_matte(self, pixels: NDArray[np.uint8], plate: SharedPicture) -> None:
        """Publish the matte of a plate: (H, W, 4) uint8, residual and alpha."""
        height, width = pixels.shape[:2]
        self._numbers = self._numbers % 0xFFFFFFF0 + 1
        index = _SLOT_MATTE + self._numbers % 3
        meta = _META + 16 * index
        lock = int(self._words[meta]) | 1
        self._words[meta] = lock
        self._words[meta + 1 : meta + 6] = (
            self._numbers, plate.number, width, height, plate.generation
        )  # fmt: skip
        self._slot(index)[: pixels.size] = pixels.reshape(-1)
        self._words[meta] = (lock + 1) & 0xFFFFFFFF
        self._words[_MATTE] = self._numbers

    def wipe_mattes(self) -> None:
        """Overwrite our mattes with zeros, because they show the room."""
        for index in range(_SLOT_MATTE, _SLOT_BACKGROUND):
            self._slot(index)[:] = 0

    def beat(self) -> None:
        """Send a sign of life."""
        self._words[_HEARTBEAT] = (int(self._words[_HEARTBEAT]) + 1) & 0xFFFFFFFF

    def say(self, state: int, text: str = "") -> None:
        """Show a state and a line in the properties window (ASCII, its first 252 bytes)."""
        line = text.encode("ascii", "replace")[:TEXT]
        start = 4 * (_TEXT_AT + 1)
        self._words[_TEXT_AT] = 0
        self._bytes[start : start + len(line)] = np.frombuffer(line, np.uint8)
        self._words[_TEXT_AT] = len(line)
        self._words[_STATE] = state

    def take(self, number: int) -> None:
        """Name the plate that is being matted, so that the filter keeps it."""
        self._words[_TAKEN] = number

    def report(self, milliseconds: float, *, drift: bool) -> None:
        """Report the time of a matte, and whether the clean plate still fits."""
        self._words[_TENTHS] = max(0, min(int(milliseconds * 10), 10_000_000))
        self._words[_DRIFT] = int(drift)
