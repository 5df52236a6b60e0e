# SPDX-License-Identifier: GPL-3.0-or-later
"""The node group that is a Matte node: stock nodes only, so that any Blender renders it.

Baked: an Image node reads one multilayer EXR a frame (straight foreground, alpha), and Set Alpha
multiplies the two, as Alpha Over wants it. Not baked: Image passes through and Alpha is 1.
"""

from __future__ import annotations

import os
from typing import Any

import bpy

from . import compat, folders
from .trouble import Trouble

VERSION = 1
NAME = "Matte"
INPUTS = {
    "Image": "plate",
    "Trimap": "trimap",
    "Background": "background",
    "Segmentation": "segmentation",
}
"""The group's inputs, and what the library calls them."""
COLOURS = ("Image", "Background")
OUTPUTS = {"Image": "NodeSocketColor", "Alpha": "NodeSocketFloat"}
OBJECT, OBJECT_PASS = "Alpha ", "alpha_"
"""What the output of one of several objects begins with, and its layer in the bake."""
BAKE, ALPHA, IN, OUT = "matte_bake", "matte_set_alpha", "matte_inputs", "matte_outputs"
SPLIT, TIMES, BOTH = "matte_plate_alpha", "matte_times_alpha", "matte_both_alphas"
"""Only where the plate's own alpha is multiplied in."""


def is_matte(tree: Any) -> bool:
    """Whether a node tree is a Matte node's group."""
    return tree is not None and hasattr(tree, "matte_nodes") and tree.matte_nodes.is_matte


def mattes() -> list[Any]:
    """Return all Matte groups in this file."""
    return [tree for tree in bpy.data.node_groups if is_matte(tree)]


def new() -> Any:
    """Return a new Matte group, not baked."""
    tree = bpy.data.node_groups.new(NAME, "CompositorNodeTree")
    tree.matte_nodes.is_matte = True
    build(tree)
    return tree


def build(tree: Any) -> None:
    """Make or mend sockets and nodes; what is right is left, what the artist added stays."""
    for name in INPUTS:
        if name not in compat.socket_names(tree, output=False):
            kind = "NodeSocketColor" if name in COLOURS else "NodeSocketFloat"
            compat.add_socket(tree, kind, name, output=False)
    compat.hide_values(tree)
    for name, kind in OUTPUTS.items():
        if name not in compat.socket_names(tree, output=True):
            compat.add_socket(tree, kind, name, output=True)
    _node(tree, IN, "NodeGroupInput", -300)
    bake = _node(tree, BAKE, "CompositorNodeImage", -300, 200)
    alpha = _node(tree, ALPHA, "CompositorNodeSetAlpha", 100, 200)
    _node(tree, OUT, "NodeGroupOutput", 400)
    compat.set_apply_mask(alpha)
    bake.label = "Bake"
    tree.matte_nodes.group_version = VERSION
    wire(tree)


def show(
    tree: Any, path: str, first: int, count: int, *, still: bool, relative: bool
) -> None:  # fmt: skip
    """Show the bake whose first frame is the file at path; count: frames from there on.

    relative: the path is stored relative to the file. Otherwise it is absolute, so that a copy of
    the file in another place (a farm makes one) finds the frames. Raises Trouble when the file is no bake.
    """
    build_if_broken(tree)
    node = tree.nodes[BAKE]
    image = node.image
    if image is None or image.users > 1:
        image = node.image = bpy.data.images.load(path)
        image.name = f"{tree.name} bake"
    beside = relative and bpy.data.filepath and same_drive(path)
    stored = bpy.path.relpath(path) if beside else path
    moved = image.filepath != stored
    if moved:
        image.filepath = stored
    source = "FILE" if still else "SEQUENCE"
    if image.source != source:
        image.source = source
    node.frame_start, node.frame_duration, node.frame_offset = first, count, first - 1
    node.use_cyclic, node.use_auto_refresh = False, True
    compat.in_working_space(image)
    image.reload()
    if moved or not {"foreground", "alpha"} <= {socket.name for socket in node.outputs}:
        # The sockets appear with the picture's layers, once it was read: other objects, other layers.
        _ = image.size[:]
        node.image = image
    if not {"foreground", "alpha"} <= {socket.name for socket in node.outputs}:
        raise Trouble(f"{path} is not a bake: it has no layers named foreground and alpha.")
    wire(tree)


def reload(tree: Any) -> None:
    """Read the frames that are shown from disk again."""
    image = linked_image(tree)
    if image is not None:
        image.reload()
        image.update_tag()
        tree.update_tag()


def clear(tree: Any) -> None:
    """Show no bake; the files stay."""
    node = tree.nodes.get(BAKE)
    if node is not None:
        node.image = None
    build(tree)


def linked_image(tree: Any) -> Any:
    """Return the Blender image of the bake that the node shows, or None."""
    node = tree.nodes.get(BAKE)
    return None if node is None else node.image


