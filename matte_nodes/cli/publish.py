# SPDX-License-Identifier: Apache-2.0
"""`matte publish`: checks, a review report, and a version that is never replaced."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from matte_nodes.cli.check import delivery_flags
from matte_nodes.frame_range import parsed_span


def command() -> click.Command:
    """Return the verb."""
    verb: click.Command = click.command("publish")(delivery_flags(publish))
    return verb


@click.argument("source", metavar="DIR")
@click.option("--to", "root", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of all publishes: the version is TO/NAME/v001. Without it: checks and "
              "report alone.")  # fmt: skip
@click.option("--name", help="Name of the publish. Default: the frames' own.")
@click.option("--version", type=click.IntRange(1), help="This version; an error when it is there.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="Where the review report goes. Default: DIR/review.html.")  # fmt: skip
@click.option("--behind", help="A picture of yours to lay the foreground over in the report.")
@click.option("--against", metavar="DIR", help="Another version, for the report's A/B wipe.")
@click.option("--json", "as_json", is_flag=True, help="One object with all results.")
def publish(source: str, as_json: bool, **options: Any) -> None:
    """DIR is a folder with one sequence, or its pattern. pyblish collects, validates, extracts and
    integrates.

    Plug-ins of your studio on $PYBLISHPLUGINPATH take part. A failed check stops everything before
    the report. Exit codes: 0 published, 1 a plug-in failed.
    """
    from matte_nodes.publish.run import publish as run

    options["frames"] = parsed_span(options["frames"])
    asked = {name: value for name, value in options.items() if value is not None}
    for name in ("root", "report"):
        if name in asked:
            asked[name] = os.path.abspath(asked[name])
    outcome = run({"folder": source, **asked})
    if as_json:
        click.echo(json.dumps(outcome.facts(), indent=1))
    else:
        for line in outcome.lines():
            click.echo(line)
    if not outcome.succeeded:
        sys.exit(1)
