# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries the chosen environment once for its models, and keeps the answer."""

from __future__ import annotations

from typing import Any

import bpy

from . import addon, baking, environment, settings
from .declarations import Declarations
from .trouble import Trouble

said = [""]
"""What the last look at the environment ended with, for the preferences."""
warning = [""]
"""What the panel says of the environment: that it is of another version; "" when it is not."""


def ask() -> str:
    """Query the environment and make the properties of its models.

    Returns a sentence. Raises Trouble.
    """
    from .matte_client import ServiceError, clean_environment

    chosen = addon.chosen()
    version = environment.library_version(chosen, clean_environment(chosen.home))
    try:
        found = Declarations(addon.client().models())
    except ServiceError as error:
        raise Trouble(str(error)) from error
    if not found:
        raise Trouble(f"matte-nodes {version} in {chosen.python} has no models.")
    settings.learn(found)
    keep()
    warning[0] = environment.versions_differ(version, addon_version())
    fact = f"matte-nodes {version}, {len(found.cards)} models ({chosen.python})"
    return f"{fact}. {warning[0]}" if warning[0] else fact


def for_new_node(tree: Any) -> None:
    """Let a new node know the models; without an environment it says why there are none."""
    if not settings.known():
        try:
            said[0] = ask()
        except Trouble as error:
            said[0] = str(error)
            baking.complain(tree, bpy.context.scene, str(error))
            return
    tree.matte_nodes.declarations = settings.known().text()


def keep() -> None:
    """Keep what was learnt in the preferences, which Blender saves."""
    preferences = addon.preferences()
    if preferences is not None:
        preferences.declarations = settings.known().text()


def recall() -> None:
    """Take up what the preferences keep."""
    text = addon.preference("declarations")
    if text:
        settings.learn(Declarations.read(text))
    settings.make_faces()


def addon_version() -> str:
    """This add-on's version."""
    from . import VERSION

    return VERSION
