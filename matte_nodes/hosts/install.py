# SPDX-License-Identifier: Apache-2.0
"""Installs the adapters into their hosts.

A host is one entry here and one module with two functions.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from matte_nodes.errors import OutputError, UsageError

HOSTS = {
    "obs": "matte_nodes.hosts.obs.install",
    "nuke": "matte_nodes.hosts.nuke.install",
    "blender": "matte_nodes.hosts.blender.install",
}
"""Host to module; the module has install(options) and uninstall(options), both -> list[str]."""


@dataclass(frozen=True)
class Options:
    """The user's choices for a host's installer: a folder, a program (OBS: the
    built plug-in; Blender: the blender to install into).
    """

    folder: Path | None = None
    binary: Path | None = None


def install(host: str, options: Options = Options()) -> list[str]:
    """Install a host's adapter and return what was done, line by line. Raises UsageError."""
    done: list[str] = _module(host).install(options)
    return done


def uninstall(host: str, options: Options = Options()) -> list[str]:
    """Remove a host's adapter and return what was done, line by line. Raises UsageError."""
    done: list[str] = _module(host).uninstall(options)
    return done


def _module(host: str) -> ModuleType:
    if host not in HOSTS:
        raise UsageError(f"There is no host {host!r} to install. There are: {', '.join(HOSTS)}.")
    return import_module(HOSTS[host])


def sources(host: str) -> Path:
    """Return the folder of a host's files: in the package, or beside it in a checkout."""
    here = Path(__file__).parents[1]
    for place in (here / "plugins" / host, here.parent / "plugins" / host):
        if place.is_dir():
            return place
    raise OutputError(
        f"The files of the {host} plug-in are not in this installation. Install matte-nodes from "
        "its wheel or a whole checkout."
    )


def environment() -> dict[str, str]:
    """Return what a host's process must set for ours to find the same weights."""
    home = os.environ.get("MATTE_HOME")
    return {"MATTE_HOME": str(Path(home).expanduser().absolute())} if home else {}
