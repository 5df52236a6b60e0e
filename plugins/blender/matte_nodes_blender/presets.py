# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of a Matte node: model, knobs and edge, by Blender's own presets in the user's folder."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy
from bl_operators.presets import AddPresetBase

FOLDER = "matte_nodes"


class MATTE_MT_presets(bpy.types.Menu):
    """The presets there are."""

    bl_idname = "MATTE_MT_presets"
    bl_label = "Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class MATTE_OT_preset(AddPresetBase, bpy.types.Operator):
    """Keep model, knobs and edge of this node under a name, or remove the preset that was chosen last"""

    bl_idname = "matte_nodes.preset"
    bl_label = "Add Preset"
    preset_menu = "MATTE_MT_presets"
    preset_subdir = FOLDER
    preset_defines = ["kept = bpy.context.active_node.node_tree.matte_nodes"]
    preset_values = [
        "kept.model", "kept.values", "kept.refine", "kept.refine_width", "kept.plate_alpha",
    ]  # fmt: skip


def row(layout):
    """Draw the menu with its two buttons."""
    line = layout.row(align=True)
    line.menu(MATTE_MT_presets.bl_idname, text=MATTE_MT_presets.bl_label)
    line.operator(MATTE_OT_preset.bl_idname, text="", icon="ADD")
    line.operator(MATTE_OT_preset.bl_idname, text="", icon="REMOVE").remove_active = True


CLASSES = (MATTE_MT_presets, MATTE_OT_preset)
