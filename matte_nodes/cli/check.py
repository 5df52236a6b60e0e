# SPDX-License-Identifier: Apache-2.0
"""`matte check`: the checks before a hand-over."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from matte_nodes.cli import options as shared
from matte_nodes.frame_range import parsed_span

if TYPE_CHECKING:
    from matte_nodes.publish.delivery import Delivery
    from matte_nodes.publish.finding import Result

Function = TypeVar("Function", bound=Callable[..., Any])


def command() -> click.Command:
    """Return the verb."""
    verb: click.Command = click.command("check")(delivery_flags(check))
    return verb


def delivery_flags(function: Function) -> Function:
    """Add the flags that name the delivery and its plate."""
    for option in (
        click.option("--may-be-empty", is_flag=True,
                     help="Frames without a subject are right: alpha may be 0 everywhere."),
        click.option("--use", type=click.Choice(["commercial", "non-commercial"]),
                     default="commercial", show_default=True, help="What the result is for."),
        click.option("--output-colorspace", help="Colour space that was ordered. Default: the "
                     "plate's own, or its linear counterpart."),
        click.option("--colorspace", help="Colour space of the plate. Default: what the file says, "
                     "else by its kind."),
        click.option("--frames", help="A-B: frames that there should be. Default: the plate's."),
        click.option("--hint-keys", type=click.Choice(["exact", "hold", "nearest", "only"]),
                     default="exact", show_default=True,
                     help="What a frame between sparse trimap frames got."),
        click.option("--trimap", help="The trimap that was given; its 0 and 1 must be kept."),
        click.option("--plate", help="The plate: frames, windows, colour, time code are its."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.argument("source", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One object with all checks and findings.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="Also write the review page here (.html), whatever the checks find.")  # fmt: skip
def check(
    source: str, as_json: bool, strict: bool, report: Path | None, **options: Any
) -> None:  # fmt: skip
    """DIR is a folder with one sequence, or its pattern.

    Exit codes: 0 all checks passed, 1 a check failed, 3 nothing to check.
    """
    from matte_nodes.publish.checks import run

    found = delivery(source, options)
    results = run(found)
    if report is not None:
        from matte_nodes.publish.report import write_report

        write_report(found, report, title=found.folder.name)
    if as_json:
        click.echo(json.dumps(as_facts(results), indent=1))
    else:
        say(results)
    if any(result.failed or (strict and result.findings) for result in results):
        sys.exit(1)


def delivery(source: str, options: dict[str, Any]) -> Delivery:
    """Return the delivery that a verb's options describe."""
    from matte_nodes.publish.delivery import OPTIONS, Delivery

    given = shared.taken(options, OPTIONS)
    given["frames"] = parsed_span(given["frames"])
    return Delivery(source, **given)


def as_facts(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return results as JSON data."""
    return [
        {
            "check": result.check.name,
            "severity": result.check.severity,
            "passed": not result.findings,
            "unchecked": result.unchecked,
            "findings": [
                {"frames": list(f.frames), "message": f.message, "remedy": f.remedy}
                for f in result.findings
            ],
        }
        for result in results
    ]


def say(results: Sequence[Result]) -> None:
    """Print results: a line for each check, a line for each finding."""
    for result in results:
        click.echo(
            f"{result.mark:4} {result.check.name:16} {result.unchecked or result.check.help}"
        )
        for finding in result.findings:
            click.echo(f"     {finding.sentence}")
    marks = [result.mark for result in results]
    click.echo(
        f"{len(results)} checks: {marks.count('FAIL')} failed, {marks.count('warn')} warned, "
        f"{marks.count('-')} not checked"
    )
