# SPDX-License-Identifier: GPL-3.0-or-later
"""Matte: every image and video matting model as a node of the compositor.

The models run in a Python of the user's own, outside of Blender; what is here collects the inputs,
asks the matte service, and shows the result.
"""

bl_info = {
    "name": "Matte",
    "author": "The matte-nodes authors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "Compositor > Add > Matte; Sidebar > Matte",
    "description": "Every image and video matting model as a compositor node",
    "category": "Compositing",
}
VERSION = ".".join(str(part) for part in bl_info["version"])
"""Kept apart: Blender takes bl_info away from extensions."""


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    import bpy

    from . import handlers, learn, panel, settings

    settings.register()
    for module in _modules():
        for known in module.CLASSES:
            bpy.utils.register_class(known)
    bpy.types.NODE_MT_add.append(panel.add_menu)
    handlers.register()
    # While an add-on is being enabled there may be no data to look at yet.
    if hasattr(bpy.data, "node_groups"):
        learn.recall()
    else:
        bpy.app.timers.register(learn.recall, first_interval=0.0)


def unregister() -> None:
    """Called by Blender when the add-on is disabled; files keep their nodes, bakes and settings."""
    import bpy

    from . import handlers, learn, panel, settings, viewer

    viewer.draw_marks(False)
    if bpy.app.timers.is_registered(learn.recall):
        bpy.app.timers.unregister(learn.recall)
    handlers.unregister()
    bpy.types.NODE_MT_add.remove(panel.add_menu)
    for module in reversed(_modules()):
        for known in reversed(module.CLASSES):
            bpy.utils.unregister_class(known)
    settings.unregister()


def _modules() -> tuple:
    from . import (
        bake_operators,
        errand_operators,
        operators,
        panel,
        preferences,
        presets,
        subject_operators,
        weights_operators,
    )

    return (
        preferences, operators, bake_operators, errand_operators, subject_operators,
        weights_operators, presets, panel,
    )  # fmt: skip
