# SPDX-License-Identifier: Apache-2.0
"""Plans a farm job for a request of `matte run`, and checks everything at submission."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes import models
from matte_nodes.card import HINTS, Window
from matte_nodes.farm.bundle import FarmJob
from matte_nodes.farm.paths import (
    FileParameter,
    input_parameter,
    literal,
    output_parameter,
    written_folder,
)
from matte_nodes.farm.plan import ChunkPlan, balanced, handover, plan, takes_of
from matte_nodes.frame_range import contiguous, spelled
from matte_nodes.media.clip import Clip
from matte_nodes.media.still import read_header
from matte_nodes.render.render import Render
from matte_nodes.shot.bind import cut_frames
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.shot.shot import Shot

FILE_OPTIONS: dict[str, str] = {
    name: name.capitalize() for name in (*HINTS, "points", "weights", "ocio")
}


@dataclass(frozen=True)
class FarmPlan:
    """The plan of a job."""

    plan: ChunkPlan
    """How the range is cut."""
    models: tuple[str, ...]
    """Models of the chain, in order."""
    model: str
    """The model that sees the plate first."""
    refine: str | None
    """The model that refines it, if any."""
    cuts: tuple[int, ...]
    """First frames of takes, inside the range or before it."""
    frames: tuple[int, ...]
    """Frames of the job."""
    assets: tuple[str, ...]
    """Files that workers need."""
    notes: tuple[str, ...]
    """What the user should know, one sentence each."""
    pixels: int = 0
    """Pixels of a frame."""
    objects: tuple[str, ...] = ()
    """Objects that have files of their own."""


def plan_job(
    arguments: Mapping[str, Any], first: int | None, last: int | None, size: int | None
) -> FarmPlan:
    """Open the clips, resolve the model `auto`, find cuts and cut the range. arguments: as `Render`
    takes them.
    """
    connect = dict(arguments["connect"])
    warm_up = connect.pop("warm_up")
    connect.pop("start", None)
    # The machine that submits a job may lack the device that the job asks for.
    node = {**arguments["node"], "device": "cpu", "half": False}
    render = Render(**{**arguments, "connect": connect, "node": node})
    shot, nodes = render.shot, render.chain.nodes
    try:
        frames = tuple(render.wanted(first, last))
        asked = connect["cuts"]
        cuts = shot.cuts(None, frames[-1]) if asked == "auto" else cut_frames(asked)
        begins, warm_up = handover([item.card for item in nodes], warm_up)
        found = plan(frames, cuts, size, begins, warm_up)
        own = _onnx_files(arguments)
        names = tuple(own.get(item.card.name, item.card.name) for item in nodes)
        with_refine = len(names) - (arguments["segmentation_model"] is not None) > 1
        return FarmPlan(
            plan=found,
            models=names,
            model=names[-2] if with_refine else names[-1],
            refine=names[-1] if with_refine else None,
            cuts=tuple(cut for cut in cuts if cut <= frames[-1]),
            frames=frames,
            assets=(*_assets(shot, frames, cuts, found, nodes), *_with_declarations(own)),
            notes=(*render.chain.notes, *_notes(found, cuts)),
            pixels=shot.clip.canvas.width * shot.clip.canvas.height,
            objects=tuple(files.name for files in render.files if files.name),
        )
    finally:
        shot.close()


def _onnx_files(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the ONNX files that the request names as models, by the names of their cards.

    A worker finds them by path alone: the name of the card is known in this process only.
    """
    given = (arguments["model"], arguments["refine"], arguments["segmentation_model"])
    files = [os.path.abspath(one) for one in given if one and str(one).lower().endswith(".onnx")]
    return {models.card(file).name: literal(file) for file in files}


def _with_declarations(files: Mapping[str, str]) -> Iterator[str]:
    for file in files.values():
        yield file
        yield str(Path(file).with_suffix(".json"))


def job(
    asked: FarmPlan,
    source: str,
    output: str,
    flags: Mapping[str, Any],
    *,
    overlap: int,
    limit: float,
    name: str = "",
    **needs: int,
) -> FarmJob:
    """Return the bundle's contents. flags: the user's flags by option name, as (spelling, value)
    pairs.
    """
    plate, target = input_parameter("Plate", source), output_parameter("Output", output)
    files, words = [plate, target], []
    for option, (flag, value) in flags.items():
        if is_file(option, value):
            file = input_parameter(FILE_OPTIONS[option], str(value))
            files.append(file)
            words.append(f"{flag}={file.argument}")
        elif isinstance(value, tuple):
            words += [f"{flag}={literal(str(item))}" for item in value]
        else:
            words.append(flag if value is True else f"{flag}={literal(str(value))}")
    begins = asked.plan.handover
    chained = any(step.after for step in asked.plan.steps)
    chunk = [plate.argument, f"--output={target.argument}", *words, *own_flags(asked, overlap)]
    enter = list(asked.models)
    if "weights" in flags:
        enter.append("--own-weights")
    if chained:
        states = f"--states={target.argument}"
        chunk.append(states)
        enter.append(states)
    validate = [
        f"--output={target.argument}",
        f"--frames={spelled(asked.frames)}",
        f"--overlap={overlap if begins == 'warm' else 0}",
        f"--seam-limit={limit:g}",
        *_cuts_flag(asked),
        *objects_flags(asked),
    ]
    return FarmJob(
        name=literal(name) or f"matte {Path(source).name} {Path(asked.model).stem}"[:64],
        plan=asked.plan,
        files=_distinct(files),
        chunk=chunk,
        validate=validate,
        enter=enter,
        assets=(*asked.assets, *_points_file(flags)),
        output_folder=str(written_folder(output)),
        **needs,
    )


