# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's panel "Matte", and the node in the Add menu."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import textwrap

import bpy

from . import (
    artist_nodes,
    baking,
    clicks,
    corrections,
    declarations,
    group,
    knobs,
    learn,
    presets,
    settings,
    status,
)  # fmt: skip
from .operators import active
from .state import DONE, ERROR, RUNNING

ICONS = {DONE: "CHECKMARK", ERROR: "ERROR", RUNNING: "RENDER_ANIMATION"}
NUMBER = 9
"""Signs that the value and the arrows of a number field take."""


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
            if group.mattes():
                layout.operator("matte_nodes.bake_all", icon="RENDER_ANIMATION")
            return
        kept = tree.matte_nodes
        found = status.of(tree, context.scene)
        wrapped(layout, context, found.text, ICONS.get(found.kind, "INFO"), alert=found.wrong)
        if kept.note and found.kind != RUNNING:
            wrapped(layout, context, kept.note, "BLANK1")
        if learn.warning[0]:
            wrapped(layout, context, learn.warning[0], "ERROR")
        if found.kind == RUNNING:
            self.at_work(layout, context, tree)
        else:
            self.buttons(layout, tree)
        column = layout.column()
        column.enabled = found.kind != RUNNING
        self.choices(column, context, tree)

    def buttons(self, layout, tree):
        """Draw what starts a bake."""
        layout.operator("matte_nodes.bake", icon="RENDER_ANIMATION").group = tree.name
        layout.operator("matte_nodes.bake_frame", icon="RENDER_STILL").group = tree.name
        if len(group.mattes()) > 1:
            layout.operator("matte_nodes.bake_all", icon="RENDERLAYERS")
        if tree.users > 1:
            layout.operator("matte_nodes.make_unique", icon="DUPLICATE").group = tree.name

    def at_work(self, layout, context, tree):
        """Draw the progress and a button that stops the bake."""
        bake = baking.running.get(tree.matte_nodes.bake_name)
        if bake is not None:
            wrapped(layout, context, bake.said, "TIME")
        layout.operator("matte_nodes.cancel", icon="CANCEL").group = tree.name

    def choices(self, column, context, tree):
        """Draw model, edge and range."""
        kept = tree.matte_nodes
        presets.row(column)
        labelled(column, context, kept, "model_menu", "Model")
        self.terms(column, context, tree)
        labelled(column, context, kept, "refine_menu", "Edge")
        if kept.refine:
            labelled(column, context, kept, "refine_width", "Edge width", number=True)
        labelled(column, context, kept, "range_mode", "Range")
        if kept.range_mode == "CUSTOM":
            row = column.row(align=True)
            row.prop(kept, "frame_start")
            row.prop(kept, "frame_end")

    def terms(self, layout, context, tree):
        """Draw the model's needs, its terms for commercial use, and what auto would take."""
        kept, declared = tree.matte_nodes, settings.of_group(tree)
        card = declared.card(kept.model)
        if kept.model == declarations.AUTO:
            taken = declared.foreseen(given(tree, context.active_node))
            if taken:
                wrapped(layout, context, f"takes {taken}", "FORWARD")
        if card is None:
            return
        if declared.lacks_weights(kept.model):
            wrapped(layout, context, "its weights are not here", "ERROR", alert=True)
            if card.get("weights_state") == "to pull":
                layout.operator("matte_nodes.pull", icon="IMPORT").model = card["name"]
            else:
                wrapped(layout, context, f"matte models card {card['name']} says how", "BLANK1")
        if card["needs"]:
            wrapped(layout, context, "needs: " + ", ".join(card["needs"]), "DOT")
        if card["commercial"] not in (None, "yes"):
            wrapped(layout, context, "commercial use: " + str(card["commercial"]), "INFO")


class MATTE_PT_subject(Panel, bpy.types.Panel):
    """What the subject is."""

    bl_idname = "MATTE_PT_subject"
    bl_label = "Subject"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, tree = self.layout, active(context)
        kept = tree.matte_nodes
        for line in clicks.in_words(kept.points):
            wrapped(layout, context, line, "PIVOT_CURSOR")
        labelled(layout, context, kept, "object_name", "Object")
        layout.operator("matte_nodes.click", icon="EYEDROPPER").group = tree.name
        column = layout.column(align=True)
        for source, text, icon in (
            ("EMPTY", "From Empties", "EMPTY_AXIS"), ("TRACK", "From Tracks", "TRACKING"),
        ):  # fmt: skip
            made = column.operator("matte_nodes.subject_from", text=text, icon=icon)
            made.group, made.source = tree.name, source
        labelled(layout, context, kept, "subject_mask", "Mask")
        column = layout.column(align=True)
        column.enabled = kept.subject_mask is not None
        made = column.operator("matte_nodes.subject_from", text="From Mask", icon="MOD_MASK")
        made.group, made.source = tree.name, "MASK"
        made = column.operator("matte_nodes.trimap_from_mask", icon="IMAGE_ALPHA")
        made.group = tree.name
        layout.prop(kept, "along")
        if kept.points:
            forget_row(layout, tree, "matte_nodes.forget_marks", "Clear")


def forget_row(layout, tree, operator, everything):
    """Two buttons: forget everything, and what belongs to this frame."""
    row = layout.row(align=True)
    row.operator(operator, text=everything).group = tree.name
    here = row.operator(operator, text="This Frame")
    here.group, here.here = tree.name, True


