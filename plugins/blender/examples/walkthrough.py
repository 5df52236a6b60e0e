# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene of docs/blender.md: a plate, a Matte node, a colour behind it.

blender -b --python walkthrough.py -- FIRST_FRAME_OF_THE_PLATE SCENE.blend [MODEL]

The add-on must be enabled. Opens no window, mattes nothing: open the file and press Bake.
"""

import os
import re
import sys

import bpy

NAVY = (0.01, 0.03, 0.1, 1.0)  # linear


def plate(tree, path):
    """An Image node with all frames of a numbered sequence, or a still; and how many."""
    node = tree.nodes.new("CompositorNodeImage")
    image = node.image = bpy.data.images.load(os.path.abspath(path))
    node.name, node.label, node.location = "plate", "plate", (-500, 100)
    head, digits, tail = re.fullmatch(r"(.*?)(\d*)(\.\w+)", os.path.basename(path)).groups()
    there = [
        int(name[len(head) : -len(tail)])
        for name in os.listdir(os.path.dirname(os.path.abspath(path)))
        if name.startswith(head) and name.endswith(tail) and name[len(head) : -len(tail)].isdigit()
    ]
    if not digits or len(there) < 2:
        return node, 1
    image.source = "SEQUENCE"
    node.frame_start, node.frame_duration, node.frame_offset = 1, len(there), min(there) - 1
    return node, len(there)


def compositor(scene):
    """The scene's compositor tree, emptied, and its output node."""
    if hasattr(scene, "compositing_node_group"):  # 5.0 and newer
        tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, tree.nodes.new("NodeGroupOutput")
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree, scene.node_tree.nodes.new("CompositorNodeComposite")


def matte(tree, model):
    """A Matte node with a model."""
    before = set(tree.nodes)
    bpy.ops.matte_nodes.add()
    (node,) = set(tree.nodes) - before
    node.name, node.location = "Matte", (-200, 100)
    node.node_tree.matte_nodes.model = model
    return node


def build(path, model):
    """Make the whole node graph and return its tree."""
    scene = bpy.context.scene
    tree, output = compositor(scene)
    source, count = plate(tree, path)
    node = matte(tree, model)
    behind = tree.nodes.new("CompositorNodeRGB")
    behind.outputs[0].default_value, behind.location = NAVY, (-200, 320)
    over, viewer = (tree.nodes.new("CompositorNode" + kind) for kind in ("AlphaOver", "Viewer"))
    over.location, output.location, viewer.location = (50, 200), (300, 200), (300, 0)
    # In 3.4 both are called Image: the first picture is what lies behind.
    pictures = [socket for socket in over.inputs if socket.type == "RGBA"]
    tree.links.new(source.outputs["Image"], node.inputs["Image"])
    tree.links.new(behind.outputs[0], pictures[0])
    tree.links.new(node.outputs["Image"], pictures[1])
    for end in (output, viewer):
        tree.links.new(over.outputs[0], end.inputs["Image"])
    width, height = source.image.size
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, count
    # The factory's AgX or Filmic would change the plate's colours on the screen.
    scene.view_settings.view_transform = "Standard"
    return tree


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    build(arguments[0], arguments[2] if len(arguments) > 2 else "auto")
    bpy.ops.wm.save_as_mainfile(filepath=os.path.abspath(arguments[1]))
