# SPDX-License-Identifier: Apache-2.0
"""`matte studio`: a page in the browser for one clip."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from matte_nodes.errors import MatteError, UsageError


def command() -> click.Command:
    """The verb."""
    verb: click.Command = click.command("studio")(studio)
    return verb


@click.argument("source", metavar="PLATE|SESSION")
@click.option("--session", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the plate's session. Default: one in $MATTE_HOME, the same each time.")  # fmt: skip
@click.option("--root", "roots", multiple=True, type=click.Path(file_okay=False, path_type=Path),
              help="A folder that the page may open; repeat it. Default: the working folder and the "
              "plate's.")  # fmt: skip
@click.option("--remap", multiple=True, metavar="OLD=NEW",
              help="A folder of the session's paths, and where it is now.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True,
              help="Port on 127.0.0.1; 0 takes a free one.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
def studio(
    source: str, folder: Path | None, roots: tuple[Path, ...], remap: tuple[str, ...], port: int,
    no_browser: bool,
) -> None:  # fmt: skip
    """PLATE is a pattern (plate.####.exr), a movie, a folder or a still; SESSION a session's folder.

    The page talks to this machine alone. End it with Ctrl-C; the session is saved as you go.
    """
    try:
        from matte_nodes.studio import serve
    except ModuleNotFoundError as error:
        raise MatteError(
            f"Studio needs the package {error.name}. Install it: pip install 'matte-nodes[studio]'"
        ) from error
    pairs = dict(_pair(text) for text in remap)
    session, places = serve.opened(source, folder, roots, pairs)

    def ready(address: str) -> None:
        click.echo(f"Session: {session.folder}")
        click.echo(f"Studio: {address}")
        click.echo("The address works once. Ctrl-C ends Studio.")
        if not no_browser:
            webbrowser.open(address)

    serve.serve(session, places, port, ready)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UsageError(f"--remap is OLD=NEW, not {text!r}.")
    return old, new
