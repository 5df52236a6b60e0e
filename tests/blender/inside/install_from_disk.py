# SPDX-License-Identifier: Apache-2.0
"""Install a zip as the button "Install from Disk" does, enable it, call its operators."""

from __future__ import annotations

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


name = installed(sys.argv[1])
assert name in bpy.context.preferences.addons, "it is not enabled"
bpy.ops.matte_nodes.add()
scene = bpy.context.scene
tree = getattr(scene, "compositing_node_group", None) or scene.node_tree
node = next(n for n in tree.nodes if n.type == "GROUP" and n.node_tree.matte_nodes.is_matte)
try:
    bpy.ops.matte_nodes.check_environment()
    said = ""
except RuntimeError as error:
    said = str(error)
inside.answer(
    added=node.bl_idname,
    sockets=[s.name for s in node.inputs] + [s.name for s in node.outputs],
    check=said,
)
