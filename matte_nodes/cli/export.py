# SPDX-License-Identifier: Apache-2.0
"""`matte export`: models for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import models
from . import options as shared


def command() -> click.Command:
    """The verb and its sub-verbs."""
    group.add_command(shared.with_knobs(click.command("onnx")(export_onnx)))
    return group


@click.group("export")
def group() -> None:
    """Write a model in a form that other programs run."""


@click.argument("model")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .onnx file; its declaration .json is written beside it.",
)
@click.option("--weights", help="A checkpoint file (else the imported one).")
@click.option("--allow-untrained", "untrained", is_flag=True, help="Random weights, for tests.")
def export_onnx(
    model: str, output: Path, weights: str | None, untrained: bool, **options: Any
) -> None:
    """Write MODEL as ONNX, compare it with torch; `matte run --model FILE.onnx` runs it."""
    from ..errors import UsageError
    from ..export import export_onnx as export

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"The output is a .onnx file, not {output.name!r}.")
    card = models.card(model)
    report = export(
        card, output, checkpoint=weights, untrained=untrained, knobs=shared.given_knobs(options)
    )
    for size, difference in report.differences.items():
        click.echo(f"{size}: largest difference to torch {difference:.1e}")
    click.echo(f"{report.path}")
