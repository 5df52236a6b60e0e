# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between Blender 3.4 and 5.x. Checks Blender's features, never its version."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import bpy

OUTPUTS = (
    "CompositorNodeComposite",
    "CompositorNodeViewer",
    "CompositorNodeSplitViewer",
    "CompositorNodeOutputFile",
)


RELATIVE_PATH: set[str] = (
    {"PATH_SUPPORTS_BLEND_RELATIVE"}
    if "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
    else set()
)
"""Options of a property that holds a path which may begin with `//`: 4.5 and newer want to know."""


class Root(NamedTuple):
    """A compositor tree that stands for itself, and where.

    before: trees of the effects whose result is its input, in order. strip: name of the strip of
    the sequencer that it works on; "" for the scene's own compositor.
    """

    tree: Any
    before: tuple[Any, ...] = ()
    strip: str = ""


def roots(scene: Any) -> list[Root]:
    """Return all compositor trees of a scene: its own, or its stack of effects, and its strips'."""
    found: list[Root] = []
    if _stacks(scene):  # 5.3 and newer
        before: tuple[Any, ...] = ()
        for effect in scene.compositor_effects:
            if effect.node_group is not None:
                found.append(Root(effect.node_group, before))
                if effect.enable_for_render:
                    before = (*before, effect.node_group)
    elif not _embeds(scene):
        if scene.compositing_node_group is not None:
            found.append(Root(scene.compositing_node_group))
    elif scene.use_nodes and scene.node_tree is not None:
        found.append(Root(scene.node_tree))
    editor = scene.sequence_editor
    for strip in getattr(editor, "strips_all", ()) if editor is not None else ():
        owners = [strip, *getattr(strip, "modifiers", ())]
        trees = [getattr(owner, "node_group", None) for owner in owners]
        found += [Root(tree, (), strip.name) for tree in trees if tree is not None]
    return found


def root_tree(scene: Any) -> Any:
    """Return the compositor tree that the scene shows, or None."""
    if _stacks(scene):
        effects = [effect for effect in scene.compositor_effects if effect.node_group is not None]
        active = next((effect for effect in effects if effect.is_active), None)
        chosen = active or (effects[0] if effects else None)
        return None if chosen is None else chosen.node_group
    found = [root.tree for root in roots(scene) if not root.strip]
    return found[0] if found else None


def ensure_tree(scene: Any) -> Any:
    """Return the scene's compositor tree; made where there is none."""
    if _embeds(scene):
        scene.use_nodes = True
        return scene.node_tree
    tree = root_tree(scene)
    if tree is None:
        tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
        _set_trees(scene, [tree])
    return tree


def own_tree(scene: Any, root: Root, made: list[Any]) -> Any:
    """Return a copy of a tree as the compositor of a scene that is a copy.

    The effects before it stay, as copies. made: node groups and actions, to be removed later.
    """
    if _embeds(scene):
        own_action(scene.node_tree, made)
        return scene.node_tree
    before = [own_copy(tree, made) for tree in root.before]
    tree = own_copy(root.tree, made)
    _set_trees(scene, [*before, tree])
    return tree


def trees_of(scene: Any) -> list[Any]:
    """Return the trees of a scene's own compositor, in order."""
    return [root.tree for root in roots(scene) if not root.strip]


def clear(scene: Any, made: list[Any]) -> None:
    """Empty the trees of a scene that is a copy: a Render Layers node holds its own scene."""
    for tree in trees_of(scene):
        if _embeds(scene) or tree in made:
            tree.nodes.clear()


def gives_input() -> bool:
    """Whether the input of a whole compositor tree is the render.

    5.0 to 5.2 have such an input, and give nothing at it to any node (measured with bpy).
    """
    return "compositor_effects" in bpy.types.Scene.bl_rna.properties


def _stacks(scene: Any) -> bool:
    return "compositor_effects" in scene.bl_rna.properties


def _embeds(scene: Any) -> bool:
    """Whether a scene has one tree of its own, as before 5.0."""
    return not _stacks(scene) and "compositing_node_group" not in scene.bl_rna.properties


def _set_trees(scene: Any, trees: list[Any]) -> None:
    if _stacks(scene):
        scene.compositor_effects.clear()
        for tree in trees:
            effect = scene.compositor_effects.new(tree.name)
            effect.node_group = tree
    else:
        scene.compositing_node_group = trees[-1]


def own_copy(group: Any, made: list[Any]) -> Any:
    """Return a copy of a node group that shares nothing with it that an edit could change."""
    copy = group.copy()
    made.append(copy)
    own_action(copy, made)
    return copy


def remove(made: list[Any]) -> None:
    """Remove node groups and actions that were made."""
    for thing in made:
        actions = thing.bl_rna.identifier == "Action"
        (bpy.data.actions if actions else bpy.data.node_groups).remove(thing)


def own_action(tree: Any, made: list[Any]) -> None:
    """Give a copied tree keyframes of its own: the nodes that are taken out take theirs along.

    made: things to be removed later, in order.
    """
    data = tree.animation_data
    if data is None or data.action is None:
        return
    slot = getattr(data, "action_slot", None)
    identifier = getattr(slot, "identifier", "")
    data.action = data.action.copy()
    made.append(data.action)
    if identifier:  # 4.4 and newer
        data.action_slot = next(s for s in data.action.slots if s.identifier == identifier)


