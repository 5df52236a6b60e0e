# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the weights of a model with the Python of the preferences, after its terms were read."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy

from . import addon, learn, settings
from .commands import Command
from .operators import fail, redraw
from .trouble import Trouble

SECONDS = 0.3
state = {"model": "", "said": ""}
"""The model that is being fetched, and what was said last."""


class Fetch(Command):
    """`matte models pull MODEL` on its way."""

    def __init__(self, model):
        self.model = model
        self.offline = not getattr(bpy.app, "online_access", True)
        arguments = ["models", "pull", model, "--accept-licence"]
        if self.offline:
            arguments += ["--source", "folder"]
        super().__init__(addon.chosen(), arguments)


class MATTE_OT_pull(bpy.types.Operator):
    """Fetch the weights of a model from where they are published, after you have read its terms"""

    bl_idname = "matte_nodes.pull"
    bl_label = "Get Weights"
    model: bpy.props.StringProperty(options={"SKIP_SAVE"})
    accept: bpy.props.BoolProperty(name="I accept these terms", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return not state["model"]

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=460)

    def draw(self, context):
        from .panel import lines

        card, column = settings.known().card(self.model) or {}, self.layout.column()
        for name, text in (
            ("Model", f"{self.model}: {card.get('title', '')}"),
            ("Licence", card.get("licence") or "not stated"),
            ("Commercial use", card.get("commercial") or "not stated"),
            ("Trained on", card.get("training_data") or "not stated"),
        ):
            lines(column, f"{name}: {text}", 68)
        self.layout.prop(self, "accept")

    def execute(self, context):
        try:
            card = settings.known().card(self.model)
            if card is None:
                raise Trouble(f"There is no model {self.model!r}: press Check Environment.")
            if not self.accept:
                raise Trouble(
                    f"{self.model}: the terms were not accepted ({card.get('licence')}; commercial "
                    f"use: {card.get('commercial')}). Nothing was fetched."
                )
            fetch = Fetch(self.model)
        except Trouble as error:
            state["said"] = str(error)
            return fail(self, None, error)
        state.update(model=self.model, said="asking for the weights")
        if bpy.app.background:
            code = None
            while code is None:
                code = fetch.poll(SECONDS)
            return self.ended(fetch, code)
        bpy.app.timers.register(lambda: self.follow(fetch), first_interval=SECONDS)
        return {"FINISHED"}

    @staticmethod
    def follow(fetch):
        """Called by Blender while it runs; asks to be called again."""
        code = fetch.poll()
        state["said"] = fetch.lines[-1] if fetch.lines else state["said"]
        if code is None:
            redraw_all()
            return SECONDS
        finish(fetch, code)
        redraw_all()
        return None

    def ended(self, fetch, code):
        """Without a window: report how it went."""
        finish(fetch, code)
        if code:
            self.report({"ERROR"}, state["said"])
            return {"CANCELLED"}
        self.report({"INFO"}, state["said"])
        return {"FINISHED"}


def finish(fetch, code):
    """Note how it went, and ask the environment what it can do now."""
    state["model"] = ""
    if code:
        online = (
            " Blender may not go online (Preferences > System > Allow Online Access), so only "
            "folders of $MATTE_WEIGHTS_PATH were looked into."
        )
        state["said"] = f"{fetch.model}: the weights were not fetched. {fetch.end()}" + (
            online if fetch.offline else ""
        )
        return
    state["said"] = f"{fetch.model}: the weights are here. {fetch.lines[-1] if fetch.lines else ''}"
    try:
        learn.said[0] = learn.ask()
    except Trouble as error:
        learn.said[0] = str(error)


def redraw_all():
    """Draw node editors and preferences anew."""
    redraw()
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


CLASSES = (MATTE_OT_pull,)
