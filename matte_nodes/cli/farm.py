# SPDX-License-Identifier: Apache-2.0
"""`matte farm`: a run on many machines, with an existing farm engine."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matte_nodes.cli import run as one_machine
from matte_nodes.cli import verb
from matte_nodes.cli.given import pairs, words_of
from matte_nodes.cli.knob_flags import KnobCommand
from matte_nodes.errors import UsageError
from matte_nodes.frame_range import parsed_frames, parsed_numbers, spelled
from matte_nodes.paths import cache_at
from matte_nodes.points import PLACE

if TYPE_CHECKING:
    from matte_nodes.farm.request import FarmPlan

HERE_ONLY = ("as_json", "quiet", "no_service", "detect_cuts", "again", "cache", "session",
             "recursive", "each", "jobs")  # fmt: skip
PLANNED = ("source", "output", "model", "refine", "frames", "cuts", "warm_up")


def command() -> click.Command:
    """Return the verb and its sub-verbs.

    Those that take a request have the flags of `matte run`.
    """
    group = click.Group("farm", help="Bundles are Open Job Descriptions; see docs/farm.md.")
    group.add_command(_like_run("bundle", bundle))
    group.add_command(_like_run("commands", commands))
    group.add_command(_like_run("chunk", chunk))
    for sub in (validate, enter, leave):
        group.add_command(sub)
    return group


def _like_run(name: str, function: Callable[..., None]) -> click.Command:
    own: click.Command = click.command(name, cls=KnobCommand)(function)
    params = [copy(param) for param in verb("run").params if param.name not in HERE_ONLY]
    for param in params:
        if param.name in ("output", "source"):
            param.required = True
    own.params = [*params[:1], *own.params, *params[1:]]
    return own


def _cutting(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--seam-limit", type=click.FloatRange(0), default=2.0, show_default=True,
                     help="8-bit codes of alpha, mean over 8 x 8 pixels, from which on a seam "
                     "between warm chunks is seen."),
        click.option("--overlap", type=click.IntRange(0), default=1, show_default=True,
                     help="Frames behind each warm chunk that are matted once more for the seam "
                     "check; 0 leaves it out."),
        click.option("--chunk", "size", type=click.IntRange(1),
                     help="Frames of a chunk at most. Default: 32, or a thirtieth of the range."),
    ):  # fmt: skip
        function = option(function)
    return function


@_cutting
@click.option("--bundle", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the bundle.")  # fmt: skip
@click.option("--name", default="", help="Name of the job.")
@click.option("--gpus", type=click.IntRange(0), help="Cards that a worker must have. Default: 1 "
              "with --device cuda or tensorrt, else 0.")  # fmt: skip
@click.option("--gpu-memory", type=click.IntRange(0), default=0, help="MiB of a card at least.")
@click.option("--timeout", type=click.IntRange(0), default=0,
              help="Seconds for a chunk. Default: a minute a frame, 15 minutes at least.")  # fmt: skip
def bundle(
    source: str, output: str, model: str, folder: Path, size: int | None, overlap: int,
    seam_limit: float, name: str, gpus: int | None, gpu_memory: int, timeout: int, **options: Any,
) -> None:  # fmt: skip
    """Write a run as an Open Job Description bundle, for `deadline bundle submit` or `openjd run`.

    The flags are those of `matte run`. Cuts and the model are decided now, so that all workers
    agree. The output must be a pattern.
    """
    from matte_nodes.farm import bundle as bundles
    from matte_nodes.farm import request

    flags = _given(options)
    asked = _asked(source, output, model, size, options)
    needs_card = str(options_device(flags)).startswith(("cuda", "tensorrt"))
    job = request.job(
        asked, source, output, flags, overlap=overlap, limit=seam_limit, name=name,
        gpus=int(needs_card) if gpus is None else gpus, gpu_memory=gpu_memory, timeout=timeout,
    )  # fmt: skip
    template = bundles.write(job, folder)
    for note in asked.notes:
        click.echo(note)
    click.echo(f"{len(asked.frames)} frames in {len(asked.plan.chunks)} chunks: {template}")
    values = f"file://{(folder / 'job_parameters.json').absolute()}"
    here = [
        "openjd",
        "run",
        str(template),
        "--step",
        "Validate",
        "--run-dependencies",
        "-p",
        values,
    ]
    click.echo(f"here: {shlex.join(here)}")
    click.echo(f"farm: {shlex.join(['deadline', 'bundle', 'submit', str(folder)])}")


@_cutting
def commands(
    source: str, output: str, model: str, size: int | None, overlap: int, seam_limit: float,
    **options: Any,
) -> None:  # fmt: skip
    """Print one command for each chunk, and one that validates, for farms without OpenJD.

    A line that begins with "# then" waits for the line before it. All other lines may run at the
    same time. Run `matte farm validate` last.
    """
    from matte_nodes.farm import request
    from matte_nodes.farm.paths import one_line

    flags = _given(options)
    asked = _asked(source, output, model, size, options)
    for note in asked.notes:
        click.echo(f"# {note}")
    # A farm chooses the folder in which the lines run.
    source, output = os.path.abspath(source), os.path.abspath(output)
    given = words_of(request.placed(flags).values())
    begin = ["matte", "farm", "chunk", source, f"--output={output}", *given]
    begin += request.own_flags(asked, overlap)
    for word in begin:
        one_line(word)  # a line feed in a name would begin a command of its own
    chained = any(step.after for step in asked.plan.steps)
    if chained:
        begin.append(f"--states={output}")
    waits = {step.frames[0] for step in asked.plan.steps if step.after}
    for first, last in asked.plan.chunks:
        if first in waits:
            click.echo("# then")
        click.echo(shlex.join([*begin, f"--frames={first}-{last}"]))
    click.echo("# at last")
    warm = asked.plan.handover == "warm"
    end = ["matte", "farm", "validate", f"--output={output}", f"--frames={spelled(asked.frames)}"]
    end += [f"--overlap={overlap if warm else 0}", f"--seam-limit={seam_limit:g}"]
    end += [f"--cuts={','.join(map(str, asked.cuts))}"] if asked.cuts else []
    end += request.objects_flags(asked)
    click.echo(shlex.join(end))


@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True,
              help="Frames behind the chunk that are matted aside, for the seam check.")  # fmt: skip
@click.option("--job-last", type=int, help="The job's last frame: no overlap behind it.")
@click.option("--states", metavar="PATTERN", help="Hand states over beside this output.")
def chunk(
    source: str, output: str, model: str, overlap: int, job_last: int | None,
    states: str | None, **options: Any,
) -> None:  # fmt: skip
    """Matte one chunk (--frames), as jobs do. The flags are those of `matte run`.

    Prints progress in the format of Open Job Description. Exit codes are those of `matte run`.
    """
    from matte_nodes.farm import chunk as chunks
    from matte_nodes.farm.session import Lines

    options["cache"] = "states"
    arguments, first, last = one_machine.asked(source, output, model, {**options, "again": False})
    done: list[str] = []

    def render(what: Mapping[str, Any], low: int, high: int) -> None:
        # The frames take most of the time; the overlap takes the rest.
        lines = Lines(95, 100) if done else Lines(0, 95 if overlap else 100)
        one_machine.render(what, low, high, lines, here=False, say=True)
        done.append(str(what["output"]))

    with cache_at(_states(states)):
        chunks.do(arguments, first, last, render, overlap=overlap, job_last=job_last)


@click.command("validate")
@click.option("-o", "--output", required=True, help="The pattern that the chunks wrote.")
@click.option("--frames", required=True, help="Frames of the job: 1001-1100,1110.")
@click.option("--cuts", default="", help="First frames of new takes, as the chunks had them.")
@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True,
              help="Overlapping frames that chunks left; 0 checks no seams.")  # fmt: skip
@click.option("--seam-limit", type=click.FloatRange(0), default=2.0, show_default=True,
              help="8-bit codes of alpha from which on a seam is seen.")  # fmt: skip
@click.option("--object", "objects", multiple=True, metavar="NAME",
              help=f"An object that has files of its own, for an output with {PLACE}.")  # fmt: skip
def validate(
    output: str, frames: str, cuts: str, overlap: int, seam_limit: float, objects: tuple[str, ...]
) -> None:
    """Check what the chunks of a job left: whole frames, one model, seams. Merge the resume log.

    Exit codes: 0 no problem, 1 a problem (one line each, with what to do).
    """
    from matte_nodes.farm.parts import clean
    from matte_nodes.farm.session import progress
    from matte_nodes.farm.validate import Verdict
    from matte_nodes.farm.validate import validate as look
    from matte_nodes.render.object_files import named

    if objects and PLACE not in output:
        raise UsageError(f"--object names a part of the output, but {output!r} has no {PLACE}.")
    verdict = Verdict(0)
    for name in objects or ("",):
        verdict += look(
            named(output, name) if name else output,
            parsed_frames(frames),
            cuts=parsed_numbers(cuts, "Cuts"),
            overlap=overlap,
            limit=seam_limit,
            say=progress,
        ).of(name)
    if not verdict.problems:
        clean(output)  # states are of all objects together
    for seam in verdict.seams:
        click.echo(f"seam: {seam.sentence}")
    for problem in verdict.problems:
        click.echo(f"openjd_fail: {problem}")
    if verdict.problems:
        sys.exit(1)
    click.echo(f"{verdict.frames} frames are whole; {verdict.merged} lines merged")


@click.command("enter")
@click.argument("names", metavar="MODEL...", nargs=-1, required=True)
@click.option("--own-weights", is_flag=True, help="The job brings the weights.")
@click.option("--states", metavar="PATTERN", help="Hand states over beside this output.")
def enter(names: tuple[str, ...], own_weights: bool, states: str | None) -> None:
    """Begin a worker's session: check that the weights are here, load models once."""
    from matte_nodes.farm.session import enter as begin

    begin(names, own_weights=own_weights, cache=_states(states))


@click.command("leave")
def leave() -> None:
    """End a worker's session: stop the service that `matte farm enter` started."""
    from matte_nodes.farm.session import leave as end

    end()


def options_device(flags: Mapping[str, tuple[str, Any]]) -> str:
    """Return the device that the user asked for, or ""."""
    return str(flags["device"][1]) if "device" in flags else ""


def _asked(
    source: str, output: str, model: str, size: int | None, options: dict[str, Any]
) -> FarmPlan:
    from matte_nodes.farm import request
    from matte_nodes.farm.paths import output_parameter

    output_parameter("Output", output)
    options["cache"] = "states"
    arguments, first, last = one_machine.asked(source, output, model, {**options, "again": False})
    return request.plan_job(arguments, first, last, size)


def _given(options: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the given flags of `matte run` that pass through unchanged, by parameter name."""
    own = ("folder", "size", "overlap", "seam_limit", "name", "gpus", "gpu_memory", "timeout")
    return pairs(click.get_current_context(), options, (*own, *PLANNED))


def _states(output: str | None) -> Path | None:
    """Return the folder where the next chunk finds the states of this one, if they are handed over."""
    from matte_nodes.farm.parts import states_folder

    return None if output is None else states_folder(os.path.abspath(output))
