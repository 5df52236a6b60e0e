# SPDX-License-Identifier: Apache-2.0
"""`matte select`: clicks in, tracked mattes out, by one command."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from matte_nodes.cli import options as shared
from matte_nodes.cli import run as one_machine
from matte_nodes.cli import verb
from matte_nodes.cli.knob_flags import KnobCommand, ModelName, flag
from matte_nodes.errors import UsageError
from matte_nodes.shot.chain import SELECT_KNOBS
from matte_nodes.shot.choose_model import SELECT, refiner

_OTHERS = (
    "model", "refine", "detect_cuts", "segmentation_model", "session", "recursive", "each", "jobs",
)  # fmt: skip


def command() -> click.Command:
    """Return the verb: the flags of `matte run`, and those that change a part of the chain."""
    own: click.Command = click.command("select", cls=KnobCommand)(select)
    params = [copy(param) for param in verb("run").params if param.name not in _OTHERS]
    params[0].required = True
    own.params = [*params[:1], *own.params, *params[1:]]
    return own


@flag("--selector", group=shared.MODEL, type=ModelName(), default="click", show_default=True,
      metavar="MODEL", help="The model that makes masks of clicks.")  # fmt: skip
@flag("--refine", group=shared.MODEL, type=ModelName(), metavar="MODEL",
      help="The trimap model that solves the edges. Default: the best one here.")  # fmt: skip
@flag(
    "--mask-only", group=shared.MODEL, is_flag=True, help="Write the tracked masks; solve no edges."
)
def select(
    source: str, output: str | None, selector: str, refine: str | None, mask_only: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Matte what was clicked on in INPUT into OUTPUT: mask, trimap, edges, time.

    Example: matte select plate.####.exr --click 640,360@1001 -o matte.####.exr
    """
    from matte_nodes.render.progress import reporter

    if mask_only and refine:
        raise UsageError("Give --mask-only or --refine: a mask without edges is not refined.")
    quiet, here = options.pop("quiet"), options.pop("no_service")
    report = reporter(as_json=options.pop("as_json"), quiet=quiet)
    model = selector
    if not mask_only:
        refine = refine or refiner()
        model = SELECT if (selector, refine) == ("click", refiner()) else selector
    options |= {"refine": None if model == SELECT else refine, "segmentation_model": None}
    arguments, first, last = one_machine.asked(source, output, model, options)
    if not mask_only:
        arguments["knobs"] = {**SELECT_KNOBS, **arguments["knobs"]}
    if arguments["connect"]["points"] is None:
        raise UsageError(
            "Choose what to select: a click on it (--click X,Y@FRAME), a box (--box) or --points "
            "FILE."
        )
    one_machine.render(arguments, first, last, report, here=here, say=not quiet)
