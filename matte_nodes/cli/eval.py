# SPDX-License-Identifier: Apache-2.0
"""`matte eval`: compares a model's mattes with true ones."""

from __future__ import annotations

import json
from typing import Any

import click

from matte_nodes.cli import options as shared
from matte_nodes.cli.knob_flags import KnobCommand, ModelName, flag, given_knobs


def command() -> click.Command:
    """Return the verb; its knobs are those of the named model."""
    return click.command("eval", cls=KnobCommand)(evaluate)


@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@flag("--model", required=True, type=ModelName(), help="A model; `matte models` lists them.")
@flag("--colorspace", help="Colour space of the plates. Default: by their kind.")
@flag("--json", "as_json", is_flag=True, help="Every item and the mean, as JSON.")
@shared.node_flags
def evaluate(
    folder: str, model: str, colorspace: str | None, as_json: bool, **options: Any
) -> None:
    """DIR has the folders plate/ and alpha/, and may have foreground/, trimap/ and background/.

    Stills match by name; sequences are subfolders. docs/metrics.md states the units.
    """
    from matte_nodes.evaluate.dataset import find_items
    from matte_nodes.evaluate.report import format_table, report
    from matte_nodes.evaluate.run import evaluate_items
    from matte_nodes.shot.matte_node import MatteNode

    knobs = given_knobs(options)
    node = MatteNode(model, **options, **knobs)
    results = {}
    for name, scores in evaluate_items(node, find_items(folder), colorspace=colorspace):
        results[name] = scores
        click.echo(f"{name}: SAD {scores['whole']['sad']:.3f}", err=True)
    made = report(results)
    if as_json:
        click.echo(json.dumps({"model": model, **made}, indent=2))
        return
    rows = format_table(made)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    click.echo("units: " + ", ".join(f"{key} {unit}" for key, unit in made["units"].items()))
