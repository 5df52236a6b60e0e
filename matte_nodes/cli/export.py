# SPDX-License-Identifier: Apache-2.0
"""`matte export`: writes models for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matte_nodes import models
from matte_nodes.cli.knob_flags import KnobCommand, ModelName, given_knobs
from matte_nodes.errors import UsageError


def command() -> click.Command:
    """Return the verb and its sub-verbs."""
    group.add_command(click.command("onnx", cls=KnobCommand)(export_onnx))
    group.add_command(click.command("nuke-cat", cls=KnobCommand)(export_nuke_cat))
    return group


@click.group("export", help="")
def group() -> None:
    """The verb."""


@click.argument("model", type=ModelName())
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
    """Write MODEL as ONNX and compare it with torch. `matte run --model FILE.onnx` runs it."""
    from matte_nodes.export.onnx import export_onnx as export

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"The output must be a .onnx file, not {output.name!r}.")
    card = models.card(model)
    report = export(
        card, output, checkpoint=weights, untrained=untrained, knobs=given_knobs(options)
    )
    for size, difference in report.differences.items():
        click.echo(f"{size}: largest difference to torch {difference:.1e}")
    click.echo(f"{report.path}")


@click.argument("model", type=ModelName())
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write into.",
)
@click.option("--weights", help="A checkpoint file (else the imported one).")
@click.option("--allow-untrained", "untrained", is_flag=True, help="Random weights, for tests.")
@click.option("--torch-python", metavar="PYTHON", help="An interpreter with the torch of a Nuke "
              "(1.12.1 or 2.1), to load the file there.")  # fmt: skip
def export_nuke_cat(
    model: str,
    out: Path,
    weights: str | None,
    untrained: bool,
    torch_python: str | None,
    **options: Any,
) -> None:
    """Write MODEL for Nuke's Inference node: TorchScript, create_cat.nk, a Cattery folder, a
    report.

    Only models without memory. NukeX makes the .cat itself: open create_cat.nk there and press the
    button of its node.
    """
    from matte_nodes.export.nuke_cat import export_cat

    report = export_cat(
        models.card(model), out, checkpoint=weights, untrained=untrained,
        knobs=given_knobs(options), torch_python=torch_python,
    )  # fmt: skip
    for size, difference in report["differences to eager"].items():
        click.echo(f"{size}: largest difference to torch {difference:.1e}")
    click.echo(f"half precision: {report['half precision']}")
    click.echo(f"{out}: open create_cat.nk in NukeX, then copy Cattery/ into your Cattery folder")
