# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which Python does the matting, and on which device."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy

from . import addon, learn
from .setup import setup
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
            layout.label(text=setup(self.python_path, self.home).python, icon="CONSOLE")
        except Trouble as error:
            layout.label(text=str(error), icon="ERROR")
        layout.operator("matte_nodes.check_environment")
        if learn.said[0]:
            layout.label(text=learn.said[0])


CLASSES = (MATTE_AP_preferences,)
