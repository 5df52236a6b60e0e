# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of bakes: one for each set of settings and inputs, so that no bake hides another.

The range is no part of the name: a longer range goes on where the shorter one ended. What is whole
in the folder and what is not, the library knows by the content key in each file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from .mapping import sequence
from .trouble import Trouble

DIGITS = 4
RESULT = "matte." + "#" * DIGITS + ".exr"
INPUTS = "inputs-"


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Return a short name for settings (plain data)."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def folder_name(text: str) -> str:
    """Return a node's name as that of a folder on any system."""
    name = re.sub(r"[^\w.-]+", "_", text).strip("._")
    return name or "matte"


def own_folder(base: str, blend: str) -> str:
    """Return the folder of one .blend file in a bake folder, which other files never write into.

    blend: its absolute path, or a name for a file that was not saved yet. The position of the file
    beside the bake folder counts, so that a project that was moved keeps its bakes.
    """
    stem = os.path.splitext(os.path.basename(blend))[0]
    return os.path.join(
        base, f"{folder_name(stem)}-{settings_hash({'file': seen_from(base, blend)})[:6]}"
    )


def seen_from(base: str, path: str) -> str:
    """Return a path as it is seen from a folder; absolute where no way leads from there."""
    try:
        return os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # another drive
        return os.path.abspath(path)


def frame_file(folder: str, frame: int) -> str:
    """Return the file of one frame."""
    return os.path.join(folder, f"matte.{frame:0{DIGITS}d}.exr")


def frames_there(folder: str) -> set[int]:
    """Return the frames that a folder holds."""
    found = sequence(frame_file(folder, 0))
    assert found is not None
    return set(found.there())


def make(folder: str) -> None:
    """Make a folder that can be written into; raises Trouble."""
    try:
        os.makedirs(folder, exist_ok=True)
        probe = os.path.join(folder, f".{uuid.uuid4().hex}")
        with open(probe, "wb"):
            pass
        os.unlink(probe)
    except OSError as error:
        raise Trouble(
            f"The bake folder {folder} cannot be written ({error.strerror or error}). Choose "
            "another on the node."
        ) from error


def seed(folder: str, earlier: str) -> int:
    """Lay the frames of a bake with the same settings in, where the file was saved elsewhere.

    The library looks at the key in each one: those that still hold are not matted again. Answers
    how many; what cannot be copied is matted.
    """
    if not earlier or os.path.abspath(earlier) == os.path.abspath(folder):
        return 0
    count = 0
    with suppress(OSError):
        for frame in sorted(frames_there(earlier) - frames_there(folder)):
            _same_file(frame_file(earlier, frame), frame_file(folder, frame), soft=False)
            count += 1
    return count


def new_inputs(folder: str) -> str:
    """Return a folder for the inputs of one bake.

    A killed Blender may have left others, which go.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(INPUTS) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
    made = os.path.join(folder, INPUTS + uuid.uuid4().hex[:8])
    os.makedirs(made)
    return made


def link_inputs(folder: str, name: str, files: Mapping[int, str]) -> str:
    """Link files under the scene's frame numbers. Returns the pattern of the links.

    Links where the system has them, copies elsewhere.
    """
    ending = os.path.splitext(next(iter(files.values())))[1]
    for frame, path in files.items():
        _same_file(path, os.path.join(folder, f"{name}.{frame:0{DIGITS}d}{ending}"), soft=True)
    return os.path.join(folder, name + "." + "#" * DIGITS + ending)


def count(pattern: str) -> int:
    """Return how many files of a pattern with #### are there."""
    found = sequence(pattern.replace("#" * DIGITS, "0" * DIGITS))
    return len(found.there()) if found is not None else 0


def lacking(folder: str, frames: Iterable[int]) -> list[int]:
    """Return those of the frames that are not there."""
    have = frames_there(folder)
    return [frame for frame in frames if frame not in have]


def _same_file(source: str, target: str, *, soft: bool) -> None:
    ways = [os.symlink, os.link] if soft else [os.link]
    for way in ways:
        try:
            way(source, target)
            return
        except FileExistsError:
            return
        except (OSError, NotImplementedError):
            continue
    part = f"{target}.{secrets.token_hex(8)}.part"
    shutil.copy2(source, part)
    os.replace(part, target)


def remove(folder: str) -> None:
    """Remove the inputs of a bake."""
    if os.path.basename(folder).startswith(INPUTS):
        shutil.rmtree(folder, ignore_errors=True)