class MATTE_PT_corrections(Panel, bpy.types.Panel):
    """Mattes that the artist painted on."""

    bl_idname = "MATTE_PT_corrections"
    bl_label = "Corrections"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, tree = self.layout, active(context)
        painted = list(corrections.files(tree))
        told = ", ".join(map(str, painted)) if painted else "none"
        wrapped(layout, context, f"painted frames: {told}", "BRUSH_DATA")
        layout.operator("matte_nodes.paint", icon="TPAINT_HLT").group = tree.name
        if painted:
            forget_row(layout, tree, "matte_nodes.forget_paint", "Forget All")
            labelled(layout, context, tree.matte_nodes, "tuned_name", "New model")
            layout.operator("matte_nodes.finetune", text="Fine-Tune", icon="MODIFIER")


class MATTE_PT_view(Panel, bpy.types.Panel):
    """The matte in the Viewer."""

    bl_idname = "MATTE_PT_view"
    bl_label = "View"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        tree = active(context)
        flow = self.layout.grid_flow(columns=2, even_columns=True, align=True)
        for kind, text, _ in artist_nodes.VIEWS:
            made = flow.operator("matte_nodes.view", text=text)
            made.group, made.kind = tree.name, kind
        review = self.layout.operator("matte_nodes.review", icon="URL")
        review.group = tree.name


class MATTE_PT_model(Panel, bpy.types.Panel):
    """The model's own knobs."""

    bl_idname = "MATTE_PT_model"
    bl_label = "Model"
    bl_parent_id = "MATTE_PT_matte"

    def draw(self, context):
        drawn(self.layout, context, active(context), own=True)


class MATTE_PT_shared(Panel, bpy.types.Panel):
    """The knobs that all models share."""

    bl_idname = "MATTE_PT_shared"
    bl_label = "Every Model"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        drawn(self.layout, context, active(context), own=False)


class MATTE_PT_bake(Panel, bpy.types.Panel):
    """Where a bake goes, and further actions."""

    bl_idname = "MATTE_PT_bake"
    bl_label = "Bake"
    bl_parent_id = "MATTE_PT_matte"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        tree = active(context)
        column, kept = self.layout.column(), tree.matte_nodes
        labelled(column, context, kept, "plate_alpha", "Plate alpha")
        labelled(column, context, kept, "bake_dir", "Bake folder")
        labelled(column, context, kept, "device", "Device")
        image = group.linked_image(tree)
        if image is not None:
            wrapped(column, context, image.filepath, "FILE_IMAGE")
        for name in ("relink", "clear_bake", "open_folder", "repair"):
            column.operator("matte_nodes." + name).group = tree.name
        column.operator("matte_nodes.check_environment")


def given(tree, node):
    """The hints that a Matte node is given: what is connected, and clicks."""
    hints = ["points"] if tree.matte_nodes.points else []
    for socket in node.inputs if node is not None else ():
        if socket.is_linked and socket.name in group.INPUTS:
            hints.append(group.INPUTS[socket.name])
    return hints


def drawn(layout, context, tree, *, own):
    """The properties of a node's knobs."""
    declared, faces = settings.of_group(tree), getattr(tree, "matte_knobs", None)
    count = 0
    for owner, knob in declared.knobs(tree.matte_nodes.model):
        if (owner != declarations.SHARED) == own:
            name = knobs.face_name(owner, knob["name"])
            if faces is not None and hasattr(faces, name):
                kind = knob["kind"]
                if kind == "bool":
                    layout.prop(faces, name)
                else:
                    number = kind in ("int", "float")
                    labelled(layout, context, faces, name, knob["title"], number=number)
                count += 1
    if not count:
        text = "no knobs of its own" if declared else "no models known: Check Environment"
        wrapped(layout, context, text, "BLANK1")


def labelled(layout, context, data, name, title, *, number=False):
    """A property with a label that can be read, however narrow the sidebar is.

    A number field shows its own name, where that fits; other fields get it on a line above.
    """
    if number and len(title) + NUMBER <= signs(context):
        layout.prop(data, name)
        return
    column = layout.column(align=True)
    column.label(text=title)
    column.prop(data, name, text="")


def signs(context):
    """How many signs of text fit beside an icon in the sidebar."""
    width = context.region.width / max(context.preferences.system.ui_scale, 0.1)
    return max(int((width - 60) / 6.2), 16)


def wrapped(layout, context, text, icon, *, alert=False):
    """A text of any length, in lines of the panel's width."""
    column = layout.column(align=True)
    column.alert = alert
    lines(column, text, signs(context), icon)


def lines(column, text, width, icon="BLANK1"):
    """A text in lines of so many signs, with an icon at the first."""
    column = column.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon="BLANK1" if number else icon)


def add_menu(menu, context):
    """The entry in the Add menu of the compositor."""
    if context.space_data.tree_type == "CompositorNodeTree":
        menu.layout.separator()
        menu.layout.operator("matte_nodes.add", text="Matte", icon="IMAGE_ALPHA")


CLASSES = (
    MATTE_PT_matte, MATTE_PT_subject, MATTE_PT_corrections, MATTE_PT_view, MATTE_PT_model,
    MATTE_PT_shared, MATTE_PT_bake,
)  # fmt: skip
