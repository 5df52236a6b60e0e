# SPDX-License-Identifier: Apache-2.0
"""`matte serve`: keeps models loaded for Nuke, Blender and `matte run`."""

from __future__ import annotations

import json
import sys

import click

from matte_nodes.errors import MatteError

IDLE_SECONDS = 1800.0
MEMORY_BYTES = 4 << 30


def command() -> click.Command:
    """Return the verb."""
    verb: click.Command = click.command("serve")(serve)
    return verb


@click.option("--idle", type=click.FloatRange(0), default=IDLE_SECONDS, show_default=True,
              help="End after so many seconds without a job or a client; 0 never.")  # fmt: skip
@click.option("--memory", type=click.IntRange(0), default=MEMORY_BYTES, show_default=True,
              help="Bytes of loaded models (their weights files) that are kept.")  # fmt: skip
@click.option("--tcp", is_flag=True, help="Use 127.0.0.1, not a Unix socket (as on Windows).")
@click.option("--status", is_flag=True, help="Print the state of the running service.")
@click.option("--stop", is_flag=True, help="End all services of this home.")
@click.option("--stamp", is_flag=True, help="Print the hash of this code, for clients.")
def serve(idle: float, memory: int, tcp: bool, status: bool, stop: bool, stamp: bool) -> None:
    """Nuke and Blender start it when they need it; `matte run` uses it while it runs.

    Exit codes: 0 ended, 1 no service to ask, 75 another service of yours is running.
    """
    if stamp:
        from matte_nodes.service.endpoint import code_stamp

        click.echo(code_stamp())
        return
    if status or stop:
        _ask(stop=stop)
        return
    from matte_nodes.service.server import serve as be_service

    be_service(idle=idle, memory=memory, tcp=tcp)


def _ask(*, stop: bool) -> None:
    from matte_nodes.service.client import Client, ServiceError

    client = Client()
    try:
        if stop:
            if not client.shutdown():
                raise MatteError("No matte service is running. Start one with `matte serve`.")
        else:
            sys.stdout.write(json.dumps(client.status(), indent=1) + "\n")
    except ServiceError as error:
        raise MatteError(str(error)) from error