def _points_file(flags: Mapping[str, Any]) -> list[str]:
    """Return the file of clicks, which no clip reads."""
    return [os.path.abspath(flags["points"][1])] if "points" in flags else []


def is_file(option: str, value: Any) -> bool:
    """Whether a flag's value is the path of a file that a worker opens."""
    return option in FILE_OPTIONS and bool(value) and not str(value).startswith("ocio://")


def placed(flags: Mapping[str, tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return the flags with absolute paths, for commands that run in another folder."""
    return {
        option: (flag, os.path.abspath(value) if is_file(option, value) else value)
        for option, (flag, value) in flags.items()
    }


def local_parts(asked: FarmPlan, count: int, *, is_warm: bool) -> list[tuple[int, int]]:
    """Return first and last frames of parts for one machine: whole takes where a model remembers,
    else about `count` of one length. is_warm: the user lets parts begin some frames early."""
    frames = asked.frames
    if asked.plan.handover == "free" or is_warm:
        size = max(1, -(-len(frames) // count))
        takes = [part for run in contiguous(frames) for part in balanced(run, size)]
    else:
        takes = takes_of(frames, asked.cuts)
    return [(take[0], take[-1]) for take in takes]


def shot_flags(asked: FarmPlan, warm_up: int | None) -> list[str]:
    """Return the flags of a part on one machine that follow from the plan."""
    words = [f"--model={asked.model}", *([f"--refine={asked.refine}"] if asked.refine else [])]
    return [*words, *_cuts_flag(asked), *([] if warm_up is None else [f"--warm-up={warm_up}"])]


def own_flags(asked: FarmPlan, overlap: int) -> list[str]:
    """Return the flags that follow from the plan: chosen models, cuts, warm-up and overlap."""
    words = [f"--model={asked.model}"]
    if asked.refine:
        words.append(f"--refine={asked.refine}")
    words += _cuts_flag(asked)
    if asked.plan.handover == "warm":
        words += [
            f"--warm-up={asked.plan.warm_up}",
            f"--overlap={overlap}",
            f"--job-last={asked.frames[-1]}",
        ]
    return words


def objects_flags(asked: FarmPlan) -> list[str]:
    """Return the flags by which Validate knows the objects that have files of their own."""
    return [f"--object={name}" for name in asked.objects]


def _cuts_flag(asked: FarmPlan) -> list[str]:
    return [f"--cuts={','.join(map(str, asked.cuts))}"] if asked.cuts else []


def _distinct(files: Sequence[FileParameter]) -> list[FileParameter]:
    return list({file.name: file for file in files}.values())


def _notes(found: ChunkPlan, cuts: Sequence[int]) -> list[str]:
    if found.handover == "warm":
        return [
            f"Chunks begin {found.warm_up} frames early; Validate fails where a seam would be seen."
        ]
    if found.handover == "exact":
        what = "chunks of a take run in sequence, takes in parallel"
        more = "" if cuts else " (--cuts auto finds takes)"
        return [f"Exact: {what}{more}. --warm-up W lets chunks run at once, with a seam check."]
    return []


def _assets(
    shot: Shot,
    frames: Sequence[int],
    cuts: Sequence[int],
    found: ChunkPlan,
    nodes: Sequence[MatteNode],
) -> list[str]:
    """Return the files of plate and hints that the chunks read: absolute paths, sorted."""
    clip = shot.clip
    numbers = list(clip.frames)
    begin, end = numbers.index(frames[0]), numbers.index(frames[-1])
    if found.handover == "exact":
        begin = max((numbers.index(c) for c in cuts if c in numbers and c <= frames[0]), default=0)
    elif found.handover == "warm":
        # One frame more: a worker takes the clip's first frame for the first frame of the shot.
        begin = max(0, begin - (found.warm_up or 0) - 1)
    for node in nodes:
        if isinstance(node.card.memory, Window):
            offsets = node.window_offsets()
            begin, end = begin + min(0, *offsets), end + max(0, *offsets)
    # Steadying looks one frame further to both sides.
    begin, end = max(0, begin - 1), min(len(numbers), end + 2)
    paths = _paths(clip, numbers[begin:end])
    if not clip.is_movie and _smaller(paths, clip):
        paths = list(clip.files().values())
    for hint in shot.hints.values():
        paths += _paths(hint.clip, hint.clip.frames)
    return sorted(dict.fromkeys(os.path.abspath(path) for path in paths))


def _paths(clip: Clip, numbers: Sequence[int]) -> list[Path]:
    """Return the files of these frames; none for another model's mask."""
    parts = map(clip.file_part, numbers)
    return list(dict.fromkeys(part.path for part in parts if part is not None))


def _smaller(paths: Sequence[Path], clip: Clip) -> bool:
    """Whether these frames have a smaller canvas than the whole clip. A network would then see
    another size.
    """

    canvas = clip.display_window
    for path in paths:
        if path.is_file():
            canvas = canvas.union(read_header(path).data_window)
    return canvas != clip.canvas
