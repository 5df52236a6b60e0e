# SPDX-License-Identifier: Apache-2.0
"""`matte run`: a clip in, mattes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matte_nodes.cli import options as shared
from matte_nodes.cli import stopping
from matte_nodes.cli.knob_flags import KnobCommand, ModelName, flag, given_knobs
from matte_nodes.errors import UsageError
from matte_nodes.frame_range import parsed_span
from matte_nodes.node.knobs import NODE_KNOBS

if TYPE_CHECKING:
    from matte_nodes.cli.stills_report import StillsReport
    from matte_nodes.render.progress import Quiet


def command() -> click.Command:
    """Return the verb; its knobs are those of the models that are named."""
    return click.command("run", cls=KnobCommand)(run)


@click.argument("source", metavar="INPUT", required=False)
@flag("--session", metavar="DIR", group=shared.INPUT,
      help="A session of `matte studio`: its plate, hints, model and knobs, in place of INPUT.")  # fmt: skip
@shared.connect_flags("input")
@flag("--model", group=shared.MODEL, type=ModelName("auto"), default="auto", show_default=True,
      help="A model (`matte models` lists them); auto: the best that can run for what is given.")  # fmt: skip
@shared.chain_flags
@shared.points_flags
@flag("--frames", group=shared.TIME, metavar="A-B",
      help="A range or one frame. Models with a memory still start at the shot's first.")  # fmt: skip
@shared.connect_flags("time", cache="states")
@flag("--detect-cuts", group=shared.TIME, is_flag=True,
      help="Print the cuts that --cuts auto finds; no output.")  # fmt: skip
@flag("-o", "--output", group=shared.OUTPUT,
      help="Pattern (matte.####.exr), movie (.mov, .mkv, .webm, .gif) or still (cut.png); {object} in "
      "it makes a file for each object.")  # fmt: skip
@flag("--layout", group=shared.OUTPUT, default="auto", show_default=True,
      help="nuke, blender, cryptomatte, alpha, array, cutout, over or movie; auto by the output's name.")  # fmt: skip
@shared.finish_flags
@flag("--recursive", group=shared.OUTPUT, is_flag=True,
      help="With a folder of stills: its subfolders too.")  # fmt: skip
@flag("--each", group=shared.OUTPUT, is_flag=True,
      help="With a folder of stills: numbered pictures are no clip, each is a still.")  # fmt: skip
@shared.connect_flags("output")
@flag("--again", group=shared.OUTPUT, is_flag=True, help="Do frames anew that are already done.")
@shared.node_flags
@flag("--jobs", group=shared.MACHINE, type=click.IntRange(1), metavar="N",
      help="Processes at the same time, for a folder of stills or a pattern (docs/devices.md).")  # fmt: skip
@flag("--no-service", group=shared.MACHINE, is_flag=True,
      help="Run here even when `matte serve` runs; so does MATTE_SERVICE=off.")  # fmt: skip
@flag("--json", "as_json", group=shared.REPORT, is_flag=True,
      help="One JSON object a line, for machines.")  # fmt: skip
@flag("--quiet", group=shared.REPORT, is_flag=True, help="No progress.")
def run(
    source: str | None, session: str | None, output: str | None, model: str, **options: Any
) -> None:
    """INPUT is a pattern (plate.####.exr), a movie, a still, or a folder.

    A folder that holds one clip is that clip. With a folder as output (out/ or out/*.webp), each
    picture of it is a still of its own.

    Exit codes: 0 done, 2 wrong request, 3 bad input, 4 weights, 5 device, 6 cannot write,
    7 the model failed, 130 stopped.
    """
    from matte_nodes.cli.stills_report import StillsReport
    from matte_nodes.render.progress import reporter

    if session is None and source is None:
        raise UsageError("Name a clip (matte run plate.####.exr -o ...), or a --session.")
    if session is not None:
        _check_alone(source)
    source = source or ""
    if options.pop("detect_cuts"):
        first, last = parsed_span(options.pop("frames"))
        knobs = given_knobs(options)
        node = shared.taken(options, shared.NODE)
        print_cuts(source, first, last, knobs, node, shared.connect_keywords(options))
        return
    quiet, here = options.pop("quiet"), options.pop("no_service")
    as_json, jobs = options.pop("as_json"), options.pop("jobs")
    from matte_nodes.batch.folder import is_many

    of_folder = {name: options.pop(name) for name in ("recursive", "each")}
    if session is None and output is not None and is_many(source, output):
        report_of = partial(StillsReport, as_json=as_json, quiet=quiet)
        stills(source, output, model, options, of_folder, report_of, jobs or 0)
        return
    report = reporter(as_json=as_json, quiet=quiet)
    if jobs and jobs > 1:
        if session is not None:
            raise UsageError("--jobs is for a pattern or a folder of stills, not for a session.")
        parts(source, str(output or ""), model, options, report, jobs)
        return
    arguments, first, last = asked(source, output, model, options)
    if session is not None:
        arguments, first, last = _of_session(session, arguments, first, last)
    render(arguments, first, last, report, here=here, say=not quiet)


def stills(
    source: str,
    output: str,
    model: str,
    options: dict[str, Any],
    of_folder: Mapping[str, bool],
    report_of: Callable[[int], StillsReport],
    jobs: int,
) -> None:
    """Matte each picture of a folder. Errors are listed at the end; the first one's code is the exit's."""
    from matte_nodes.batch import folder, processes, run

    arguments, first, last = asked(source, output, model, options)
    if first is not None or last is not None:
        raise UsageError("--frames is for a clip. A folder of stills has no frames.")
    stopping.watch()
    items = folder.found(Path(source), output, layout=arguments["layout"], **of_folder)
    report = report_of(len(items))
    without = {name: value for name, value in arguments.items() if name not in ("source", "output")}
    if jobs > 1:
        outcomes = processes.stills_run(items, without, report.say, jobs)
    else:
        outcomes = run.run(items, without, report.say, jobs)
    if code := report.end(outcomes):
        raise SystemExit(code)


def parts(
    source: str, output: str, model: str, options: dict[str, Any], report: Quiet, jobs: int
) -> None:
    """Matte parts of a clip in several processes: takes where a model remembers, else any frames."""
    from matte_nodes.batch import processes
    from matte_nodes.cli.given import flags_of
    from matte_nodes.farm import request
    from matte_nodes.farm.paths import output_parameter

    output_parameter("Output", output)
    context = click.get_current_context()
    given = flags_of(context, options, PLANNED)
    arguments, first, last = asked(source, output, model, options)
    stopping.watch()
    with report:
        warm_up = arguments["connect"]["warm_up"]
        plan = request.plan_job(arguments, first, last, _NO_CHUNKS)
        jobs = processes.fitting(jobs, plan.pixels)
        cut = request.local_parts(
            plan, jobs * processes.PARTS_A_PROCESS, is_warm=warm_up is not None
        )
        if len(cut) == 1 and len(plan.frames) > 1:
            report.warn(
                f"{plan.model} remembers the frames before, and the clip is one take: one process "
                "does it. --cuts auto finds takes; --warm-up W cuts anywhere."
            )
        words = [source, f"--output={output}", *given, *request.shot_flags(plan, warm_up)]
        processes.Parts(words, report, len(plan.frames)).run(cut, min(jobs, len(cut)), output)


_NO_CHUNKS = 1 << 30

PLANNED = ("source", "output", "model", "refine", "frames", "cuts", "warm_up", "jobs", "as_json",
           "quiet", "no_service", "session", "detect_cuts", "recursive", "each")  # fmt: skip
"""Options of the verb that each part gets from the plan, or that are not its matter."""


def asked(
    source: str, output: str | None, model: str, options: dict[str, Any]
) -> tuple[dict[str, Any], int | None, int | None]:
    """Return the keywords of `render.Render`, and the range, from the options of the verb."""
    knobs = given_knobs(options)
    shared.fold_points(options)
    first, last = parsed_span(options.pop("frames"))
    node = shared.taken(options, shared.NODE)
    if output is None:
        raise UsageError("Name the output (-o matte.####.exr).")
    output_colorspace = options.pop("output_colorspace")
    options["bits"] = int(options.get("bits") or 0)
    connect = shared.connect_keywords(options)
    if connect["warm_up"] is not None:
        connect["start"] = first
    connect["cuts"] = connect["cuts"] or ""
    arguments = {
        "source": source, "output": output, "model": model, "knobs": knobs, "node": node,
        **options, "output_colorspace": output_colorspace, "connect": connect,
    }  # fmt: skip
    return arguments, first, last


_WITH_SESSION = ("session", "frames", "cache")
"""The options of inputs and time that a session leaves to the command line."""


def _check_alone(source: str | None) -> None:
    """UsageError where the command line says what the session says already."""
    context = click.get_current_context()
    if source is not None:
        raise UsageError("Give INPUT or --session, not both: the session names its plate.")
    for param in context.command.get_params(context):
        name, group = param.name or "", getattr(param, "group", "")
        is_given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        is_ours = name in _WITH_SESSION or group in (shared.OUTPUT, shared.MACHINE, shared.REPORT)
        if is_given and not is_ours and context.params.get(name) is not None:
            raise UsageError(
                f"The session says this already: leave {param.opts[-1]} out, or change it in "
                "`matte studio`."
            )


def _of_session(
    folder: str, given: dict[str, Any], first: int | None, last: int | None
) -> tuple[dict[str, Any], int | None, int | None]:
    """Return the keywords of `render.Render`, and the range, of a session."""
    from matte_nodes.studio.request import arguments as told
    from matte_nodes.studio.session import Session

    session = Session.open(Path(folder).absolute())
    span = session.document.span
    if (first, last) == (None, None) and span is not None:
        first, last = span
    found = told(session.document, session.folder)
    node = {**given["node"], "ocio": found["node"]["ocio"]}
    if node["device"] == "auto":
        node["device"] = found["node"]["device"]
    connect = {**given["connect"], **found["connect"]}
    return {**given, **found, "node": node, "connect": connect}, first, last


def render(
    arguments: Mapping[str, Any],
    first: int | None,
    last: int | None,
    report: Quiet,
    *,
    here: bool,
    say: bool,
) -> None:
    """Do it by the service where there is one and nobody objects (here), else in this process."""
    from matte_nodes.media.pattern import Pattern
    from matte_nodes.media.sequence_writer import without_exr_pool
    from matte_nodes.render.render import Render
    from matte_nodes.service import remote

    stopping.watch()
    with report:
        if Pattern.parse(arguments["output"]) is not None:
            without_exr_pool()
        if here or not remote.is_wanted():
            Render(**arguments).run(first, last, report)
        else:
            remote.render(arguments, first, last, report, say=say)


def print_cuts(
    source: str,
    first: int | None,
    last: int | None,
    knobs: Mapping[str, Any],
    node: Mapping[str, Any],
    connect: Mapping[str, Any],
) -> None:
    """One line a cut: the first frame of each new take, as --cuts takes them."""
    from matte_nodes.shot.matte_node import MatteNode

    seen = {k.name: knobs[k.name] for k in NODE_KNOBS if k.stage == "view" and k.name in knobs}
    reading = {name: connect[name] for name in ("colorspace", "missing", "allow_grey")}
    # Cuts are found on what a network sees; which network does not matter.
    finder = MatteNode("green-screen", ocio=node["ocio"], **seen)
    shot = finder.connect(source, cuts="auto", cache="states", **reading)
    for frame in shot.cuts(first, last):
        click.echo(str(frame))
    shot.close()
