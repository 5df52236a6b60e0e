# SPDX-License-Identifier: Apache-2.0
"""Where single frames go that name no output: a folder a request, the oldest frames leave first."""

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


def kept_output(folder: Path, request: Request) -> str:
    """The output pattern of a request without one: the same request, the same files.

    Whether a file that lies there is still right is told by the key inside it, as in any output.
    """
    facts = asdict(request)
    for varying in ("first", "last", "umask"):
        del facts[varying]
    own = folder / digest(facts)[:32]
    prune(folder, MOST_BYTES)
    own.mkdir(parents=True, exist_ok=True)
    os.utime(own)
    kind = ".npy" if request.options.get("layout") == "array" else ".exr"
    return str(own / f"frame.####{kind}")


def frame_path(output: str, frame: int) -> str:
    """The file of one frame of an output."""
    pattern = Pattern.parse(output)
    return str(pattern.path(frame)) if pattern else output


def prune(folder: Path, most: int) -> None:
    """Remove the pictures made longest ago until no more than `most` bytes are left.

    None of the last minute: whoever asked for it may not have opened it yet. A folder goes with
    its last picture.
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
