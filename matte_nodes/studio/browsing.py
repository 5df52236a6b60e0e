# SPDX-License-Identifier: Apache-2.0
"""What lies in a folder that the page may open: folders, clips as patterns, single files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import InputError, MediaError
from matte_nodes.media.clip import MOVIES, STILLS
from matte_nodes.media.pattern import group
from matte_nodes.whole_files import is_temporary

if TYPE_CHECKING:
    from matte_nodes.studio.places import Places

MOST_ENTRIES = 2000
MOST_NAMES = 100_000


def listing(places: Places, path: str) -> dict[str, Any]:
    """What a folder holds for a person who chooses a clip.

    path: "" for the folders that Studio may open; for a folder that is not there the nearest one
    above it. Returns `path`, `above` (the folder above, ""
    for the list of folders, None where there is none) and `entries`: `name`, `path`, `kind`
    (folder, clip or file) and `detail`, folders first. Names that begin with a dot, files that are
    no pictures, and links that lead outside are left out. Raises InputError.
    """
    if not path:
        roots = [_entry(str(root), root, "folder", "") for root in places.roots]
        return {"path": "", "above": None, "entries": roots}
    folder = places.path(path)
    while not folder.exists() and places.holds(folder.parent):
        folder = folder.parent
    try:
        names = sorted(os.listdir(folder), key=lambda name: (name.lower(), name))
    except OSError as error:
        raise InputError(f"{path} cannot be listed ({error.strerror}).") from error
    kept = [name for name in names[:MOST_NAMES] if name[0] != "." and not is_temporary(name)]
    inside = [name for name in kept if _is_inside(places, folder / name)]
    folders = [name for name in inside if (folder / name).is_dir()]
    files = [
        name
        for name in inside
        if os.path.splitext(name)[1].lower() in STILLS | MOVIES and (folder / name).is_file()
    ]
    entries = [_entry(name, folder / name, "folder", "") for name in folders]
    try:
        clips = group(folder, files)
    except MediaError:  # two files for one frame: each is shown by itself
        clips = {}
    for pattern, frames in clips.items():
        first, last = min(frames), max(frames)
        if len(frames) > 1:
            spelled = Path(str(pattern)).name
            entries.append(_entry(spelled, folder / spelled, "clip", f"{first}-{last}"))
    numbered = {p.name for frames in clips.values() if len(frames) > 1 for p in frames.values()}
    entries += [_entry(n, folder / n, "file", "") for n in files if n not in numbered]
    above = "" if folder in places.roots else str(folder.parent)
    return {"path": str(folder), "above": above, "entries": entries[:MOST_ENTRIES]}


def _is_inside(places: Places, path: Path) -> bool:
    return not path.is_symlink() or places.holds(Path(os.path.realpath(path)))


def _entry(name: str, path: Path, kind: str, detail: str) -> dict[str, str]:
    return {"name": name, "path": str(path), "kind": kind, "detail": detail}
