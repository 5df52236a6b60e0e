# SPDX-License-Identifier: GPL-3.0-or-later
"""Stock nodes that are laid into the artist's tree: a trimap from a mask, and views of the matte.

A view goes to the Viewer alone, so that none of it can reach a render.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, walk
from .trouble import Trouble

VIEWS = (
    ("RESULT", "Result", "The foreground, as the node gives it"),
    ("ALPHA", "Alpha", "The matte: white is the subject"),
    ("OVERLAY", "Overlay", "The plate, red where the matte takes it away"),
    ("CHECKER", "Checker", "The foreground over a checkerboard"),
    ("PLATE", "Plate", "What is connected to Image"),
)
VIEW = "Matte View"
GRID = "matte checker"
RED = (1.0, 0.0, 0.0, 1.0)


def trimap(tree: Any, scene: Any, mask: Any, width: int) -> Any:
    """Make the trimap of a mask and connect it; width: pixels to each side of the mask's edge.

    Returns the frame round its nodes. White is the mask shrunk, black the outside of the mask
    grown, grey is between.
    """
    _, way, node = walk.place(tree, scene)
    nodes, links = way.tree.nodes, way.tree.links
    frame = nodes.new("NodeFrame")
    frame.label = f"Trimap of {mask.name}"
    source = nodes.new("CompositorNodeMask")
    source.mask = mask
    small, large = nodes.new("CompositorNodeDilateErode"), nodes.new("CompositorNodeDilateErode")
    compat.dilate(small, -width)
    compat.dilate(large, width)
    both = compat.math(way.tree, "ADD")
    half = compat.math(way.tree, "MULTIPLY", 0.5, 0.5)
    for edge, place in ((small, 0), (large, 1)):
        links.new(source.outputs[0], edge.inputs[0])
        links.new(edge.outputs[0], both.inputs[place])
    links.new(both.outputs[0], half.inputs[0])
    links.new(half.outputs[0], node.inputs["Trimap"])
    x, y = node.location
    for made, right, up in (
        (source, -760, -60), (small, -560, 0), (large, -560, -160), (both, -380, -60),
        (half, -200, -60),
    ):  # fmt: skip
        made.location, made.parent = (x + right, y - 220 + up), frame
    return frame


def view(tree: Any, scene: Any, kind: str) -> Any:
    """Show the matte in the Viewer in one of the ways of VIEWS. Returns the Viewer node."""
    _, way, node = walk.place(tree, scene)
    if way.nodes:
        raise Trouble(
            f"The Matte node lies inside of the group {way.nodes[-1].name}; the Viewer shows only "
            "what is in the scene's own tree. Connect the group's outputs to a Viewer."
        )
    top = way.tree
    viewer = _viewer(top, node)
    plate = next((link.from_socket for link in node.inputs["Image"].links), None)
    if kind in ("OVERLAY", "PLATE") and plate is None:
        raise Trouble("Nothing is connected to the input Image of the Matte node.")
    source = {"RESULT": node.outputs["Image"], "ALPHA": node.outputs["Alpha"], "PLATE": plate}
    shown = source.get(kind)
    old = top.nodes.get(VIEW)
    if old is not None:
        top.nodes.remove(old)
    if shown is None:
        holder = top.nodes.new("CompositorNodeGroup")
        holder.name = holder.label = VIEW
        holder.node_tree = _overlay() if kind == "OVERLAY" else _checker(scene)
        holder.location = viewer.location[0] - 220, viewer.location[1]
        sockets = {"Plate": plate, "Image": node.outputs["Image"], "Alpha": node.outputs["Alpha"]}
        for socket in holder.inputs:
            if sockets.get(socket.name) is not None:
                top.links.new(sockets[socket.name], socket)
        shown = holder.outputs[0]
    top.links.new(shown, viewer.inputs[0])
    return viewer


def _viewer(top: Any, node: Any) -> Any:
    viewers = [n for n in top.nodes if n.bl_idname == "CompositorNodeViewer"]
    found = next((n for n in viewers if n == top.nodes.active), viewers[0] if viewers else None)
    if found is None:
        active = top.nodes.active
        found = top.nodes.new("CompositorNodeViewer")
        found.location = node.location[0] + 480, node.location[1] - 200
        top.nodes.active = active
    return found


def _made(name: str, inputs: dict[str, str]) -> tuple[Any, dict[str, Any], Any]:
    """Return a fresh group, its inputs' sockets by name, and the socket of its output."""
    tree = bpy.data.node_groups.get(name)
    if tree is None:
        tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
        for title, kind in inputs.items():
            compat.add_socket(tree, kind, title, output=False)
        compat.add_socket(tree, "NodeSocketColor", "Image", output=True)
    tree.nodes.clear()
    begin, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    begin.location, end.location = (-500, 0), (400, 0)
    return tree, {socket.name: socket for socket in begin.outputs}, end.inputs[0]


def _overlay() -> Any:
    tree, given, end = _made(
        "Matte Overlay", {"Plate": "NodeSocketColor", "Alpha": "NodeSocketFloat"}
    )
    inverse = compat.math(tree, "MULTIPLY_ADD", 1.0, -0.5, 0.5)  # half of what is taken away
    red = tree.nodes.new("CompositorNodeRGB")
    red.outputs[0].default_value = RED
    over = tree.nodes.new("CompositorNodeAlphaOver")
    tree.links.new(given["Alpha"], inverse.inputs[0])
    tree.links.new(inverse.outputs[0], next(s for s in over.inputs if s.type == "VALUE"))
    tree.links.new(given["Plate"], compat.picture(over, top=False))
    tree.links.new(red.outputs[0], compat.picture(over, top=True))
    tree.links.new(over.outputs[0], end)
    return tree


def _checker(scene: Any) -> Any:
    tree, given, end = _made("Matte Checker", {"Image": "NodeSocketColor"})
    part = scene.render.resolution_percentage / 100
    size = [int(side * part) for side in (scene.render.resolution_x, scene.render.resolution_y)]
    grid = bpy.data.images.get(GRID)
    if grid is None:
        grid = bpy.data.images.new(GRID, *size)
    grid.generated_width, grid.generated_height = size
    grid.generated_type = "UV_GRID"
    picture = tree.nodes.new("CompositorNodeImage")
    picture.image = grid
    over = tree.nodes.new("CompositorNodeAlphaOver")
    tree.links.new(picture.outputs["Image"], compat.picture(over, top=False))
    tree.links.new(given["Image"], compat.picture(over, top=True))
    tree.links.new(over.outputs[0], end)
    return tree
