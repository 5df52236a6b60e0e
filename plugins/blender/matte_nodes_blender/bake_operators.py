# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake, bake this frame, cancel. In a window they go on while the artist works."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import sys

import bpy

from . import baking, status, walk
from .baking import Bake
from .job import DONE
from .operators import OnMatte, fail, redraw
from .trouble import Trouble

SECONDS = 0.2
waiting: "list[str]" = []
"""Names of the groups that Bake All has still to bake, in order."""


def pump():
    """Follow all bakes at work; Blender calls it while there are any."""
    drawn = _next()
    for bake in list(baking.running.values()):
        if bake.job is not None or bake.alone:  # until then the operator renders its inputs
            drawn = step(bake) or drawn
        if bake.ended:
            status.forget()
            if bake.state != DONE:
                waiting.clear()
    if drawn:
        redraw()
    return SECONDS if baking.running or waiting else None


def _next():
    """Begin the next bake of Bake All, when the one before has ended well. Whether it did."""
    if not waiting or baking.running:
        return False
    tree = bpy.data.node_groups.get(waiting.pop(0))
    if tree is None:
        return False
    try:
        Bake(tree, bpy.context.scene).alone = True
    except Exception as error:  # what feeds the others must be right: stop here
        waiting.clear()
        baking.complain(tree, bpy.context.scene, str(error) or type(error).__name__)
    status.forget()
    return True


def step(bake):
    """Follow one bake. Returns whether Blender must redraw."""
    try:
        return bake.step()
    except Exception as error:  # a bake that fails must not stop the others
        end(bake, error)
        return True


def end(bake, error):
    """Give a bake up."""
    bake.leave()
    bake.cancel()
    tree = bake.tree
    if tree is not None:
        baking.complain(tree, bpy.context.scene, str(error) or type(error).__name__)


def over_compositor(context, event):
    """Whether the mouse is over a compositor: ESC elsewhere is meant for another tool."""
    x, y = event.mouse_x, event.mouse_y
    for area in context.window.screen.areas:
        if area.x <= x < area.x + area.width and area.y <= y < area.y + area.height:
            space = area.spaces.active
            return area.type == "NODE_EDITOR" and space.tree_type == "CompositorNodeTree"
    return False


class OnWork(OnMatte):
    """Base class of the operators that start work beside the artist: a bake, a page, a training."""

    unfinished = "It was cancelled."

    def started(self, context, tree):
        """Start the work and return it. Raises Trouble."""
        raise NotImplementedError

    def work(self, context, tree):
        """Without a window: work to the end."""
        work = self.begin(context, tree)
        while not work.ended:
            if work.step(SECONDS):
                text = f"Matte {tree.name}: {work.doing}, {work.done} of {work.total}"
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
        if tree.matte_nodes.message:
            raise Trouble(tree.matte_nodes.message)
        tree.matte_nodes.note = work.result
        return {"FINISHED"}

    def begin(self, context, tree):
        """Start; raises Trouble."""
        from .matte_client import ServiceError

        try:
            return self.started(context, tree)
        except ServiceError as error:
            raise Trouble(str(error)) from error
        except OSError as error:
            raise Trouble(f"{self.bl_label}: it could not begin: {error}") from error

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        tree = None
        try:
            tree = self.tree(context)
            context.window.cursor_set("WAIT")
            self.running = self.begin(context, tree)
        except Trouble as error:
            return fail(self, tree, error)
        finally:
            context.window.cursor_set("DEFAULT")
            status.forget()
        if not bpy.app.timers.is_registered(pump):
            bpy.app.timers.register(pump, first_interval=SECONDS)
        manager = context.window_manager
        manager.progress_begin(0, 100)
        self.timer = manager.event_timer_add(SECONDS, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Only watch: all events but ours go on to the artist's tools."""
        work = self.running
        if work.ended:
            return self.finish(context)
        if event.type == "ESC" and event.value == "PRESS" and over_compositor(context, event):
            work.cancel()
            return {"RUNNING_MODAL"}
        if event.type == "TIMER" and work.job is None:
            step(work)
            redraw()
        if event.type == "TIMER" and work.total:
            context.window_manager.progress_update(100 * work.done / work.total)
        return {"PASS_THROUGH"}

    def cancel(self, context):
        """Blender takes the operator away: the work goes on."""
        self.leave(context)

    def finish(self, context):
        """Report how it went."""
        self.leave(context)
        redraw()
        tree = self.running.tree
        message = tree.matte_nodes.message if tree is not None else ""
        if message:
            self.report({"ERROR"}, message)
            return {"CANCELLED"}
        if self.running.state != DONE:
            self.report({"WARNING"}, self.unfinished)
            return {"CANCELLED"}
        self.report({"INFO"}, f"{self.bl_label}: {self.running.result}.")
        return {"FINISHED"}

    def leave(self, context):
        """Give timer and cursor back."""
        manager = context.window_manager
        manager.progress_end()
        manager.event_timer_remove(self.timer)


class OnBake(OnWork):
    """Base class of the two bake operators."""

    unfinished = "The bake was cancelled; frames that are done stay."

    def frame(self, context):
        """The frame that is baked, None for the range."""
        return

    def started(self, context, tree):
        return Bake(tree, context.scene, self.frame(context))


class MATTE_OT_bake(OnBake, bpy.types.Operator):
    """Matte the range. What is done already stays; ESC over the compositor stops it"""

    bl_idname = "matte_nodes.bake"
    bl_label = "Bake Matte"


class MATTE_OT_bake_frame(OnBake, bpy.types.Operator):
    """Matte the current frame, for a quick look"""

    bl_idname = "matte_nodes.bake_frame"
    bl_label = "Matte This Frame"

    def frame(self, context):
        return context.scene.frame_current


class MATTE_OT_bake_all(bpy.types.Operator):
    """Matte the ranges of all Matte nodes of the scene, one after the other: what feeds another
    node comes first"""

    bl_idname = "matte_nodes.bake_all"
    bl_label = "Bake All"

    @classmethod
    def poll(cls, context):
        return not waiting

    def execute(self, context):
        trees = walk.in_order(context.scene)
        if not trees:
            return fail(self, None, Trouble("There is no Matte node in this scene."))
        if not bpy.app.background:
            waiting[:] = [tree.name for tree in trees]
            if not bpy.app.timers.is_registered(pump):
                bpy.app.timers.register(pump, first_interval=0.0)
            return {"FINISHED"}
        for tree in trees:
            bpy.ops.matte_nodes.bake(group=tree.name)
        return {"FINISHED"}


class MATTE_OT_cancel(OnMatte, bpy.types.Operator):
    """Stop what is being done for this node; frames that are done stay"""

    bl_idname = "matte_nodes.cancel"
    bl_label = "Cancel"

    def work(self, context, tree):
        bake = baking.running.get(tree.matte_nodes.bake_name)
        waiting.clear()
        if bake is None:
            raise Trouble("Nothing is being done for this node.")
        bake.cancel()
        return {"FINISHED"}


def stop_all() -> None:
    """Follow no bake any more; the service brings them to their end."""
    waiting.clear()
    for bake in list(baking.running.values()):
        bake.quit()
    baking.running.clear()
    if bpy.app.timers.is_registered(pump):
        bpy.app.timers.unregister(pump)


CLASSES = (MATTE_OT_bake, MATTE_OT_bake_frame, MATTE_OT_bake_all, MATTE_OT_cancel)
