# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for the review page and for fine-tuning."""

# No `from __future__ import annotations` here: Blender reads the annotations as properties.
import bpy

from .bake_operators import OnWork
from .errands import FineTune, Review


class MATTE_OT_review(OnWork, bpy.types.Operator):
    """Make a page of the baked frames beside the plate, with measurements and checks, and open it
    in the browser"""

    bl_idname = "matte_nodes.review"
    bl_label = "Review Page"

    def started(self, context, tree):
        return Review(tree, context.scene)


class MATTE_OT_finetune(OnWork, bpy.types.Operator):
    """Train a model for this shot on the painted frames, and choose it. It takes minutes on a
    processor; you can go on working"""

    bl_idname = "matte_nodes.finetune"
    bl_label = "Fine-Tune on Painted Frames"
    steps: bpy.props.IntProperty(
        name="Steps", min=0, description="At most this many; 0: as many as usual",
        options={"SKIP_SAVE"},
    )  # fmt: skip

    def started(self, context, tree):
        return FineTune(tree, context.scene, self.steps)


CLASSES = (MATTE_OT_review, MATTE_OT_finetune)
