# SPDX-License-Identifier: Apache-2.0
"""In a window: a graph is rendered in steps while the artist works, the viewer shows frames as they come."""

from __future__ import annotations

import pytest

from tests.blender import window
from tests.blender.test_window import FRAMES, Desk, desk, python
from tests.obs.rig import until

__all__ = ["desk", "python"]
pytestmark = pytest.mark.skipif(bool(window.missing()), reason=window.missing())

GRAPH = """
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "NODE_EDITOR":
            area.spaces.active.show_backdrop = True
    tree = bpy.context.scene.node_tree
    up = tree.nodes.new("CompositorNodeExposure")
    plate, node = tree.nodes["plate"], tree.nodes["Matte"]
    tree.links.new(plate.outputs["Image"], up.inputs[0])
    tree.links.new(up.outputs[0], node.inputs["Image"])
    # The viewer shows the matte alone: white everywhere until it is baked.
    viewer = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer")
    tree.links.new(node.outputs["Alpha"], viewer.inputs["Image"])
    bpy.context.scene.frame_set(2)
    bpy.ops.ed.undo_push(message="graph")
"""
LOOK = """
    bake = next(iter(sys.modules["matte_nodes_blender.baking"].running.values()), None)
    out["said"] = bake.said if bake else ""
    out["scenes"] = len(bpy.data.scenes)
    image = bpy.data.images.get("Viewer Node")
    reds = list(image.pixels)[::4] if image and image.size[0] else []
    out["least"], out["most"] = (min(reds), max(reds)) if reds else (None, None)
"""


def test_a_graph_is_baked_and_the_viewer_shows_it(desk: Desk) -> None:
    desk.window.do(GRAPH)
    until("the viewer shows a plain 1", lambda: desk.window.do(LOOK)["least"] == 1.0)
    assert desk.press() == ""
    said: set[str] = set()

    def some() -> bool:
        said.add(desk.window.do(LOOK)["said"])
        return len(desk.frames()) >= 4

    until("some frames are there", some)
    assert len(desk.frames()) < FRAMES, "it is still at work"
    assert any("rendering the inputs" in text for text in said), said
    # Green of the made plates lies below 1 nearly everywhere: the matte of `slow`.
    until("the viewer shows frame 2", lambda: desk.window.do(LOOK)["least"] < 0.9)
    desk.hurry()
    until("all frames are there", lambda: len(desk.frames()) == FRAMES)
    until("it has ended", lambda: desk.window.do(LOOK)["said"] == "")
    assert desk.window.do(LOOK)["scenes"] == 1, "nothing is left behind"
    assert "Traceback" not in desk.window.log()
    desk.hurry(False)
    desk.set(seconds=0.3)
    desk.press_again()
    desk.window.hand("mousemove", window.WIDTH // 3, window.HEIGHT // 2)
    desk.window.hand("key", "Escape")
    until("Escape ends it, whatever it is at", lambda: desk.window.do(LOOK)["said"] == "")
    assert len(desk.frames()) < 2 * FRAMES
    assert desk.window.alive()
