# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which Python does the matting, and on which device."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy

from . import addon, learn, settings, weights_operators
from .panel import lines
from .trouble import Trouble


class MATTE_AP_preferences(bpy.types.AddonPreferences):
    """Kept by Blender for this user."""

    bl_idname = addon.NAME

    python_path: bpy.props.StringProperty(
        name="Python",
        subtype="FILE_PATH",
        description="The Python that has matte-nodes; empty: what `matte install blender` noted",
    )
    home: bpy.props.StringProperty(
        name="Matte home",
        subtype="DIR_PATH",
        description="Where matte-nodes keeps weights (MATTE_HOME); empty: its usual place",
    )
    device: bpy.props.StringProperty(
        name="Device", default="auto", description="auto, cpu, cuda, cuda:1, mps, tensorrt"
    )
    declarations: bpy.props.StringProperty(options={"HIDDEN"})

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python_path")
        layout.prop(self, "home")
        layout.prop(self, "device")
        try:
            layout.label(text=addon.named(self.python_path, self.home).python, icon="CONSOLE")
        except Trouble as error:
            layout.label(text=str(error), icon="ERROR")
        layout.operator("matte_nodes.check_environment")
        if learn.said[0]:
            lines(layout, learn.said[0], WIDE)
        self.weights(layout.box())

    def weights(self, box):
        """Draw the models whose weights are not here, each with its terms and a button."""
        cards = settings.known().cards.values()
        lacking = [card for card in cards if card.get("ready") is False]
        ready = sum(1 for card in cards if card.get("ready"))
        box.label(text=f"Weights: {ready} models are ready", icon="PACKAGE")
        if weights_operators.state["said"]:
            lines(box, weights_operators.state["said"], WIDE, "INFO")
        for card in lacking:
            row = box.row()
            row.label(text=f"{card['name']}: {card.get('licence') or 'licence not stated'}")
            row.label(text=f"commercial use: {card.get('commercial')}")
            if card.get("weights_state") == "to pull":
                row.operator("matte_nodes.pull", icon="IMPORT").model = card["name"]
            else:
                row.label(text="bring your own")


WIDE = 90
"""Signs of text in a line of the preferences."""


CLASSES = (MATTE_AP_preferences,)
