# SPDX-License-Identifier: Apache-2.0
"""The command `matte`: one file a verb, each imported only when it is called."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from inspect import cleandoc
from typing import Any

import click

from matte_nodes import __version__, own_process
from matte_nodes.cli import stopping
from matte_nodes.errors import OPENCV_CURE, OPENCV_LIBRARIES, DeviceError, MatteError, OutputError

VERBS = {
    "run": "Matte a clip or a still.",
    "select": "Click on a subject: track its mask and matte it through the shot.",
    "studio": "Open a page in the browser to select, paint, compare and export.",
    "compare": "Matte one frame with several models, as one contact sheet.",
    "eval": "Matte a folder that has true alphas, and measure the errors.",
    "train": "Train a model by a recipe.",
    "finetune": "Train a model for one shot, from a few key mattes or a clean plate.",
    "check": "Check the frames of a delivery as a studio would.",
    "publish": "Publish a delivery: checks, a review report, a version that is never replaced.",
    "farm": "Matte on a render farm: job bundles, or one command for each chunk.",
    "serve": "Run the local service that keeps models loaded for hosts and matte run.",
    "cache": "Show, check and trim what is kept on disk.",
    "install": "Install the plug-in of a host.",
    "uninstall": "Remove what matte install installed.",
    "doctor": "Check what works on this machine, and say what to do about the rest.",
    "bench": "Measure parity with published networks, warm-up, and the GPU.",
    "export": "Write a model in a format that other programs run.",
    "models": "List models, show cards, pull and verify weights.",
}
"""Every verb and its summary: the first sentence of its own help too.

Its function adds the rest.
"""


class Verbs(click.Group):
    """The verbs, listed without importing them: `matte --help` loads no runtime."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return names of all verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb, imported now."""
        return verb(cmd_name) if cmd_name in VERBS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `matte --help`, from the table alone."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@cache
def verb(name: str) -> click.Command:
    """Return a verb, built once: click takes the options off the function when it makes the command."""
    command: click.Command = import_module(f".{name}", __name__).command()
    command.help = f"{VERBS[name]}\n\n{cleandoc(command.help or '')}".strip()
    return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="matte")
def matte() -> None:
    """Alpha and foreground from any plate, by any matting model."""


def main() -> None:
    """Entry point: errors of ours are one line on stderr and their own exit code."""
    own_process.set_up()
    stopping.is_ours = True
    warnings.showwarning = _said  # type: ignore[assignment]
    try:
        matte.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("matte: stopped; whole frames written so far stay.", err=True)
        sys.exit(130)
    except MatteError as error:
        click.echo(f"matte: {error}", err=True)
        sys.exit(error.exit_code)
    except ImportError as error:
        if not _is_system_library(error):
            raise
        click.echo(f"matte: OpenCV cannot be loaded: {error}. {OPENCV_CURE}", err=True)
        sys.exit(DeviceError.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except MemoryError:
        click.echo(f"matte: {_NO_MEMORY}", err=True)
        sys.exit(DeviceError.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO) or error.filename:
            raise
        click.echo(f"matte: {_UNWRITTEN.format(error.strerror)}", err=True)
        sys.exit(OutputError.exit_code)
    finally:
        _let_go_of_stdout()


_NO_MEMORY = (
    "Out of memory. Give --tile 512, close other programs, or take a smaller plate. Whole frames "
    "written so far stay."
)
_UNWRITTEN = "The standard output cannot be written ({}). Make room, and run the command again."


def _let_go_of_stdout() -> None:
    """Write what is left. Python's own try at its end would put its exit code over ours."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.__context__ is None:  # an error on its way stays the one that is told
            click.echo(f"matte: {_UNWRITTEN.format(error)}", err=True)
            sys.exit(OutputError.exit_code)


def _is_system_library(error: ImportError) -> bool:
    """Whether the system lacks a library that OpenCV's wheel wants."""
    return any(name in str(error) for name in OPENCV_LIBRARIES)


def _said(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """A warning of ours as one line; where in the code it was raised is no help to an artist."""
    if category.__module__.startswith("matte_nodes."):
        click.echo(f"matte: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, *place[:2]), err=True, nl=False)
