# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators that make and mend Matte nodes."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import glob
import os

import bpy

from . import baking, compat, folders, group, learn, settings, status
from .state import Record
from .trouble import Trouble


def active(context):
    """The group of the active Matte node, or None."""
    node = getattr(context, "active_node", None)
    tree = getattr(node, "node_tree", None)
    if group.is_matte(tree):
        return tree
    # Inside of the group itself it is the group that is meant.
    edited = getattr(context.space_data, "edit_tree", None) if context.space_data else None
    return edited if group.is_matte(edited) else None


class OnMatte:
    """An operator on one Matte node: the active one, or the group that is named.

    edits: it changes the node, so a node that is linked from another file is refused.
    """

    edits = False

    group: bpy.props.StringProperty(
        name="Node group", description="Name of the Matte node's group; empty: the active node's"
    )

    @classmethod
    def poll(cls, context):
        return bool(group.mattes())

    def tree(self, context):
        """The group; raises Trouble."""
        found = bpy.data.node_groups.get(self.group) if self.group else active(context)
        if not group.is_matte(found):
            raise Trouble(
                f"{self.group} is no Matte node." if self.group else "Select a Matte node first."
            )
        if self.edits:
            baking.editable(found)
        return found

    def execute(self, context):
        tree = None
        try:
            tree = self.tree(context)
            return self.work(context, tree)
        except Trouble as error:
            return fail(self, tree, error)
        finally:
            status.forget()


def fail(operator, tree, error):
    """Tell the artist: in the panel, in the status bar, and (without a window) as an exception."""
    if tree is not None and tree.library is None:
        baking.complain(tree, bpy.context.scene, str(error))
    status.forget()
    redraw()
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


