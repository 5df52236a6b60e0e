# SPDX-License-Identifier: GPL-3.0-or-later
"""This add-on: its name in this Blender, its preferences, and the service it speaks to."""

from __future__ import annotations

import os
from typing import Any

import bpy

from .setup import NAME as NOTE
from .setup import Setup, setup

NAME = __package__
"""matte_nodes_blender, or bl_ext.<repository>.matte_nodes as an extension."""


def preferences() -> Any:
    """Return the add-on's preferences; None when it was registered without being enabled."""
    found = bpy.context.preferences.addons.get(NAME)
    return None if found is None else found.preferences


def preference(name: str) -> str:
    """One of the preferences, "" when there are none."""
    return str(getattr(preferences(), name, "") or "")


def chosen() -> Setup:
    """Return the Python that does the matting; raises Trouble."""
    return named(preference("python_path"), preference("home"))


def named(python_path: str, home: str) -> Setup:
    """Return the Python that these preferences stand for; raises Trouble."""
    paths = [bpy.path.abspath(path) if path else "" for path in (python_path, home)]
    note = os.path.join(bpy.utils.user_resource("CONFIG"), NOTE)
    return setup(*paths, note)


def client() -> Any:
    """Return the service's client for the chosen Python. Raises Trouble."""
    from .matte_client import Client

    found = chosen()
    return Client(found.python, found.home)
