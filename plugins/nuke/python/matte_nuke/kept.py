# SPDX-License-Identifier: Apache-2.0
"""Rendered inputs that are kept: one file for each frame, named by what Nuke's pixels depend on.

The name is made of Nuke's hash of the node above for that frame, of the size and date of each file
that is read above it, and of the channels that are written. So the same frame is rendered once,
whatever is pressed, and a run gets links to the files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from .frames import FRAME, frame_path
from .versions import link

FOLDER = "inputs"
LIMIT = "MATTE_NUKE_INPUTS_GB"
GIGABYTES = 50.0


def key(name: str, parts: Iterable[str]) -> str:
    """Return the name of a frame's file. parts: all that its pixels depend on."""
    return name + "_" + hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()[:32] + ".exr"


def stamp(pattern: str) -> str:
    """Return sizes and dates of all files of a pattern (#### or %04d, or one file), as a hash."""
    folder, name = os.path.split(pattern)
    wanted = re.compile(
        "".join(r"-?\d+" if FRAME.fullmatch(part) else re.escape(part)
                for part in re.split("(" + FRAME.pattern + ")", name))
    )  # fmt: skip
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder or "."):
            if wanted.fullmatch(entry.name):
                said = entry.stat()
                found.append(f"{entry.name} {said.st_size} {said.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(found)).encode("utf-8")).hexdigest()


def take(base: str, keys: Mapping[int, str], pattern: str) -> list[int]:
    """Link kept frames to the files of a pattern. Returns the frames that are not kept."""
    missing = []
    for frame in sorted(keys):
        path = os.path.join(base, FOLDER, keys[frame])
        if os.path.isfile(path):
            os.utime(path)  # the ones that were used last are removed last
            link(path, frame_path(pattern, frame))
        else:
            missing.append(frame)
    return missing


def is_there(pattern: str, frame: int) -> bool:
    """Whether a frame of a pattern has a file."""
    return os.path.isfile(frame_path(pattern, frame))


def keep(base: str, keys: Mapping[int, str], pattern: str, frames: Iterable[int]) -> None:
    """Keep frames that were rendered to a pattern; those without a file are passed by."""
    folder = os.path.join(base, FOLDER)
    os.makedirs(folder, exist_ok=True)
    for frame in frames:
        source, target = frame_path(pattern, frame), os.path.join(folder, keys[frame])
        if os.path.isfile(source) and not os.path.exists(target):
            part = f"{target}.{os.getpid()}"
            with suppress(OSError):  # a full disk is no reason to stop: the run has its own
                link(source, part)
                os.replace(part, target)


def stretches(frames: Iterable[int]) -> list[tuple[int, int]]:
    """Return frames as (first, last) of each part without a hole."""
    found: list[tuple[int, int]] = []
    for frame in sorted(frames):
        if found and frame == found[-1][1] + 1:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found


def trim(base: str, limit: float | None = None) -> None:
    """Remove the files that were not used for longest, down to so many bytes.

    limit: by default what $MATTE_NUKE_INPUTS_GB says, or 50 GB.
    """
    if limit is None:
        limit = _limit() * 1e9
    found = []
    with suppress(OSError):
        for entry in os.scandir(os.path.join(base, FOLDER)):
            said = entry.stat()
            found.append((said.st_mtime_ns, said.st_size, entry.path))
    left = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if left <= limit:
            return
        with suppress(OSError):
            os.unlink(path)
        left -= size


def _limit() -> float:
    try:
        return float(os.environ.get(LIMIT, GIGABYTES))
    except ValueError:
        return GIGABYTES
