# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the Python for matting: from the preferences, or as `matte install blender` noted it."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from .trouble import Trouble

NAME = "matte_nodes.json"
"""In the folder of Blender's settings, where an update of the add-on does not take it away."""


class Setup(NamedTuple):
    """python: absolute path of the interpreter. home: stands for $MATTE_HOME, None for its own."""

    python: str
    home: str | None


def setup(python_path: str, home: str, note: str) -> Setup:
    """Environment variables overrule the preferences, and those what the installer noted.

    python_path, home: as the preferences have them, "" when they say nothing. note: the installer's
    file. Raises Trouble when nothing names a Python.
    """
    noted = _noted(note)
    python = os.environ.get("MATTE_PYTHON") or python_path or noted.get("python") or ""
    if not python:
        raise Trouble(
            "No Python is set. Name the one that has matte-nodes in the add-on's preferences, or "
            "run: matte install blender"
        )
    python = os.path.abspath(os.path.expanduser(python))
    if not os.path.isfile(python):
        raise Trouble(f"There is no Python at {python}. Name another in the add-on's preferences.")
    kept = noted.get("environment") or {}
    return Setup(python, os.environ.get("MATTE_HOME") or home or kept.get("MATTE_HOME") or None)


def _noted(note: str) -> dict:
    try:
        with open(note, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
