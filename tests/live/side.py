# SPDX-License-Identifier: Apache-2.0
"""The filter's side of the shared memory, in Python: what plugins/obs/src/protocol.c does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from matte_nodes.hosts.obs import protocol


class Side:
    """Puts plates and settings, takes mattes."""

    def __init__(self) -> None:
        self.memory = bytearray(protocol.SIZE)
        self.bytes = np.frombuffer(self.memory, np.uint8)
        self.words = self.bytes[: protocol.HEADER].view("<u4")
        self.memory[:8] = protocol.MAGIC
        self.words[2:7] = (
            protocol.VERSION, protocol.HEADER, protocol.SIZE, protocol.SIDE, protocol.SLOT
        )  # fmt: skip
        self.words[17], self.words[20] = 1, 1

    def _put(self, index: int, number: int, pixels: Any) -> None:
        meta = 64 + 16 * index
        height, width = pixels.shape[:2]
        self.words[meta] |= 1
        self.words[meta + 1 : meta + 6] = (number, 0, width, height, self.words[17])
        start = protocol.HEADER + index * protocol.SLOT
        rgba = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        self.bytes[start : start + rgba.size] = rgba.reshape(-1)
        self.words[meta] += 1

    def put_plate(self, number: int, pixels: Any) -> None:
        self._put(number % 3, number, pixels)
        self.words[16] = number

    def put_background(self, number: int, pixels: Any) -> None:
        self._put(6, number, pixels)
        self.words[18] = number

    def put_settings(self, settings: dict[str, Any] | bytes) -> None:
        text = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
        self.words[1025] = len(text)
        self.bytes[4104 : 4104 + len(text)] = np.frombuffer(text, np.uint8)
        self.words[1024] += 2
        self.words[19] += 1

    def matte(self) -> tuple[int, int, Any] | None:
        """Plate number, generation, (H, W, 4) uint8 of the newest matte."""
        number = int(self.words[32])
        if not number:
            return None
        meta = 64 + 16 * (3 + number % 3)
        assert self.words[meta] % 2 == 0
        _, plate, width, height, generation = map(int, self.words[meta + 1 : meta + 6])
        start = protocol.HEADER + (3 + number % 3) * protocol.SLOT
        pixels = self.bytes[start : start + width * height * 4].reshape(height, width, 4)
        return plate, generation, pixels.copy()

    @property
    def state(self) -> int:
        return int(self.words[34])

    @property
    def text(self) -> str:
        length = int(self.words[256])
        return bytes(self.bytes[1028 : 1028 + length]).decode("ascii")