def linked_folder(tree: Any) -> str:
    """Return the absolute folder of the bake that the node shows; "" when there is none."""
    image = linked_image(tree)
    if image is None or not image.filepath:
        return ""
    return os.path.dirname(os.path.abspath(bpy.path.abspath(image.filepath, library=image.library)))


def build_if_broken(tree: Any) -> None:
    """Mend a group that somebody took a node out of."""
    if any(tree.nodes.get(name) is None for name in (IN, BAKE, ALPHA, OUT)):
        build(tree)


def first_frame(folder: str) -> int | None:
    """Return the first frame that a folder of a bake holds."""
    there = folders.frames_there(folder)
    return min(there) if there else None


def wire(tree: Any) -> None:
    """Link the bake where there is one, else let the plate through."""
    bake, alpha, out = (tree.nodes[name] for name in (BAKE, ALPHA, OUT))
    sockets = {socket.name: socket for socket in bake.outputs}
    out.inputs["Alpha"].default_value = 1.0  # until there is a bake
    if bake.image is not None and {"foreground", "alpha"} <= set(sockets):
        mask = next(s for s in alpha.inputs if s.name == "Alpha")
        picture = next(s for s in alpha.inputs if s.name == "Image")
        _link(tree, sockets["foreground"], picture)
        _link(tree, sockets["alpha"], mask)
        if tree.matte_nodes.multiplies:
            _with_plate_alpha(tree, sockets["alpha"])
        else:
            _remove(tree)
            _link(tree, alpha.outputs[0], out.inputs["Image"])
            _link(tree, sockets["alpha"], out.inputs["Alpha"])
        _wire_objects(tree, sockets)
        return
    _remove(tree)
    for socket in [s for s in out.inputs if s.name == "Alpha" or s.name.startswith(OBJECT)]:
        socket.default_value = 1.0
        for link in list(socket.links):
            tree.links.remove(link)
    _link(tree, tree.nodes[IN].outputs["Image"], out.inputs["Image"])


def _wire_objects(tree: Any, baked: dict[str, Any]) -> None:
    """Give each object of the bake an output; an output whose object is not in it gives 0."""
    found = {
        OBJECT + name[len(OBJECT_PASS) :]: socket
        for name, socket in baked.items()
        if name.startswith(OBJECT_PASS)
    }
    for title in found:
        if title not in compat.socket_names(tree, output=True):
            compat.add_socket(tree, "NodeSocketFloat", title, output=True)
    for target in [s for s in tree.nodes[OUT].inputs if s.name.startswith(OBJECT)]:
        source = found.get(target.name)
        if source is None:
            target.default_value = 0.0
            for link in list(target.links):
                tree.links.remove(link)
        elif tree.matte_nodes.multiplies:
            name = TIMES + target.name
            times = tree.nodes.get(name) or compat.math(tree, "MULTIPLY")
            times.name, times.location = name, (280, -220)
            split = next(s for s in tree.nodes[SPLIT].outputs if s.name == "Alpha")
            _link(tree, source, times.inputs[0])
            _link(tree, split, times.inputs[1])
            _link(tree, times.outputs[0], target)
        else:
            _link(tree, source, target)


def _with_plate_alpha(tree: Any, matte: Any) -> None:
    """Multiply the matte by the plate's alpha; the plate's colours are premultiplied already."""
    out = tree.nodes[OUT]
    split = _node(tree, SPLIT, "CompositorNodeSeparateColor", 100, -100)
    both = tree.nodes.get(TIMES) or compat.math(tree, "MULTIPLY")
    both.name, both.location = TIMES, (280, -60)
    replaced = _node(tree, BOTH, "CompositorNodeSetAlpha", 280, 200)
    compat.set_replace_alpha(replaced)
    sockets = {socket.name: socket for socket in replaced.inputs}
    _link(tree, tree.nodes[IN].outputs["Image"], split.inputs[0])
    _link(tree, matte, both.inputs[0])
    _link(tree, next(s for s in split.outputs if s.name == "Alpha"), both.inputs[1])
    _link(tree, tree.nodes[ALPHA].outputs[0], sockets["Image"])
    _link(tree, both.outputs[0], sockets["Alpha"])
    _link(tree, replaced.outputs[0], out.inputs["Image"])
    _link(tree, both.outputs[0], out.inputs["Alpha"])


def _remove(tree: Any) -> None:
    for node in list(tree.nodes):
        if node.name in (SPLIT, BOTH) or node.name.startswith(TIMES):
            tree.nodes.remove(node)


def _link(tree: Any, source: Any, target: Any) -> None:
    if not any(link.from_socket == source for link in target.links):
        tree.links.new(source, target)


def _node(tree: Any, name: str, kind: str, x: float, y: float = 0.0) -> Any:
    node = tree.nodes.get(name)
    if node is None:
        node = tree.nodes.new(kind)
        node.name, node.location = name, (x, y)
    return node


def same_drive(path: str) -> bool:
    """Whether a path and the file are on one drive, so that one can be told from the other."""
    drives = [os.path.splitdrive(p)[0].lower() for p in (path, bpy.data.filepath)]
    return drives[0] == drives[1]
