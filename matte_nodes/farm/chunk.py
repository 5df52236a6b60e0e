# SPDX-License-Identifier: Apache-2.0
"""Renders one chunk of a job on a worker: its frames, the overlap after them, and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.farm.parts import ChunkRecord, record, seam_pattern
from matte_nodes.media.clip import open_clip
from matte_nodes.render.object_files import outputs
from matte_nodes.render.resume_log import Manifest
from matte_nodes.shot.bind import cut_frames

Rendering = Callable[[Mapping[str, Any], int, int], None]


def do(
    arguments: Mapping[str, Any],
    first: int | None,
    last: int | None,
    render: Rendering,
    *,
    overlap: int,
    job_last: int | None,
) -> None:
    """Matte the frames first to last with `render(arguments, first, last)`, then `overlap` more
    frames.

    The overlap goes into a separate folder, for the seam check. It ends at a cut, because no memory
    crosses a cut, and at the job's last frame. Running the same chunk twice, or again after a
    crash, leaves the same files. Raises UsageError when the clip has no such frames.
    """
    connect = arguments["connect"]
    if connect["cuts"] == "auto":
        raise UsageError(
            "A chunk needs cuts as frame numbers, so that all chunks use the same cuts."
        )
    clip = open_clip(arguments["source"], missing=connect["missing"])
    frames = list(clip.frames)
    clip.close()
    first = frames[0] if first is None else first
    last = frames[-1] if last is None else last
    own = [frame for frame in frames if first <= frame <= last]
    if not own:
        raise UsageError(f"{clip.name} has no frame between {first} and {last}. Check --frames.")
    output = arguments["output"]
    render(arguments, first, last)
    following = _overlap(frames, own[-1], cut_frames(connect["cuts"]), overlap, job_last)
    if following:
        aside = {**arguments, "output": seam_pattern(output, own[0], own[-1])}
        render(aside, following[0], following[-1])
    for written in outputs(output, connect["points"]):
        _record(written, own, tuple(following), connect["warm_up"])


def _record(output: str, own: list[int], following: tuple[int, ...], warm_up: int | None) -> None:
    """Record what the chunk has written: the frames' fingerprints and sums."""
    manifest = Manifest(output, {})
    lines = {int(line["frame"]): line for line in manifest.entries(own)}
    keys = {frame: str(line["key"]) for frame, line in lines.items()}
    sums = {frame: str(line["sum"]) for frame, line in lines.items() if "sum" in line}
    settings = manifest.settings
    record(
        output,
        ChunkRecord(own[0], own[-1], following, keys, warm_up, settings, sums),
    )


def _overlap(
    frames: list[int], last: int, cuts: list[int], overlap: int, job_last: int | None
) -> list[int]:
    """Return the frames after a chunk that are matted again, within its take and the job."""
    found: list[int] = []
    place = frames.index(last) + 1
    for frame in frames[place : place + overlap]:
        if frame in cuts or (job_last is not None and frame > job_last):
            break
        found.append(frame)
    return found
