# SPDX-License-Identifier: Apache-2.0
"""File patterns with a frame number: #### or %04d."""

from __future__ import annotations

import re
from typing import Any

FRAME = re.compile(r"#+|%0?\d*d")


def frame_path(pattern: str, frame: int) -> str:
    """Return the file of one frame of a pattern with # or %0Nd."""

    def number(found: Any) -> str:
        token = found.group()
        width = len(token) if token[0] == "#" else int(token[1:-1] or 1)
        return str(frame).zfill(width)

    return FRAME.sub(number, pattern)
