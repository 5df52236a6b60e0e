# SPDX-License-Identifier: GPL-3.0-or-later
"""What the subject is: clicks in a viewer, marks from masks, Empties and tracks, painted mattes."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy

from . import artist_nodes, baking, clicks, corrections, marks, settings, viewer
from .operators import OnMatte, fail, redraw
from .trouble import Trouble

SOURCES = (
    ("MASK", "Mask", "A box round each closed spline of the mask, a click at each point of an open "
     "one; a layer called not marks what is beside the subject"),
    ("EMPTY", "Empties", "A click where the camera sees each selected object; one whose name begins "
     "with not is beside the subject"),
    ("TRACK", "Tracks", "A click at each selected marker of the Clip editor"),
)  # fmt: skip
CLICK_HELP = "Click: on the subject. Ctrl: beside it. Shift: remove. Right click or ESC: done"


class MATTE_OT_click(OnMatte, bpy.types.Operator):
    """Click on the subject in an Image Editor or the backdrop. Ctrl: beside it. Shift: take a
    click away. Right click or ESC ends it"""

    bl_idname = "matte_nodes.click"
    bl_label = "Click on Subject"
    bl_options = {"REGISTER"}
    edits = True

    def invoke(self, context, event):
        try:
            tree = self.tree(context)
            clicks.checked(tree.matte_nodes.object_name)
        except Trouble as error:
            return fail(self, None, error)
        self.chosen = tree.name
        viewer.showing[0] = tree.name
        viewer.draw_marks(True)
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(CLICK_HELP)
        context.window_manager.modal_handler_add(self)
        redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Take clicks on pictures; everything else goes on to the artist's tools."""
        tree = bpy.data.node_groups.get(self.chosen)
        if tree is None or (event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS"):
            return self.end(context)
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        place = viewer.place_at(context.window, event.mouse_x, event.mouse_y)
        if place is None:
            return {"PASS_THROUGH"}
        frame, kept = context.scene.frame_current, tree.matte_nodes
        if event.shift:
            kept.points = clicks.removed(kept.points, frame, *place)
        else:
            kind = clicks.NOT if event.ctrl else clicks.SUBJECT
            try:
                mark_subject(kept, [[frame, kind, *place]])
            except Trouble as error:  # the name of the object was changed meanwhile
                fail(self, tree, error)
        bpy.ops.ed.undo_push(message="Click on subject")
        redraw()
        return {"RUNNING_MODAL"}

    def cancel(self, context):
        """Blender takes the operator away."""
        self.end(context)

    def end(self, context):
        """Give the cursor back; the marks stay to be seen while the panel is open."""
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        viewer.draw_marks(False)
        redraw()
        return {"FINISHED"}


class MATTE_OT_subject_from(OnMatte, bpy.types.Operator):
    """Mark the subject with what is there already"""

    bl_idname = "matte_nodes.subject_from"
    bl_label = "Subject From"
    bl_options = {"REGISTER", "UNDO"}
    edits = True
    source: bpy.props.EnumProperty(items=SOURCES)

    @classmethod
    def description(cls, context, properties):
        return next(text for kind, _, text in SOURCES if kind == properties.source)

    def work(self, context, tree):
        kept, scene = tree.matte_nodes, context.scene
        clicks.checked(kept.object_name)
        first, last = settings.range_of(kept, scene)
        frames = clicks.along(first, last) if kept.along else [scene.frame_current]
        if self.source == "MASK":
            found = marks.of_mask(needed_mask(kept), baking.plate_size(tree, scene), frames)
        elif self.source == "EMPTY":
            found = marks.of_empties(scene, list(context.selected_objects), frames)
        else:
            found = marks.of_tracks(frames)
        mark_subject(kept, found)
        redraw()
        return {"FINISHED"}


class OnForget(OnMatte):
    """Base class of what is forgotten whole, or at the present frame only."""

    bl_options = {"REGISTER", "UNDO"}
    edits = True
    here: bpy.props.BoolProperty(name="Only at this frame", options={"SKIP_SAVE"})

    def work(self, context, tree):
        self.forget(tree, context.scene.frame_current if self.here else None)
        redraw()
        return {"FINISHED"}


class MATTE_OT_forget_marks(OnForget, bpy.types.Operator):
    """Remove clicks and boxes"""

    bl_idname = "matte_nodes.forget_marks"
    bl_label = "Clear Clicks"

    def forget(self, tree, frame):
        kept = tree.matte_nodes
        left = "" if frame is None else clicks.without(kept.points, frame)
        kept.points = left if clicks.read(left) else ""


class MATTE_OT_forget_paint(OnForget, bpy.types.Operator):
    """Use painted mattes no more. Their files stay"""

    bl_idname = "matte_nodes.forget_paint"
    bl_label = "Forget Corrections"

    def forget(self, tree, frame):
        corrections.forget(tree, frame)


class MATTE_OT_trimap_from_mask(OnMatte, bpy.types.Operator):
    """Make a trimap of the mask by stock nodes, and connect it: white inside, black outside, grey
    along the edge"""

    bl_idname = "matte_nodes.trimap_from_mask"
    bl_label = "Trimap from Mask"
    bl_options = {"REGISTER", "UNDO"}
    width: bpy.props.IntProperty(
        name="Width", default=12, min=1, soft_max=200,
        description="Pixels to each side of the mask's edge that the model solves",
    )  # fmt: skip

    def work(self, context, tree):
        mask = needed_mask(tree.matte_nodes)
        artist_nodes.trimap(tree, context.scene, mask, self.width)
        return {"FINISHED"}


class MATTE_OT_paint(OnMatte, bpy.types.Operator):
    """Paint on the matte of this frame: white is subject, black is not, grey is solved again. The
    next bake uses it"""

    bl_idname = "matte_nodes.paint"
    bl_label = "Paint This Frame"
    bl_options = {"REGISTER"}
    edits = True

    def work(self, context, tree):
        plan, _, _ = baking.planned(tree, context.scene)
        image = corrections.begin(tree, context.scene, plan.home)
        areas = context.screen.areas if context.screen else ()
        area = next((a for a in areas if a.type == "IMAGE_EDITOR"), None)
        if area is not None:
            area.spaces.active.image = image
            area.spaces.active.ui_mode = "PAINT"
        else:
            self.report(
                {"INFO"}, f"Open the image {image.name} in an Image Editor and paint on it."
            )
        return {"FINISHED"}


class MATTE_OT_view(OnMatte, bpy.types.Operator):
    """Show the matte in the Viewer. Nothing that is rendered changes"""

    bl_idname = "matte_nodes.view"
    bl_label = "View"
    bl_options = {"REGISTER", "UNDO"}
    kind: bpy.props.EnumProperty(items=artist_nodes.VIEWS)

    @classmethod
    def description(cls, context, properties):
        return next(text for kind, _, text in artist_nodes.VIEWS if kind == properties.kind)

    def work(self, context, tree):
        artist_nodes.view(tree, context.scene, self.kind)
        return {"FINISHED"}


def mark_subject(kept, marks):
    """Add marks of the object that is chosen on the node. Raises Trouble for a bad name."""
    name = clicks.checked(kept.object_name)
    kept.points = clicks.added(kept.points, clicks.named(marks, name))


def needed_mask(kept):
    """The mask that is chosen on the node; raises Trouble without one."""
    if kept.subject_mask is None:
        raise Trouble("Choose a Mask first (Subject): draw one in the Image or Clip editor.")
    return kept.subject_mask


CLASSES = (
    MATTE_OT_click, MATTE_OT_subject_from, MATTE_OT_forget_marks, MATTE_OT_trimap_from_mask,
    MATTE_OT_paint, MATTE_OT_forget_paint, MATTE_OT_view,
)  # fmt: skip
