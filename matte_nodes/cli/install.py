# SPDX-License-Identifier: Apache-2.0
"""`matte install`: installs the adapter of a host."""

from __future__ import annotations

from pathlib import Path

import click

from matte_nodes.hosts.install import HOSTS

HOST = "{" + "|".join(sorted(HOSTS)) + "}"


def command() -> click.Command:
    """Return the verb."""
    return install


@click.command("install")
@click.argument("host", metavar=HOST)
@click.option("--folder", type=click.Path(path_type=Path), help="The host's plug-in folder, in "
              "place of the user's own; Blender: where to put the zip.")  # fmt: skip
@click.option("--binary", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="OBS: a plug-in that is already built. Blender: the program to install into.")  # fmt: skip
def install(host: str, folder: Path | None, binary: Path | None) -> None:
    """It is built or copied into the user's plug-in folder."""
    from matte_nodes.hosts import install as installer

    for line in installer.install(host, installer.Options(folder, binary)):
        click.echo(line)
