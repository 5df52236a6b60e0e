# SPDX-License-Identifier: Apache-2.0
"""Install a zip as the button "Install from Disk" does, enable it, call its operators."""

from __future__ import annotations

import runpy
import sys

import bpy

import addon_utils  # isort: skip (only Blender can find it)
import inside  # isort: skip

LEGACY, EXTENSION = "matte_nodes_blender", "bl_ext.user_default.matte_nodes"


def installed(zipped: str) -> str:
    """Install and enable; answers the add-on's name."""
    if bpy.app.version < (4, 2, 0):
        bpy.ops.preferences.addon_install(filepath=zipped)
        bpy.ops.preferences.addon_enable(module=LEGACY)
        return LEGACY
    addon_utils.enable("bl_pkg")
    bpy.ops.extensions.package_install_files(
        filepath=zipped, repo="user_default", enable_on_install=True
    )
    return EXTENSION


def said(operator: object, **arguments: str) -> str:
    """What an operator complains of."""
    try:
        operator(**arguments)  # type: ignore[operator]
    except RuntimeError as error:
        return str(error)
    return ""


zipped, example, plate, blend, python, home = sys.argv[1:]
name = installed(zipped)
assert name in bpy.context.preferences.addons, "it is not enabled"
tree = runpy.run_path(example)["build"](plate, "green-screen")
node = tree.nodes["Matte"]
group = node.node_tree.name
ours = bpy.ops.matte_nodes
check, unsaved = said(ours.check_environment), said(ours.bake, group=group)
bpy.ops.wm.save_as_mainfile(filepath=blend)
bake = said(ours.bake, group=group)
preferences = bpy.context.preferences.addons[name].preferences
preferences.python_path, preferences.home = python, home
good = said(ours.check_environment)
baked = said(ours.bake, group=group)
inside.answer(
    added=node.bl_idname,
    sockets=[s.name for s in node.inputs] + [s.name for s in node.outputs],
    check=check,
    unsaved=unsaved,
    bake=bake,
    good=good,
    learnt=sys.modules[name + ".learn"].said[0],
    baked=baked,
)
