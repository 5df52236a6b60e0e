# SPDX-License-Identifier: Apache-2.0
"""A compositor of the tests' scripts: nodes by kind, whatever they are called in this Blender."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import bpy


def fresh(
    blend: str = "", size: tuple[int, int] = (96, 72), frames: tuple[int, int] = (1, 250)
) -> Any:
    """An empty scene with an empty compositor tree, saved; answers the tree."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    if blend:
        bpy.ops.wm.save_as_mainfile(filepath=blend)
    tree = tree_of(scene)
    for node in list(tree.nodes):
        tree.nodes.remove(node)
    scene.frame_start, scene.frame_end = frames
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.use_compositing, render.use_sequencer = True, False
    if hasattr(render, "compositor_device"):
        render.compositor_device = "CPU"
    return tree


def tree_of(scene: Any) -> Any:
    """The scene's compositor tree; made where there is none."""
    if hasattr(scene, "compositing_node_group"):
        if scene.compositing_node_group is None:
            made = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
            scene.compositing_node_group = made
        return scene.compositing_node_group
    scene.use_nodes = True
    return scene.node_tree


def matte(tree: Any, plate: Any = None, **values: Any) -> Any:
    """A Matte node (made by its operator) with green-screen, and a plate's socket linked."""
    before = set(tree.nodes)
    assert bpy.ops.matte_nodes.add() == {"FINISHED"}
    node = next(n for n in tree.nodes if n not in before)
    kept = node.node_tree.matte_nodes
    kept.model_menu = "green-screen"
    node.node_tree.matte_knobs.model_green_screen__screen_level = 0.25
    for name, value in values.items():
        setattr(kept, name, value)
    if plate is not None:
        tree.links.new(plate, node.inputs["Image"])
    return node


def image(
    tree: Any, path: str, source: str = "SEQUENCE", frames: Any = None, space: str = ""
) -> Any:
    """An Image node; frames: (duration, start, offset, cyclic)."""
    node = tree.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images.load(path)
    node.image.source = source
    if space:
        node.image.colorspace_settings.name = space
    if frames is not None:
        duration, start, offset, cyclic = frames
        node.frame_duration, node.frame_start, node.frame_offset = duration, start, offset
        node.use_cyclic, node.use_auto_refresh = cyclic, True
    return node


def clip(tree: Any, path: str, start: int = 1, offset: int = 0, space: str = "") -> Any:
    """A Movie Clip node."""
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = bpy.data.movieclips.load(path)
    node.clip.frame_start, node.clip.frame_offset = start, offset
    if space:
        node.clip.colorspace_settings.name = space
    return node


def linear() -> str:
    """What this Blender calls linear Rec.709."""
    names = bpy.data.images.new("probe", 1, 1).bl_rna  # the menu is the same for every picture
    del names
    probe = bpy.data.images["probe"]
    for name in ("Linear Rec.709", "Linear"):
        try:
            probe.colorspace_settings.name = name
            found = name
            break
        except TypeError:
            continue
    bpy.data.images.remove(probe)
    return found


def over(tree: Any, matte_socket: Any, colour: tuple[float, ...]) -> Any:
    """The picture over a plain colour, by Alpha Over as it is by default; answers its socket."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    colours = [s for s in node.inputs if s.type == "RGBA"]
    names = [s.name for s in colours]
    under = colours[names.index("Background")] if "Background" in names else colours[0]
    top = colours[names.index("Foreground")] if "Foreground" in names else colours[1]
    plain = tree.nodes.new("CompositorNodeRGB")
    plain.outputs[0].default_value = (*colour, 1.0)
    # A plain colour has no size: the scene's is given to it by the picture on top.
    tree.links.new(plain.outputs[0], under)
    tree.links.new(matte_socket, top)
    return node.outputs[0]


def finish(tree: Any, socket: Any) -> None:
    """Let a socket be what the scene renders."""
    if hasattr(bpy.context.scene, "compositing_node_group"):
        output = next((n for n in tree.nodes if n.bl_idname == "NodeGroupOutput"), None)
        if output is None:
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            output = tree.nodes.new("NodeGroupOutput")
    else:
        output = next((n for n in tree.nodes if n.bl_idname == "CompositorNodeComposite"), None)
        output = output or tree.nodes.new("CompositorNodeComposite")
    tree.links.new(socket, output.inputs[0])


def render(frame: int, path: str) -> None:
    """Render a frame into a 32-bit EXR."""
    scene = bpy.context.scene
    kind = scene.render.image_settings
    if hasattr(kind, "media_type"):
        kind.media_type = "IMAGE"
    kind.file_format, kind.color_depth, kind.color_mode = "OPEN_EXR", "32", "RGBA"
    scene.frame_set(frame)
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)
    assert os.path.isfile(path), path


def state(node: Any) -> list[Any]:
    """Kind and text of a Matte node's state."""
    status = module("status")
    found = status.of(node.node_tree, bpy.context.scene, fresh=True)
    return [found.kind, found.text, found.wrong]


def module(name: str) -> Any:
    """A module of the add-on that was loaded."""
    return sys.modules["matte_nodes_blender." + name]


def bake(node: Any, frame: bool = False) -> dict[str, Any]:
    """Bake without a window; answers what happened."""
    operator = bpy.ops.matte_nodes.bake_frame if frame else bpy.ops.matte_nodes.bake
    try:
        ended, error = sorted(operator(group=node.node_tree.name)), ""
    except RuntimeError as problem:
        ended, error = ["RAISED"], str(problem)
    tree = node.node_tree
    return {
        "ended": ended, "error": error, "message": tree.matte_nodes.message,
        "note": tree.matte_nodes.note, "folder": module("group").linked_folder(tree),
        "state": state(node),
    }  # fmt: skip


def arguments() -> dict[str, Any]:
    """What the test handed over: one JSON text."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found
