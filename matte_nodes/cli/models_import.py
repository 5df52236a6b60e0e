# SPDX-License-Identifier: Apache-2.0
"""`matte models import`: recognises a published checkpoint and converts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matte_nodes import models, weights
from matte_nodes.errors import UsageError, WeightsError


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--option",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the tensors cannot tell (the answer names it), e.g. skip=true.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the converted file here instead of the weights folder (use: --weights).",
)
@click.option("--dry-run", is_flag=True, help="Only say what the file is.")
@click.option("--torch", is_flag=True, help="Convert the tensors of an ONNX file.")
def import_checkpoint(
    file: Path, given: tuple[str, ...], output: Path | None, dry_run: bool, torch: bool
) -> None:
    """Recognise FILE by its tensor names and convert it to safetensors.

    Reads .safetensors, .pth, .pt, .ckpt, .tar, .npz, .onnx and .tflite; never unpickles.

    A published ONNX file is recognised by its inputs, outputs and tensors (BiRefNet, BEN2, MODNet,
    IS-Net, U2-Net, ViTMatte, RVM, Background Matting V2). It is tried, and its declaration
    FILE.json is written beside it: `--model FILE.onnx` runs it. For an unknown file that is a
    template. --torch converts the tensors of an ONNX file instead, for our own network.
    """  # fmt: skip
    from matte_nodes import checkpoints

    options = dict(_option(text) for text in given)
    if file.suffix.lower() == ".onnx" and not torch:
        from matte_nodes.cli.onnx_import import declare_file

        if declare_file(file, output, dry_run, options):
            return
    known = models.architectures()
    found = checkpoints.inspect(file, known, **options).recognition
    click.echo(f"{file.name}: {found.summary}")
    card = models.of_architecture(found.model)
    if card.checkpoint is not None:
        terms = card.checkpoint
        click.echo(
            f"terms of the published weights: {terms.licence}; commercial use: {terms.commercial}"
        )
    if dry_run:
        return
    if card.checkpoint is None and output is None:
        raise WeightsError(
            f"Model {card.name!r} has its own weights (`matte models pull {card.name}`); "
            "give -o FILE to convert this file all the same."
        )
    target = output or weights.imported(card)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.convert(file, target, known, **options)
    except OSError as error:
        raise WeightsError(f"{target} cannot be written: {error.strerror or error}.") from error
    click.echo(f"{target}")


def _option(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark:
        raise UsageError(f"--option must be NAME=VALUE, not {text!r}.")
    if value.isdecimal():
        return name, int(value)
    return name, {"true": True, "false": False}.get(value.lower(), value)
