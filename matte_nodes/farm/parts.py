# SPDX-License-Identifier: Apache-2.0
"""Files that chunks leave beside an output for Validate: records of their frames, and overlap frames.

.matte.____.exr.farm/              hidden, beside the manifest
    parts/1001-1032.json           the manifest's lines of one chunk
    seams/1001-1032/matte.1033.exr the frame after its last, as the chunk would have gone on
    states/                        states that are handed over

Workers on one disk append to one manifest; workers that send files to each other each have a
manifest of their own, of which one survives. The parts bring all lines together again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matte_nodes.errors import OutputError
from matte_nodes.media.metadata import own_attribute
from matte_nodes.media.pattern import Pattern
from matte_nodes.points import PLACE
from matte_nodes.render.resume_log import KEY, Manifest, manifest_path
from matte_nodes.whole_files import prepare_folder, whole_file


@dataclass(frozen=True)
class ChunkRecord:
    """The record of one finished chunk."""

    first: int
    """First frame of the chunk."""
    last: int
    """Last frame of the chunk."""
    overlap: tuple[int, ...]
    """Frames after `last` that were matted again for the seam check."""
    keys: dict[int, str]
    """Fingerprint of each frame."""
    warm_up: int | None
    """Frames of warm-up before `first`; None for an exact start."""
    settings: dict[str, Any]
    """Settings of the render, as in the resume log."""
    sums: dict[int, str] = field(default_factory=dict)
    """A sum over each frame's file, as in the resume log."""


def farm_folder(output: str) -> Path:
    """Return the folder beside an output's resume log where chunks leave their records."""
    path = manifest_path(output)
    return path.with_name(path.name.removesuffix(".matte.jsonl") + ".farm")


def states_folder(output: str) -> Path:
    """Return the folder where one chunk leaves its memory for the next."""
    return farm_folder(output.replace(PLACE, "")) / "states"


def seam_pattern(output: str, first: int, last: int) -> str:
    """Return the pattern that a chunk writes its overlap frames to."""
    return str(farm_folder(output) / "seams" / f"{first}-{last}" / Path(output).name)


def record(output: str, part: ChunkRecord) -> None:
    """Record that a chunk is done. A second record of the same chunk replaces the first."""
    folder = farm_folder(output) / "parts"
    prepare_folder(folder)
    with whole_file(folder / f"{part.first}-{part.last}.json") as temporary:
        temporary.write_text(json.dumps(asdict(part)) + "\n", "utf-8")


def recorded(output: str) -> list[ChunkRecord]:
    """Return all records in order, without those that a crash cut short."""
    found = []
    for path in (farm_folder(output) / "parts").glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            facts = json.loads(path.read_text("utf-8"))
            keys = {int(frame): str(key) for frame, key in facts["keys"].items()}
            sums = {int(frame): str(total) for frame, total in facts.get("sums", {}).items()}
            overlap = tuple(int(frame) for frame in facts["overlap"])
            found.append(ChunkRecord(**{**facts, "keys": keys, "sums": sums, "overlap": overlap}))
    return sorted(found, key=lambda part: part.first)


def merge(output: str, parts: Sequence[ChunkRecord]) -> tuple[list[ChunkRecord], int]:
    """Copy the records' lines into the resume log; returns (valid records, number of lines added).

    A record is valid when the files on disk are those that its chunk wrote. Other files come from
    an earlier job.
    """

    pattern = Pattern.parse(output)
    if pattern is None:
        raise OutputError(f"{output!r} is not a pattern of frames. Write the frame number as ####.")
    keys: dict[int, str | None] = {}
    holding, added = [], 0
    for part in parts:
        for frame in part.keys:
            if frame not in keys:
                path = pattern.path(frame)
                keys[frame] = own_attribute(path, KEY) if path.is_file() else None
        if any(keys[frame] == key for frame, key in part.keys.items()):
            holding.append(part)
    manifest: Manifest | None = None
    for part in holding:
        manifest = manifest or Manifest(output, part.settings)
        for frame, key in part.keys.items():
            path = pattern.path(frame)
            # A file that is damaged gets the line of what it was, so that nothing trusts it.
            if keys[frame] == key and not manifest.knows(frame, key, path):
                known = frame in part.sums
                manifest.record(
                    frame, key, path, (path.stat().st_size, part.sums[frame]) if known else None
                )
                added += 1
    return holding, added


def clean(output: str) -> None:
    """Remove states and overlap frames, which are no longer needed. The records stay."""
    for folder in (states_folder(output), farm_folder(output) / "seams"):
        shutil.rmtree(folder, ignore_errors=True)
