# SPDX-License-Identifier: Apache-2.0
"""Where single frames go that name no output: one folder a request, the oldest removed first."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

from ..identity import digest
from ..media.pattern import Pattern
from .request import Request

MOST_BYTES = 2 << 30


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
    """Remove the folders used longest ago until no more than `most` bytes are left."""
    if not folder.is_dir():
        return
    sizes = {
        entry: sum(file.stat().st_size for file in os.scandir(entry) if file.is_file())
        for entry in folder.iterdir()
        if entry.is_dir()
    }
    total = sum(sizes.values())
    for entry in sorted(sizes, key=lambda entry: entry.stat().st_mtime_ns):
        if total <= most:
            return
        shutil.rmtree(entry, ignore_errors=True)
        total -= sizes[entry]
