# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender for `matte install blender`: set_up.py -- where|enable|disable ANSWER.json

where: the folder that the add-on belongs into. enable, disable: the add-on, kept in the
preferences.
"""

import json
import os
import sys

import bpy  # before addon_utils, which only Blender can find

import addon_utils  # isort: skip

EXTENSION, LEGACY = "matte_nodes", "matte_nodes_blender"


def extensions():
    """The folder of the user's own extensions; None before 4.2, or when it was taken away."""
    preferences = bpy.context.preferences
    for repository in getattr(getattr(preferences, "extensions", None), "repos", ()):
        if repository.module == "user_default":
            return repository.directory
    return None


def module():
    """The name that the add-on has in this Blender."""
    return "bl_ext.user_default." + EXTENSION if bpy.app.version >= (4, 2, 0) else LEGACY


def where():
    """The add-on's folder in this Blender, None when it has no place."""
    if bpy.app.version >= (4, 2, 0):
        folder = extensions()
        return folder and os.path.join(folder, EXTENSION)
    return os.path.join(bpy.utils.user_resource("SCRIPTS", path="addons"), LEGACY)


def enable():
    """Enable the add-on for all sessions to come; whether that went well."""
    if hasattr(addon_utils, "extensions_refresh"):
        addon_utils.extensions_refresh()
    enabled = addon_utils.enable(module(), default_set=True, persistent=True) is not None
    if enabled:
        bpy.ops.wm.save_userpref()
        addon_utils.disable(module())  # a class that is left crashes some Blenders at their end
    return enabled


def disable():
    """Disable the add-on for all sessions to come."""
    if module() in bpy.context.preferences.addons:
        addon_utils.disable(module(), default_set=True)
        bpy.ops.wm.save_userpref()
    return True


if getattr(bpy.app, "module", False):  # bpy as a module starts without the user's preferences
    bpy.ops.wm.read_userpref()
verb, answer = sys.argv[sys.argv.index("--") + 1 :][:2]
result = {"where": where, "enable": enable, "disable": disable}[verb]()
with open(answer, "w", encoding="utf-8") as file:
    found = {"version": list(bpy.app.version), "result": result}
    json.dump({**found, "config": bpy.utils.user_resource("CONFIG")}, file)
