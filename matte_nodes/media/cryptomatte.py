# SPDX-License-Identifier: Apache-2.0
"""Cryptomatte: several objects in one EXR, by name, each with its coverage of every pixel.

The specification is version 1.2.0 of Friedman and Jones, Psyop 2015. Nuke, Blender, Fusion and
After Effects pick objects out of such a file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYER = "CryptoObject"
"""The name of the set of layers; `00`, `01`, ... are added to it."""

DEPTH = 6
"""Objects that one pixel can name, the largest first. Two go into a layer."""


def murmur3(text: str) -> int:
    """Return MurmurHash3_x86_32 of a text in UTF-8 with seed 0 (Austin Appleby, public domain)."""
    data, found = text.encode(), 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        found ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        found = (_rotated(found, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    if data[whole:]:
        found ^= _scrambled(int.from_bytes(data[whole:], "little"))
    found ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        found = ((found ^ (found >> shift)) * factor) & 0xFFFFFFFF
    return found ^ (found >> 16)


def _scrambled(block: int) -> int:
    return _rotated((block * 0xCC9E2D51) & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & 0xFFFFFFFF


def id_of(name: str) -> int:
    """Return the 32 bits that stand for an object: its hash, changed where it would be no normal float."""
    found = murmur3(name)
    exponent = found >> 23 & 0xFF
    return found ^ 1 << 23 if exponent in (0, 255) else found


def channels(
    coverages: Mapping[str, NDArray[Any]],
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the channels of all objects.

    coverages: (H, W) float32 0..1 by name; they sum to 1 at most. Returns names, and pixels
    (H, W, 4 x layers) float32: id, coverage, id, coverage of each pixel's objects, the largest
    coverage first. Ids are bits, not numbers.
    """
    names = list(coverages)
    stack = np.stack([np.asarray(coverages[name], np.float32) for name in names])
    ids = np.array([id_of(name) for name in names], np.uint32).view(np.float32)
    depth = min(len(names), DEPTH)
    order = np.argsort(-stack, axis=0, kind="stable")[:depth]
    layers = (depth + 1) // 2
    pixels = np.zeros((*stack.shape[1:], 4 * layers), np.float32)
    for rank in range(depth):
        share = np.take_along_axis(stack, order[rank][None], 0)[0]
        pixels[..., 2 * rank] = np.where(share > 0, ids[order[rank]], np.float32(0))
        pixels[..., 2 * rank + 1] = share
    return tuple(f"{LAYER}{n:02d}.{c}" for n in range(layers) for c in "RGBA"), pixels


def metadata(names: Iterable[str]) -> dict[str, str]:
    """Return the attributes that say what the ids mean."""
    key = f"cryptomatte/{murmur3(LAYER):08x}"[:19]
    manifest = {name: f"{id_of(name):08x}" for name in names}
    return {
        f"{key}/name": LAYER,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": json.dumps(manifest),
    }


def coverage(pixels: NDArray[np.float32], names: Sequence[str], name: str) -> NDArray[np.float32]:
    """Return an object's coverage of each pixel from a file's channels: what a host's node computes.

    pixels: (H, W, C) float32, with these channel names. Returns (H, W) float32.
    """
    wanted = struct.unpack("<f", struct.pack("<I", id_of(name)))[0]
    found = np.zeros(pixels.shape[:2], np.float32)
    for at, channel in enumerate(names):
        if channel.startswith(LAYER) and channel[-1] in "RB":
            found += np.where(pixels[..., at] == np.float32(wanted), pixels[..., at + 1], 0)
    return found
