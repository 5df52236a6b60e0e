# SPDX-License-Identifier: Apache-2.0
"""The folder of single frames without an output: one folder for each request, oldest frames removed
first.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from matte_nodes.media.pattern import Pattern
from matte_nodes.service.request import Request
from matte_nodes.temporal.digest import digest

MOST_BYTES = 2 << 30
YOUNG = 60.0
VIEW = ".view"
"""What the names of looks at a frame end with."""


def kept_output(folder: Path, request: Request) -> str:
    """Return the output pattern of a request without one. Equal requests share files.

    The fingerprint inside a file decides whether it is still valid, as in any output.
    """
    facts = asdict(request)
    for varying in ("first", "last", "umask"):
        del facts[varying]
    own = folder / digest(facts)[:32]
    prune(folder, MOST_BYTES)
    own.mkdir(parents=True, exist_ok=True)
    os.utime(own)
    kind = ".npy" if request.options.get("layout") == "array" else ".exr"
    kind = VIEW if request.view else kind
    return str(own / f"frame.####{kind}")


def frame_path(output: str, frame: int) -> str:
    """Return the file of one frame of an output."""
    pattern = Pattern.parse(output)
    return str(pattern.path(frame)) if pattern else output


def prune(folder: Path, most: int) -> None:
    """Remove the oldest pictures until at most `most` bytes are left.

    Pictures of the last minute stay, because a client may not have opened them yet. A folder is
    removed with its last picture.
    """
    if not folder.is_dir():
        return
    found = []
    for path in folder.glob("*/frame.*"):
        with suppress(OSError):
            facts = path.stat()
            found.append((facts.st_mtime, facts.st_size, path))
    total, young = sum(size for _, size, _ in found), time.time() - YOUNG
    for made, size, path in sorted(found):
        if total <= most or made > young:
            break
        with suppress(OSError):  # on Windows a file that is mapped stays
            path.unlink()
            total -= size
    for own in folder.iterdir():
        with suppress(OSError):
            if own.stat().st_mtime < young and not any(own.glob("frame.*")):
                shutil.rmtree(own, ignore_errors=True)
