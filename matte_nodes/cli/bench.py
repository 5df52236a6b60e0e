# SPDX-License-Identifier: Apache-2.0
"""`matte bench`: measurements that users run too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from matte_nodes.frame_range import parsed_numbers
from matte_nodes.whole_files import write_text


def command() -> click.Command:
    """Return the verb and its sub-verbs."""
    return group


@click.group("bench", help="")
def group() -> None:
    """The verb."""


@group.command("parity")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One row an output, as JSON.")
def parity(folder: Path, as_json: bool) -> None:
    """Compare our networks with published outputs, for every fixture in FOLDER.

    A fixture is NAME.json with NAME.npz (or mmnet.npz alone). The network is recognised by its
    tensor names. Exit code 1: an output exceeds the tolerance, or a file is not understood.
    """
    from matte_nodes.diagnostics.parity import run_parity

    rows = run_parity(folder)
    if as_json:
        click.echo(json.dumps([row.__dict__ for row in rows], indent=2))
    for row in rows if not as_json else ():
        mark = "ok  " if row.ok else "FAIL"
        note = " ".join(row.note.split())
        click.echo(
            f"{mark} {row.fixture}  {row.network}  {row.output}  {row.difference:.2e} "
            f"(tolerance {row.tolerance:g})  {note}".rstrip()
        )
    if not rows:
        click.echo(f"matte: {folder} holds no fixtures (NAME.json with NAME.npz).", err=True)
    if not rows or not all(row.ok for row in rows):
        sys.exit(1)


@group.command("warm-up")
@click.argument("source", metavar="CLIP")
@click.option("--model", default="rvm", show_default=True, help="A recurrent model.")
@click.option("--starts", help="First frames of chunks, with commas. Default: three in the clip.")
@click.option("--cuts", default="", help="First frames of new takes, or auto.")
def warm_up(source: str, model: str, starts: str | None, cuts: str) -> None:
    """Compare a start in the middle of CLIP with a full run, for several lengths of warm-up."""
    from matte_nodes.diagnostics.warm_up import enough, measure
    from matte_nodes.shot.matte_node import MatteNode

    node = MatteNode(model)
    frames = node.connect(source).frames
    third = len(frames) // 4
    chosen = parsed_numbers(starts, "--starts")
    chosen = chosen or [frames[third], frames[2 * third], frames[3 * third]]
    click.echo(f"{model} on {source}, chunks that begin at {', '.join(map(str, chosen))}")
    click.echo("warm-up  largest  99.9 %")
    rows = []
    for row in measure(node, source, chosen, cuts=cuts):
        rows.append(row)
        click.echo(f"{row.length:7}  {row.largest:7.4f}  {row.percentile:6.4f}")
    found = enough(rows)
    click.echo("not enough in any of these" if found is None else f"enough: {found} frames")


@group.command("gpu")
@click.option("--device", default="cuda", show_default=True, help="cuda, cuda:N, mps or tensorrt.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the report to a file too.")
def gpu(device: str, output: Path | None) -> None:
    """Run every available model on a GPU and print a report."""
    from matte_nodes.diagnostics.gpu_report import report

    text = report(device)
    click.echo(text)
    if output:
        write_text(output, text + "\n")
