# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what is upstream of an input to EXRs.

It is done in a copy of the scene with a copy of its node tree, so that there is nothing of the
artist's to put back: the copy is removed whatever happens. Nothing is rendered that the inputs do
not need, and no output of the artist's is written.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

import bpy

from . import compat, folders
from .trouble import Trouble
from .walk import Found

busy = [False]
"""True while it renders, for handlers that must tell this render from the artist's."""
_SOCKET = "matte_input"


def pattern(folder: str, name: str) -> str:
    """Return the pattern for the rendered frames of an input."""
    return os.path.join(folder, f"{name}.{'#' * folders.DIGITS}.exr")


def render(
    scene: Any, wanted: Mapping[str, Found], folder: str, first: int, last: int,
    size: tuple[int, int] = (0, 0),
) -> None:  # fmt: skip
    """Write these frames of the inputs (half, RGB, scene-linear, premultiplied) to `pattern`.

    size: of a Mask node's and of a 3D render's picture; (0, 0) for that of the scene. Raises
    Trouble when Blender does not render or a frame is not there.
    """
    _render(scene, wanted, folder, (first, last), size)
    for name in wanted:
        _check(name, folder, first, last)


def _render(
    scene: Any, wanted: Mapping[str, Found], folder: str, span: tuple[int, int],
    size: tuple[int, int],
) -> None:  # fmt: skip
    made: list[Any] = []
    copy = None
    busy[0] = True
    try:
        copy = scene.copy()
        root = next(iter(wanted.values())).way.root
        tree = compat.own_tree(copy, root, made)
        sockets = _exposed(tree, wanted, made)
        _strip(tree, made)
        _prune(tree, sockets)
        _effects_before(copy, tree, made)
        _camera(copy)
        output = tree.nodes.new("CompositorNodeOutputFile")
        compat.file_output(output, folder, list(sockets))
        for place, socket in enumerate(sockets.values()):
            tree.links.new(_without_notes(tree, socket), output.inputs[place])
        _settings(copy.render, folder)
        if all(size):
            copy.render.resolution_x, copy.render.resolution_y = size
            copy.render.resolution_percentage = 100
        (copy.frame_start, copy.frame_end), copy.frame_step = span, 1
        bpy.ops.render.render(animation=True, scene=copy.name)
    except RuntimeError as error:
        names = " and the ".join(wanted)
        raise Trouble(
            f"Blender could not render the {names}: {_said(error)}. The nodes upstream must "
            "render by themselves."
        ) from error
    finally:
        if copy is not None:
            compat.clear(copy, made)
            bpy.data.scenes.remove(copy)
        compat.remove(made)
        for path in glob.glob(os.path.join(glob.escape(folder), "main*")):
            os.unlink(path)
        busy[0] = False


def _without_notes(tree: Any, socket: Any) -> Any:
    """Return a socket with the same pixels, without the notes of the file that they came from.

    Blender 5.1.2 ends when it writes an EXR with the notes of a TIFF ("compression" is a text there).
    """
    same = tree.nodes.new("CompositorNodeExposure")  # by 0 stops: it makes a picture of its own
    tree.links.new(socket, same.inputs["Image"])
    return same.outputs["Image"]


def _effects_before(scene: Any, tree: Any, made: list[Any]) -> None:
    """Leave the effects before a tree only where the tree uses what they make; none of them writes."""
    used = any(n.bl_idname == "NodeGroupInput" for n in tree.nodes)
    if hasattr(scene, "compositor_effects"):
        for effect in list(scene.compositor_effects):
            if effect.node_group != tree and not used:
                scene.compositor_effects.remove(effect)
            elif effect.node_group != tree:
                _strip(effect.node_group, made)


def _camera(scene: Any) -> None:
    kinds = {node.bl_idname for tree in compat.trees_of(scene) for node in tree.nodes}
    if scene.camera is None and kinds & {"CompositorNodeRLayers", "NodeGroupInput"}:
        raise Trouble("The scene is rendered upstream of the Matte node, but it has no camera.")


