# SPDX-License-Identifier: Apache-2.0
"""The last step of a job: are all frames there, did one model make them, are seams invisible?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matte_nodes.errors import MatteError, OutputError
from matte_nodes.farm.parts import ChunkRecord, clean, merge, recorded, seam_pattern
from matte_nodes.farm.seams import LIMIT, Seam, compare
from matte_nodes.frame_range import spelled
from matte_nodes.media.metadata import own_attribute
from matte_nodes.media.pattern import Pattern
from matte_nodes.media.sequence_writer import is_whole
from matte_nodes.render.resume_log import KEY, Manifest

Say = Callable[[float, str], None]

MADE_BY = ("matte/model", "matte/weights", "matte/knobs", "matte/working_space", "matte/version")


@dataclass
class Verdict:
    """The result of a validation."""

    frames: int
    """Number of frames that were checked."""
    problems: list[str] = field(default_factory=list)
    """One sentence for each problem, with what to do."""
    seams: list[Seam] = field(default_factory=list)
    """All seams that were compared."""
    merged: int = 0
    """Number of lines that were added to the resume log."""

    def __add__(self, other: Verdict) -> Verdict:
        """Return what both say."""
        return Verdict(
            self.frames + other.frames,
            [*self.problems, *other.problems],
            [*self.seams, *other.seams],
            self.merged + other.merged,
        )

    def of(self, name: str) -> Verdict:
        """Return the same with an object's name before each problem; "" is no object."""
        before = f"Object {name}: " if name else ""
        return replace(self, problems=[before + problem for problem in self.problems])


def validate(
    output: str,
    frames: Sequence[int],
    *,
    cuts: Sequence[int] = (),
    overlap: int = 0,
    limit: float = LIMIT,
    say: Say = lambda share, text: None,
) -> Verdict:
    """Check the frames of a job and merge the chunks' records into its resume log.

    say: called with the finished share 0..1 and a text. Removes states and overlap frames when the
    job has no problems. Returns a Verdict.
    """
    verdict = Verdict(len(frames))
    pattern = Pattern.parse(output)
    if pattern is None:
        raise OutputError(f"{output!r} is no pattern of frames.")
    parts, verdict.merged = merge(output, recorded(output))
    _files(verdict, output, frames, say)
    if overlap:
        _seams(verdict, output, pattern, parts, frames, set(cuts), limit, say)
    if not verdict.problems:
        clean(output)
    return verdict


def _files(verdict: Verdict, output: str, frames: Sequence[int], say: Say) -> None:
    """Check that every frame exists, is whole, is ours, lies as it was written, and has the same
    settings as the first one.
    """
    pattern, log = Pattern.parse(output), Manifest(output, {})
    assert pattern is not None
    missing, broken, foreign, changed = [], [], [], []
    made: dict[tuple[str | None, ...], list[int]] = {}
    for count, frame in enumerate(frames, 1):
        path = pattern.path(frame)
        if not path.is_file():
            missing.append(frame)
        elif not is_whole(path):
            broken.append(frame)
        elif own_attribute(path, KEY) is None:
            foreign.append(frame)
        elif log.entries([frame]) and not log.holds(frame, path):
            changed.append(frame)
        else:
            facts = tuple(own_attribute(path, name) for name in MADE_BY)
            made.setdefault(facts, []).append(frame)
        say(50 * count / len(frames), f"looked at frame {frame}")
    if missing:
        verdict.problems.append(f"Frames {spelled(missing)} are missing: run their chunks again.")
    if broken:
        verdict.problems.append(
            f"Frames {spelled(broken)} are not whole: delete them and run their chunks again."
        )
    if foreign:
        verdict.problems.append(
            f"Frames {spelled(foreign)} were not written by this job: move them away and run "
            "their chunks again."
        )
    if changed:
        verdict.problems.append(
            f"Frames {spelled(changed)} are not as they were written: damaged, or another frame's "
            "file under this name. Delete them and run their chunks again."
        )
    if len(made) > 1:
        (kept, most), *others = sorted(made.items(), key=lambda item: -len(item[1]))
        for facts, odd in others:
            differs = [name for name, a, b in zip(MADE_BY, kept, facts, strict=True) if a != b]
            verdict.problems.append(
                f"Frames {spelled(odd)} differ from {spelled(most)} in {', '.join(differs)}: give "
                "all workers the same version, weights and settings, and run their chunks again."
            )


def _seams(
    verdict: Verdict,
    output: str,
    pattern: Pattern,
    parts: Sequence[ChunkRecord],
    frames: Sequence[int],
    cuts: set[int],
    limit: float,
    say: Say,
) -> None:
    place = {frame: index for index, frame in enumerate(frames)}
    begun = [part.first for part in parts if part.first in place]
    unseen = set(begun) - set(frames[:1]) - cuts
    for part in parts:
        for frame in part.overlap:
            expected = _seam_file(output, part, frame)
            if frame not in place or not expected.is_file() or not pattern.path(frame).is_file():
                continue
            try:
                seam = compare(frame, part.last, pattern.path(frame), expected)
            except MatteError as error:
                verdict.problems.append(f"The seam at frame {frame} cannot be checked: {error}")
                continue
            verdict.seams.append(seam)
            unseen.discard(frame)
            say(50 + 50 * len(verdict.seams) / max(1, len(begun)), f"seam at frame {frame}")
            if seam.is_seen(limit):
                verdict.problems.append(
                    f"A seam would be seen at {seam.sentence}; the limit is {limit:g} of 255. "
                    "Take a longer --warm-up, or leave it out: then chunks go on exactly."
                )
    if unseen:
        verdict.problems.append(
            f"No overlap lies before the chunks that begin at {spelled(sorted(unseen))}: run the "
            "chunks before them again."
        )


def _seam_file(output: str, part: ChunkRecord, frame: int) -> Path:
    pattern = Pattern.parse(seam_pattern(output, part.first, part.last))
    assert pattern is not None
    return pattern.path(frame)
