# SPDX-License-Identifier: Apache-2.0
"""`matte uninstall`: removes the adapter of a host."""

from __future__ import annotations

from pathlib import Path

import click

from matte_nodes.cli.install import HOST


def command() -> click.Command:
    """Return the verb."""
    return uninstall


@click.command("uninstall")
@click.argument("host", metavar=HOST)
@click.option("--folder", type=click.Path(path_type=Path), help="The host's plug-in folder, in "
              "place of the user's own; Blender: where its zip is.")  # fmt: skip
@click.option("--binary", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Blender: the program to take it out of.")  # fmt: skip
def uninstall(host: str, folder: Path | None, binary: Path | None) -> None:
    """Weights and settings stay."""
    from matte_nodes.hosts import install as installer

    for line in installer.uninstall(host, installer.Options(folder, binary)):
        click.echo(line)