def _settings(render: Any, folder: str) -> None:
    render.use_compositing, render.use_sequencer = True, False
    render.use_border = render.use_multiview = False
    render.use_overwrite, render.use_placeholder = True, False
    # Notes in the files' headers, such as the date, would make each time another picture of them.
    for item in render.bl_rna.properties:
        if item.identifier.startswith("use_stamp"):
            setattr(render, item.identifier, False)
    # The scene's own output is written too; it is small and removed.
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "IMAGE"
    render.image_settings.file_format = "JPEG"
    render.filepath = os.path.join(folder, "main")


def _exposed(tree: Any, wanted: Mapping[str, Found], made: list[Any]) -> dict[str, Any]:
    """Return the sockets at the top of the copied tree that carry the inputs.

    One inside a nested group is led out through copies of the groups on its way.
    """
    copies: dict[tuple[str, ...], Any] = {(): tree}
    sockets = {}
    for name, found in wanted.items():
        path: tuple[str, ...] = ()
        inside = tree
        for node in found.way.nodes:
            holder, path = inside.nodes[node.name], (*path, node.name)
            if path not in copies:
                holder.node_tree = copies[path] = compat.own_copy(holder.node_tree, made)
            inside = copies[path]
        socket = _same(inside.nodes[found.socket.node.name].outputs, found.socket)
        while path:
            inside = copies[path]
            label = f"{_SOCKET}_{name}"
            compat.add_socket(inside, "NodeSocketColor", label, output=True)
            ends = [n for n in inside.nodes if n.bl_idname == "NodeGroupOutput"]
            end = next((n for n in ends if n.is_active_output), None)
            end = end or inside.nodes.new("NodeGroupOutput")
            inside.links.new(socket, end.inputs[label])
            holder, path = copies[path[:-1]].nodes[path[-1]], path[:-1]
            socket = holder.outputs[label]
        sockets[name] = socket
    return sockets


def _strip(tree: Any, made: list[Any]) -> None:
    """Take all outputs out of a tree, and out of copies of the groups in it."""
    for node in list(tree.nodes):
        inside = getattr(node, "node_tree", None)
        if node.bl_idname in compat.OUTPUTS:
            tree.nodes.remove(node)
        elif inside is not None and _writes(inside):
            if inside not in made:
                node.node_tree = inside = compat.own_copy(inside, made)
            _strip(inside, made)


def _writes(tree: Any) -> bool:
    for node in tree.nodes:
        inside = getattr(node, "node_tree", None)
        if node.bl_idname == "CompositorNodeOutputFile" or (inside is not None and _writes(inside)):
            return True
    return False


def _prune(tree: Any, sockets: Mapping[str, Any]) -> None:
    """Take out the nodes that the inputs do not need: a Render Layers node may be among them."""
    needed: set[str] = set()
    queue = [socket.node for socket in sockets.values()]
    while queue:
        node = queue.pop()
        if node.name not in needed:
            needed.add(node.name)
            queue += [link.from_node for socket in node.inputs for link in socket.links]
            if node.parent is not None:
                queue.append(node.parent)
    for node in list(tree.nodes):
        if node.name not in needed:
            tree.nodes.remove(node)


def _check(name: str, folder: str, first: int, last: int) -> None:
    for frame in range(first, last + 1):
        path = os.path.join(folder, f"{name}.{frame:0{folders.DIGITS}d}.exr")
        if not os.path.isfile(path):
            raise Trouble(
                f"Blender wrote no {name} at frame {frame}: the render was stopped, or there is no "
                "picture upstream."
            )


def _same(outputs: Any, socket: Any) -> Any:
    return next(s for s in outputs if s.identifier == socket.identifier)


def _said(error: RuntimeError) -> str:
    return " ".join(str(error).replace("Error:", "").split()).rstrip(".")