def socket_names(tree: Any, output: bool) -> list[str]:
    """Return names of a group's inputs or outputs, in order."""
    if hasattr(tree, "interface"):
        wanted = "OUTPUT" if output else "INPUT"
        return [
            item.name
            for item in tree.interface.items_tree
            if item.item_type == "SOCKET" and item.in_out == wanted
        ]
    return [socket.name for socket in (tree.outputs if output else tree.inputs)]


def add_socket(tree: Any, kind: str, name: str, output: bool) -> Any:
    """Return a new input or output of a group; kind: NodeSocketColor or NodeSocketFloat."""
    if hasattr(tree, "interface"):
        in_out = "OUTPUT" if output else "INPUT"
        return tree.interface.new_socket(name, in_out=in_out, socket_type=kind)
    return (tree.outputs if output else tree.inputs).new(kind, name)


def hide_values(tree: Any) -> None:
    """Show no slider at an input that nothing is connected to: a number there would do nothing."""
    items = tree.interface.items_tree if hasattr(tree, "interface") else tree.inputs
    for item in items:
        if getattr(item, "in_out", "INPUT") == "INPUT" and hasattr(item, "hide_value"):
            item.hide_value = True


def set_apply_mask(node: Any) -> None:
    """Set Alpha as the product of the picture and the mask."""
    if hasattr(node, "mode"):
        node.mode = "APPLY"
    else:
        node.inputs["Type"].default_value = "Apply Mask"


def set_replace_alpha(node: Any) -> None:
    """Set Alpha as another alpha beside the same colours."""
    if hasattr(node, "mode"):
        node.mode = "REPLACE_ALPHA"
    else:
        node.inputs["Type"].default_value = "Replace Alpha"


def has_alpha(image: Any) -> bool:
    """Whether a picture's file has an alpha that means transparency."""
    # Planes of the file: 32 bits of bytes, 64 of halves and 128 of floats are four channels.
    return image.depth in (32, 64, 128) and image.alpha_mode in ("STRAIGHT", "PREMUL")


def file_output(node: Any, folder: str, names: list[str]) -> None:
    """A File Output that writes half RGB EXRs, folder/name.0001.exr, one for each input.

    Half is what a bake is made of; a movie of 1000 frames is large enough so.
    """
    kind = node.format
    if hasattr(node, "file_output_items"):
        node.directory, node.file_name = folder, ""
        kind.media_type = "IMAGE"
        kind.file_format = "OPEN_EXR"
        node.file_output_items.clear()
        for name in names:
            node.file_output_items.new("RGBA", name + ".")
    else:
        node.base_path = folder
        kind.file_format = "OPEN_EXR"
        node.file_slots.clear()
        for name in names:
            node.file_slots.new(name + ".")
    kind.color_depth, kind.color_mode, kind.exr_codec = "16", "RGB", "ZIP"


def colour_config() -> str:
    """Return the path of the OCIO config that this Blender works with.

    "" when it is not to be found.
    """
    if os.environ.get("OCIO"):
        return os.environ["OCIO"]
    folder = bpy.utils.system_resource("DATAFILES", path="colormanagement")
    path = os.path.join(folder or "", "config.ocio")
    return path if folder and os.path.isfile(path) else ""


def in_working_space(image: Any) -> None:
    """Let a picture be read as the working space that it was written in.

    A file keeps the name of the space that it had; before 5.0 there is only one.
    """
    if getattr(bpy.data, "colorspace", None) is None:
        return
    wanted = str(bpy.data.colorspace.working_space)
    if image.colorspace_settings.name != wanted:
        try:
            image.colorspace_settings.name = wanted
        except TypeError:  # a config that does not let pictures be in it
            return


def dilate(node: Any, pixels: int) -> None:
    """Let a Dilate/Erode node grow a mask by so many pixels; less than 0 shrinks it."""
    if hasattr(node, "distance"):
        node.mode, node.distance = "STEP", pixels
    else:
        node.inputs["Size"].default_value = pixels


def math(tree: Any, operation: str, *values: float) -> Any:
    """Return a new Math node; values: of its inputs, where nothing is linked to them."""
    try:
        node = tree.nodes.new("ShaderNodeMath")
    except RuntimeError:  # before 5.0
        node = tree.nodes.new("CompositorNodeMath")
    node.operation = operation
    for socket, value in zip(node.inputs, values):  # noqa: B905 (there are three inputs)
        socket.default_value = value
    return node


def picture(node: Any, top: bool) -> Any:
    """Return the input of an Alpha Over node for the picture on top, or for the one below."""
    colours = [socket for socket in node.inputs if socket.type == "RGBA"]
    named = {socket.name: socket for socket in colours}
    if "Background" in named:  # 5.0 and newer
        return named["Foreground" if top else "Background"]
    return colours[1 if top else 0]


def working_space() -> str:
    """Return the name or role of the space that the compositor works in."""
    space = getattr(bpy.data, "colorspace", None)
    return str(space.working_space) if space is not None else "scene_linear"
