# SPDX-License-Identifier: Apache-2.0
"""Colour tags of movies that are written: code points of ISO/IEC 23091-2 for a space's name."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNSAID = 2


@dataclass(frozen=True)
class Tags:
    """Primaries, transfer and matrix code points, and the luma weights of that matrix."""

    primaries: int
    transfer: int
    matrix: int
    red: float
    blue: float


_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}

# Parts of a plain name (letters and digits only), most telling first, and their code point.
_TRANSFERS = (
    ("pq", 16), ("2084", 16), ("hlg", 18), ("srgb", 13), ("lin", 8), ("acescg", 8), ("g22", 4),
    ("gamma22", 4), ("bt2020", 14), ("601", 6), ("170m", 6), ("709", 1), ("rec1886", 1),
)  # fmt: skip
_PRIMARIES = (("2020", 9), ("2100", 9), ("p3", 12), ("601", 6), ("170m", 6), ("709", 1))


def tags_of(colorspace: str) -> Tags:
    """Return the tags for a colour space by its name (`bt709`, `camera_rec709`, `srgb_tx`, `pq`, ...).

    What the name does not say stays unsaid (camera logs, ACES primaries have no code point). The
    matrix is BT.2020's for its primaries, BT.601's for its own, otherwise BT.709's, and the movie
    says so: pixels come back the same whichever it is.
    """
    name = re.sub(r"[^a-z0-9]", "", colorspace.lower())
    transfer = next((code for part, code in _TRANSFERS if part in name), UNSAID)
    if name.startswith("lin") or "log" in name:
        transfer = 8 if name.startswith("lin") else UNSAID
    primaries = next((code for part, code in _PRIMARIES if part in name), UNSAID)
    if primaries == UNSAID and name in ("srgb", "srgbtx", "srgbtexture", "srgbdisplay"):
        primaries = 1
    if name in ("pq", "hlg"):
        primaries = 9
    matrix = primaries if primaries in (6, 9) else 1
    return Tags(primaries, transfer, matrix, *_WEIGHTS[matrix])
