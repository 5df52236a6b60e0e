# SPDX-License-Identifier: Apache-2.0
"""Folders of results: one for each version, named by its content, never changed again.

A run works in a folder of its own. When it ends its frames become a version: the name is a hash
of the settings and of the frames' content keys, so equal results share a folder, and a script that
names an older version keeps its pixels.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from .frames import frame_path

RESULT = "matte.%04d.exr"
RUNS = "runs"
_VERSION = re.compile(r"[0-9a-f]{12}_[0-9a-f]{12}")
_NUMBER = re.compile(r"matte\.(\d+)\.exr")


def settings_hash(request: Mapping[str, Any]) -> str:
    """Names all that was asked for except the pictures and the frames."""
    kept = {name: request[name] for name in ("model", "knobs", "node", "output_colorspace")}
    connect = request["connect"]
    kept["connect"] = {
        name: name in ("trimap", "background", "segmentation") or value
        for name, value in connect.items()
    }
    return _hash(json.dumps(kept, sort_keys=True))


def new_run(base: str) -> str:
    """Return a folder for one run, with a place for rendered inputs and one for results."""
    run = os.path.join(base, RUNS, uuid.uuid4().hex)
    os.makedirs(os.path.join(run, "out"))
    return run


def seed(base: str, settings: str, run: str, frames: Iterable[int]) -> None:
    """Put earlier results with the same settings into the run, newest first.

    The service looks at each one's content key: those that still hold are not matted again, the
    others are replaced by new files; the earlier versions' own files are left as they are.
    """
    out, wanted = os.path.join(run, "out"), set(frames)
    for version in _versions(base, settings):
        taken = [n for n in wanted if os.path.isfile(_frame(version, n))]
        for number in taken:
            link(_frame(version, number), _frame(out, number))
        wanted.difference_update(taken)
        for line_file in _manifests(version):
            with open(line_file, encoding="utf-8") as source:
                text = source.read()
            with open(
                os.path.join(out, os.path.basename(line_file)), "a", encoding="utf-8"
            ) as file:
                file.write("\n" + text)


def publish(base: str, settings: str, run: str, frames: Iterable[int], shown: str = "") -> str:
    """Make a version from these frames of a run. Returns its name; "" when there are none.

    shown: the folder that the node shows now. Where it was made with the same settings, its other
    frames are in the new version too. Returns an older version that holds all of these frames
    with the same content keys, where there is one.
    """
    out, frames = os.path.join(run, "out"), list(frames)
    if frames and is_made_with(shown, settings):
        frames += _keep(shown, out, frames)
    keys = _keys(out)
    done = {n: keys[n] for n in frames if n in keys and os.path.isfile(_frame(out, n))}
    for name in os.listdir(out):  # a run that was stopped leaves seeds that nobody looked at
        if name.endswith(".exr") and name not in {RESULT % n for n in done}:
            os.unlink(os.path.join(out, name))
    if not done:
        return ""
    for version in _versions(base, settings):
        have = _keys(version)
        if all(
            have.get(n) == key and os.path.isfile(_frame(version, n)) for n, key in done.items()
        ):
            return os.path.basename(version)
    name = settings + "_" + _hash(json.dumps(sorted(done.items())))
    target = os.path.join(base, name)
    if os.path.isdir(target):  # somebody took frames out of it: put them back
        for number in done:
            if not os.path.isfile(_frame(target, number)):
                os.rename(_frame(out, number), _frame(target, number))
    else:
        os.rename(out, target)
    return name


def is_made_with(folder: str, settings: str) -> bool:
    """Return whether a folder of results, of a version or of a farm job, has these settings."""
    above, name = os.path.split(folder)
    return (name if name != "out" else os.path.basename(above)).startswith(
        (settings + "_", f"farm_{settings}_")
    )


def extent(pattern: str) -> list[int]:
    """Return the first and the last frame that lie in a pattern's folder; [] for no frame."""
    found = _frames(os.path.dirname(pattern)) if os.path.basename(pattern) == RESULT else []
    return [min(found), max(found)] if found else []


def _frames(folder: str) -> list[int]:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    numbers = (_NUMBER.fullmatch(name) for name in names)
    return [int(number.group(1)) for number in numbers if number]


def _keep(shown: str, out: str, but: list[int]) -> list[int]:
    """Link the other frames of a folder into a run, with the note that holds each one's key."""
    notes, kept = _notes(shown), []
    for number in _frames(shown):
        if number in notes and number not in but:
            target = _frame(out, number)
            if os.path.lexists(target):  # a seed, which may be of another version
                os.unlink(target)
            link(_frame(shown, number), target)
            kept.append(number)
    # The last note counts. A file that sorts behind all others is read last.
    if kept:
        with open(os.path.join(out, "~kept.matte.jsonl"), "a", encoding="utf-8") as file:
            file.write("".join(notes[number] + "\n" for number in kept))
    return kept


def clear(run: str) -> None:
    """Remove a run's folder: inputs that were rendered for it, and what it has published."""
    shutil.rmtree(run, ignore_errors=True)


def every(base: str) -> list[str]:
    """Return the folders of all versions, whatever their settings."""
    with suppress(OSError):
        return sorted(e.path for e in os.scandir(base) if _VERSION.fullmatch(e.name))
    return []


def _versions(base: str, settings: str) -> list[str]:
    """Folders of versions with these settings, the newest first."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(base):
            if entry.name.startswith(settings + "_") and entry.is_dir():
                found.append((entry.stat().st_mtime_ns, entry.path))
    return [path for _, path in sorted(found, reverse=True)]


def _keys(folder: str) -> dict[int, str]:
    """Content keys by frame, as the service noted them beside its files; the last note counts."""
    return {number: str(json.loads(note)["key"]) for number, note in _notes(folder).items()}


def _notes(folder: str) -> dict[int, str]:
    """Return the last note about each frame that names a content key."""
    found = {}
    for path in _manifests(folder):
        with open(path, encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    if entry["key"]:
                        found[int(entry["frame"])] = line.strip()
    return found


def _manifests(folder: str) -> list[str]:
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith(".matte.jsonl")]


def _frame(folder: str, number: int) -> str:
    return os.path.join(folder, frame_path(RESULT, number))


def link(source: str, target: str) -> None:
    """Put a file at a second place: as a hard link, or copied where there are none."""
    try:
        os.link(source, target)
    except OSError:  # a disk without hard links
        shutil.copy2(source, target)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