def redraw():
    """Draw node editors and image editors anew."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type in ("NODE_EDITOR", "IMAGE_EDITOR"):
                area.tag_redraw()


class MATTE_OT_add(bpy.types.Operator):
    """Add a Matte node: any matting model as a compositing node"""

    bl_idname = "matte_nodes.add"
    bl_label = "Matte"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        space = context.space_data
        tree = getattr(space, "edit_tree", None)
        if tree is None or tree.bl_idname != "CompositorNodeTree":
            tree = compat.ensure_tree(context.scene)
        if group.is_matte(tree):
            self.report({"ERROR"}, "Leave the Matte node's own group first (Tab).")
            return {"CANCELLED"}
        made = group.new()
        node = tree.nodes.new("CompositorNodeGroup")
        node.node_tree, node.name, node.label = made, group.NAME, group.NAME
        node.width = 180
        if space is not None and hasattr(space, "cursor_location"):
            node.location = space.cursor_location
        for other in tree.nodes:
            other.select = False
        node.select, tree.nodes.active = True, node
        baking.own_name(made)
        learn.for_new_node(made)
        return {"FINISHED"}


class MATTE_OT_clear_bake(OnMatte, bpy.types.Operator):
    """Show no bake any more: Image passes through. The files stay"""

    bl_idname = "matte_nodes.clear_bake"
    bl_label = "Clear Bake Link"
    bl_options = {"REGISTER", "UNDO"}
    edits = True

    def work(self, context, tree):
        group.clear(tree)
        tree.matte_nodes.message = tree.matte_nodes.note = ""
        return {"FINISHED"}


class MATTE_OT_relink(OnMatte, bpy.types.Operator):
    """Show the bake again: of the present settings, else the last one, or one in another folder"""

    bl_idname = "matte_nodes.relink"
    bl_label = "Relink Bake"
    bl_options = {"REGISTER", "UNDO"}
    edits = True
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})

    def work(self, context, tree):
        kept = tree.matte_nodes
        record = Record.read(kept.record)
        folder, plan = "", None
        if self.directory:
            folder = os.path.abspath(bpy.path.abspath(self.directory))
        else:
            plan, _, _ = baking.planned(tree, context.scene)
            name = kept.bake_name or tree.name
            old = os.path.join(plan.asked.base, folders.folder_name(name), record.settings or "-")
            last = glob.glob(os.path.join(glob.escape(plan.home), f"{record.settings or '-'}-*"))
            there = [plan.folder, *sorted(last, key=os.path.getmtime, reverse=True), old]
            folder = next((path for path in there if folders.frames_there(path)), "")
        frames = folders.frames_there(folder) if folder else set()
        if not frames:
            raise Trouble(f"There is no bake to show in {folder or settings.base_of(kept)}.")
        if plan is not None and folder == plan.folder and record.settings != plan.settings:
            # Whether the inputs are still the same only a bake can tell; it costs nothing if so.
            record = Record(plan.settings, plan.first, plan.last, plan.still, plan.stamps())
            kept.record = record.text()
        first, last = min(frames), max(frames)
        path = folders.frame_file(folder, first)
        relative = self.directory.startswith("//") if self.directory else settings.relative(kept)
        group.show(tree, path, first, last - first + 1, still=record.still, relative=relative)
        kept.message = ""
        return {"FINISHED"}


class MATTE_OT_make_unique(OnMatte, bpy.types.Operator):
    """Give a copied Matte node settings and bakes of its own"""

    bl_idname = "matte_nodes.make_unique"
    bl_label = "Make Unique"
    bl_options = {"REGISTER", "UNDO"}
    node: bpy.props.StringProperty(
        description="Name of the group node in the edited or the scene's tree; empty: the active",
        options={"SKIP_SAVE"},
    )

    def work(self, context, tree):
        node = getattr(context, "active_node", None)
        if self.node:
            edited = getattr(context.space_data, "edit_tree", None) if context.space_data else None
            node = (edited or compat.root_tree(context.scene)).nodes.get(self.node)
        if node is None or getattr(node, "node_tree", None) != tree:
            raise Trouble("Select the copy of the Matte node that is to be made unique.")
        node.node_tree = tree.copy()
        node.node_tree.matte_nodes.bake_name = ""
        node.node_tree.matte_nodes.message = tree.matte_nodes.message = ""
        baking.own_name(node.node_tree)
        return {"FINISHED"}


class MATTE_OT_repair(OnMatte, bpy.types.Operator):
    """Make the sockets and nodes of the group again, as this version of the add-on wants them"""

    bl_idname = "matte_nodes.repair"
    bl_label = "Repair Node"
    bl_options = {"REGISTER", "UNDO"}
    edits = True

    def work(self, context, tree):
        group.build(tree)
        return {"FINISHED"}


class MATTE_OT_open_folder(OnMatte, bpy.types.Operator):
    """Open the folder of the bake"""

    bl_idname = "matte_nodes.open_folder"
    bl_label = "Open Bake Folder"

    def work(self, context, tree):
        folder = group.linked_folder(tree) or settings.base_of(tree.matte_nodes)
        if not os.path.isdir(folder):
            raise Trouble(f"There is no folder {folder} yet: nothing was baked.")
        bpy.ops.wm.path_open(filepath=folder)
        return {"FINISHED"}


class MATTE_OT_check_environment(bpy.types.Operator):
    """Ask the Python of the preferences for its models and their knobs"""

    bl_idname = "matte_nodes.check_environment"
    bl_label = "Check Environment"

    def execute(self, context):
        try:
            said = learn.ask()
        except Trouble as error:
            learn.said[0] = str(error)
            return fail(self, active(context), error)
        learn.said[0] = said
        for tree in group.mattes():
            if tree.library is None:
                tree.matte_nodes.message = ""
        status.forget()
        redraw()
        self.report({"INFO"}, said)
        return {"FINISHED"}


class MATTE_OT_check_bakes(bpy.types.Operator):
    """Compare the frames of all Matte nodes of the scene with their bakes; an error names what is
    not right. For a farm: a file whose mattes are not right is not rendered"""

    bl_idname = "matte_nodes.check_bakes"
    bl_label = "Check Bakes"

    def execute(self, context):
        from . import handlers

        found = handlers.wrong(context.scene)
        if found:
            self.report({"ERROR"}, " ".join(found))
            return {"CANCELLED"}
        self.report({"INFO"}, "All mattes of the scene are right.")
        return {"FINISHED"}


class MATTE_OT_say(bpy.types.Operator):
    """Show a warning of a Matte node"""

    bl_idname = "matte_nodes.say"
    bl_label = "Matte"
    bl_options = {"INTERNAL"}
    text: bpy.props.StringProperty()

    def execute(self, context):
        self.report({"WARNING"}, self.text)
        return {"FINISHED"}


CLASSES = (
    MATTE_OT_add, MATTE_OT_clear_bake, MATTE_OT_relink, MATTE_OT_make_unique, MATTE_OT_repair,
    MATTE_OT_open_folder, MATTE_OT_check_environment, MATTE_OT_check_bakes, MATTE_OT_say,
)  # fmt: skip
