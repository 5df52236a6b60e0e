# SPDX-License-Identifier: Apache-2.0
"""Open a file and bake its Matte node to the end: bake.py ADDON SCENE.blend"""

from __future__ import annotations

import sys

import bpy

import inside  # isort: skip (beside this file)

addon = inside.load(sys.argv[1])
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
(group,) = (tree for tree in bpy.data.node_groups if tree.matte_nodes.is_matte)
said = ""
try:
    bpy.ops.matte_nodes.bake(group=group.name)
except RuntimeError as error:
    said = str(error)
state = sys.modules[addon.__name__ + ".status"].of(group, bpy.context.scene, fresh=True)
inside.answer(said=said, note=group.matte_nodes.note, state=state.text)
