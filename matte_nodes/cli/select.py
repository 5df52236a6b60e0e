# SPDX-License-Identifier: Apache-2.0
"""`matte select`: clicks in, tracked mattes out, by one command."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from matte_nodes.cli import run as one_machine
from matte_nodes.cli import verb
from matte_nodes.errors import UsageError
from matte_nodes.shot.chain import SELECT

_OTHERS = ("model", "refine", "detect_cuts", "segmentation_model")


def command() -> click.Command:
    """Return the verb: the flags of `matte run`, and those that change a part of the chain."""
    own: click.Command = click.command("select")(select)
    params = [copy(param) for param in verb("run").params if param.name not in _OTHERS]
    own.params = [*params[:2], *own.params, *params[2:]]
    return own


@click.option(
    "--selector",
    default=None,
    metavar="MODEL",
    help="The model that makes masks of clicks. Default: click.",
)
@click.option(
    "--refine",
    metavar="MODEL",
    help="The trimap model that solves the edges. Default: the best one here.",
)
@click.option("--mask-only", is_flag=True, help="Write the tracked masks; solve no edges.")
def select(
    source: str, output: str | None, selector: str | None, refine: str | None, mask_only: bool,
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
    model = (selector or "click") if mask_only or refine or selector else SELECT
    if selector and not mask_only and not refine:
        from matte_nodes.shot.choose_model import refiner

        refine = refiner()
    options |= {"refine": refine, "segmentation_model": None}
    arguments, first, last = one_machine.asked(source, output, model, options)
    if arguments["connect"]["points"] is None:
        raise UsageError(
            "Say what to select: a click on it (--click X,Y@FRAME), a box (--box) or --points FILE."
        )
    one_machine.render(arguments, first, last, report, here=here, say=not quiet)
