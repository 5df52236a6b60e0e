# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's panel "Matte", and the node in the Add menu."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import textwrap

import bpy

from . import baking, declarations, group, knobs, learn, settings, status
from .operators import active
from .state import DONE, ERROR, RUNNING

ICONS = {DONE: "CHECKMARK", ERROR: "ERROR", RUNNING: "RENDER_ANIMATION"}


class Panel:
    """Base class of the panels in the compositor's sidebar."""

    bl_space_type = "NODE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Matte"

    @classmethod
    def poll(cls, context):
        return context.space_data.tree_type == "CompositorNodeTree" and active(context) is not None


class MATTE_PT_matte(Panel, bpy.types.Panel):
    """State, model, bake."""

    bl_idname = "MATTE_PT_matte"
    bl_label = "Matte"

    @classmethod
    def poll(cls, context):
        return context.space_data.tree_type == "CompositorNodeTree"

    def draw(self, context):
        layout, tree = self.layout, active(context)
        if tree is None:
            layout.operator("matte_nodes.add", text="Add Matte", icon="ADD")
            return
        kept = tree.matte_nodes
        found = status.of(tree, context.scene)
        wrapped(layout, context, found.text, ICONS.get(found.kind, "INFO"), alert=found.wrong)
        if kept.note and found.kind != RUNNING:
            wrapped(layout, context, kept.note, "BLANK1")
        if learn.warning[0]:
            wrapped(layout, context, learn.warning[0], "ERROR")
        if found.kind == RUNNING:
            self.at_work(layout, tree)
        else:
            layout.operator("matte_nodes.bake", icon="RENDER_ANIMATION").group = tree.name
            layout.operator("matte_nodes.bake_frame", icon="RENDER_STILL").group = tree.name
        if tree.users > 1:
            layout.operator("matte_nodes.make_unique", icon="DUPLICATE").group = tree.name
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.enabled = found.kind != RUNNING
        column.prop(kept, "model_menu")
        self.terms(column, context, tree)
        column.prop(kept, "range_mode")
        if kept.range_mode == "CUSTOM":
            column.prop(kept, "frame_start")
            column.prop(kept, "frame_end")
        column.prop(kept, "bake_dir")
        column.prop(kept, "device")

    def at_work(self, layout, tree):
        """Draw the progress and a button that stops the bake."""
        bake = baking.running.get(tree.matte_nodes.bake_name)
        if bake is not None:
            row = layout.row()
            row.label(text=bake.said)
        layout.operator("matte_nodes.cancel", icon="CANCEL").group = tree.name

    def terms(self, layout, context, tree):
        """Draw the model's needs and its terms for commercial use."""
        card = settings.of_group(tree).card(tree.matte_nodes.model)
        if card is None:
            return
        if card["needs"]:
            layout.label(text="needs: " + ", ".join(card["needs"]))
        if card["commercial"] not in (None, "yes"):
            layout.label(text="commercial use: " + str(card["commercial"]), icon="INFO")


class MATTE_PT_model(Panel, bpy.types.Panel):
    """The model's own knobs."""

    bl_idname = "MATTE_PT_model"
    bl_label = "Model"
    bl_parent_id = "MATTE_PT_matte"

    def draw(self, context):
        tree = active(context)
        drawn(self.layout, tree, own=True)


class MATTE_PT_shared(Panel, bpy.types.Panel):
    """The knobs that all models share."""

    bl_idname = "MATTE_PT_shared"
    bl_label = "Every Model"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        drawn(self.layout, active(context), own=False)


class MATTE_PT_bake(Panel, bpy.types.Panel):
    """Further actions for the bake."""

    bl_idname = "MATTE_PT_bake"
    bl_label = "Bake"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        tree = active(context)
        column = self.layout.column()
        image = group.linked_image(tree)
        if image is not None:
            column.label(text=image.filepath, icon="FILE_IMAGE")
        for name in ("relink", "clear_bake", "open_folder", "repair"):
            column.operator("matte_nodes." + name).group = tree.name
        column.operator("matte_nodes.check_environment")


def drawn(layout, tree, *, own):
    """The properties of a node's knobs."""
    layout.use_property_split, layout.use_property_decorate = True, False
    declared, faces = settings.of_group(tree), getattr(tree, "matte_knobs", None)
    count = 0
    for owner, knob in declared.knobs(tree.matte_nodes.model):
        if (owner != declarations.SHARED) == own:
            name = knobs.face_name(owner, knob["name"])
            if faces is not None and hasattr(faces, name):
                layout.prop(faces, name)
                count += 1
    if not count:
        text = "no knobs of its own" if declared else "no models known: Check Environment"
        layout.label(text=text)


def wrapped(layout, context, text, icon, *, alert=False):
    """A text of any length, in lines of the panel's width."""
    width = context.region.width / max(context.preferences.system.ui_scale, 0.1)
    column = layout.column(align=True)
    column.scale_y = 0.8
    column.alert = alert
    for number, line in enumerate(textwrap.wrap(text, max(int((width - 60) / 6.2), 20)) or [""]):
        column.label(text=line, icon="BLANK1" if number else icon)


def add_menu(menu, context):
    """The entry in the Add menu of the compositor."""
    if context.space_data.tree_type == "CompositorNodeTree":
        menu.layout.separator()
        menu.layout.operator("matte_nodes.add", text="Matte", icon="IMAGE_ALPHA")


CLASSES = (MATTE_PT_matte, MATTE_PT_model, MATTE_PT_shared, MATTE_PT_bake)
